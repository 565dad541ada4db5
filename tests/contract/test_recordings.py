"""Recordings with a storage of their own: what LiveKit keeps of the keys, and whether a call still opens its room."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from livekit.api import AccessToken, LiveKitAPI, VideoGrants
from livekit.protocol.room import DeleteRoomRequest, ListRoomsRequest, RoomConfiguration
from livekit.protocol.sip import ListSIPDispatchRuleRequest

from byoc_operator.core.trunk import SOUND, DispatchRule, Mask
from byoc_operator.livekit_sip.gateway import SipGateway
from storage_keys import ACCESS_KEY_ID, ACCOUNT_KEY, SECRET_ACCESS_KEY, SERVICE_ACCOUNT, TEXTS
from testbed.livekit_parts import LiveKit

STORAGES: Mapping[str, Mapping[str, str]] = {
    "s3": {
        "type": "s3",
        "bucket": "acme-calls",
        "region": "eu-central-1",
        "endpoint": "https://minio.example.com:9000",
        "forcePathStyle": "true",
    },
    "s3 at Amazon": {"type": "s3", "bucket": "acme-calls"},
    "gcs": {"type": "gcs", "bucket": "acme-calls"},
    "azure": {"type": "azure", "accountName": "acmecalls", "containerName": "calls"},
}
SECRET_OF = {"s3": SECRET_ACCESS_KEY, "gcs": SERVICE_ACCOUNT, "azure": ACCOUNT_KEY}

PLAIN = DispatchRule("rule", ("ST_nowhere",), "call-", "agent_support", "{}")


def recorded(name: str, mask: Mask) -> DispatchRule:
    storage = STORAGES[name]
    return replace(
        PLAIN,
        recording=SOUND,
        recording_path="calls/{room_name}",
        recording_storage=storage,
        recording_access_key=mask(ACCESS_KEY_ID) if storage["type"] == "s3" else None,
        recording_secret=mask(SECRET_OF[storage["type"]]),
    )


async def listed(gateway: SipGateway, id_: str) -> DispatchRule:
    (found,) = [each for each in await gateway.list_all(DispatchRule) if each.id == id_]
    return found


@pytest.mark.parametrize("name", STORAGES)
async def test_a_storage_comes_back_as_it_was_sent_and_without_a_text(
    gateway: SipGateway, mask: Mask, name: str
) -> None:
    sent = recorded(name, mask)
    made = await gateway.create(sent)
    found = await listed(gateway, made.id)
    assert made == found == sent
    assert found.extra == ()
    assert found.password_listed
    for each in (made, found):
        assert each.recording_secret is not None
        assert each.recording_secret.text is None
        assert not any(text in repr(each) for text in TEXTS)


@pytest.mark.parametrize("name", STORAGES)
async def test_another_key_is_a_difference_and_a_replace_takes_it(gateway: SipGateway, mask: Mask, name: str) -> None:
    made = await gateway.create(recorded(name, mask))
    rotated = replace(recorded(name, mask), recording_secret=mask("another"), id=made.id)
    assert await listed(gateway, made.id) != rotated
    await gateway.replace(rotated)
    assert await listed(gateway, made.id) == rotated


@pytest.mark.parametrize("name", STORAGES)
async def test_a_replace_clears_the_storage(gateway: SipGateway, mask: Mask, name: str) -> None:
    made = await gateway.create(recorded(name, mask))
    own = replace(PLAIN, recording=SOUND, recording_path="calls/", id=made.id)
    await gateway.replace(own)
    assert await listed(gateway, made.id) == own
    await gateway.replace(replace(PLAIN, id=made.id))
    assert await listed(gateway, made.id) == PLAIN


async def test_a_key_known_by_digest_only_cannot_be_written(gateway: SipGateway, mask: Mask) -> None:
    made = await gateway.create(recorded("s3", mask))
    with pytest.raises(ValueError, match=r"^recording_access_key: only a digest is known"):
        await gateway.replace(made)


# A call, without a SIP service


async def stored_config(livekit: LiveKit, id_: str) -> RoomConfiguration:
    """The configuration of the room in a rule, as LiveKit's SIP service gets it."""
    async with LiveKitAPI(livekit.url, livekit.key, livekit.secret) as raw:
        found = await raw.sip.list_dispatch_rule(ListSIPDispatchRuleRequest(dispatch_rule_ids=[id_]))
    return found.items[0].room_config


def caller_token(livekit: LiveKit, room: str, config: RoomConfiguration) -> str:
    """The token with which LiveKit's SIP service brings a caller into the room (livekit/protocol `sip/token.go`)."""
    token = AccessToken(livekit.key, livekit.secret).with_identity("sip_caller").with_kind("sip")
    grants = VideoGrants(room_join=True, room=room, can_publish=True, can_subscribe=True)
    return token.with_grants(grants).with_room_config(config).with_ttl(timedelta(hours=24)).to_jwt()


async def joined(livekit: LiveKit, room: str, config: RoomConfiguration) -> list[int]:
    """How many people may be in each room that there is after a caller has joined with this configuration."""
    headers = {"Authorization": f"Bearer {caller_token(livekit, room, config)}"}
    url = f"{livekit.url}/rtc?protocol=9&auto_subscribe=0"
    async with aiohttp.ClientSession() as session, LiveKitAPI(livekit.url, livekit.key, livekit.secret) as raw:
        async with session.ws_connect(url, headers=headers) as socket:
            await socket.receive_bytes(timeout=20)
            rooms = (await raw.room.list_rooms(ListRoomsRequest(names=[room]))).rooms
        await raw.room.delete_room(DeleteRoomRequest(room=room))
    return [each.max_participants for each in rooms]


@pytest.mark.bed
@pytest.mark.parametrize("server", ["real"], indirect=True)
async def test_a_call_opens_its_room_with_keys_in_the_rule_as_without(
    gateway: SipGateway, mask: Mask, server: LiveKit
) -> None:
    """If this fails, LiveKit refuses such calls: docs/rooms.md, the finding `RecordingOn` and decision 42 change."""
    own = replace(PLAIN, recording=SOUND, recording_path="calls/")
    for name, rule in {"s3": recorded("s3", mask), "gcs": recorded("gcs", mask), "own": own}.items():
        made = await gateway.create(replace(rule, max_participants=7, trunk_ids=(f"ST_{name}",)))
        config = await stored_config(server, made.id)
        file = config.egress.room.file_outputs[0]
        assert (file.s3.secret or file.gcp.credentials) == SECRET_OF.get(name, ""), "the SIP service gets the keys"
        assert await joined(server, f"room-{name}", config) == [7], name
    log = server.log.read_text()
    warned = [line for line in log.splitlines() if "credentials found in token" in line]
    assert len(warned) == 2, "one for each call with keys"
    assert not any(text in log for text in TEXTS)
