"""Whether a real LiveKit keeps what a `ByocPhoneNumber` has no field for, through list and replace."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.api import LiveKitAPI
from livekit.protocol.sip import (
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRuleInfo,
)

from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, Mask, OutboundTrunk, UnknownFields
from byoc_operator.errors import Gone
from byoc_operator.livekit_sip.gateway import SipGateway
from testbed.livekit_parts import LiveKit

from .test_gateway import by_id, full_inbound, full_outbound, rule

NEWER = b"\xf8\x3f\x2a"
"""Field 1023 with the value 42, which no version of the protocol has."""

pytestmark = [pytest.mark.bed, pytest.mark.parametrize("server", ["real"], indirect=True)]


@pytest.fixture
async def raw(livekit_server: LiveKit) -> AsyncIterator[Any]:
    async with LiveKitAPI(livekit_server.url, livekit_server.key, livekit_server.secret) as api:
        yield api.sip


def newer_in(*messages: Message) -> list[list[tuple[int, Any]]]:
    sets: list[Any] = [UnknownFieldSet(message) for message in messages]
    return [[(each.field_number, each.data) for each in found] for found in sets]


async def rule_of(raw: Any, id: str) -> SIPDispatchRuleInfo:
    found: SIPDispatchRuleInfo = (
        await raw.list_dispatch_rule(ListSIPDispatchRuleRequest(dispatch_rule_ids=[id]))
    ).items[0]
    return found


async def test_the_settings_of_a_rule_stay_at_every_depth(gateway: SipGateway, raw: Any, number: str) -> None:
    made = await gateway.create(rule(f"ST_{number}"))
    info = await rule_of(raw, made.id)
    info.room_preset, info.krisp_enabled = "preset", True
    info.room_config.min_playout_delay = 100
    info.room_config.agents[0].deployment = "blue"
    for part in (info, info.room_config, info.room_config.agents[0]):
        part.MergeFromString(NEWER)
    await raw.update_dispatch_rule(made.id, info)
    wanted = replace(made, room_prefix="ring-", agent_metadata='{"a":"b"}')
    await gateway.replace(wanted, await gateway.remainder(Kind.DISPATCH_RULE, made.id))
    after = await rule_of(raw, made.id)
    room = after.room_config
    assert after.rule.dispatch_rule_individual.room_prefix == "ring-"
    assert (after.room_preset, after.krisp_enabled, room.min_playout_delay) == ("preset", True, 100)
    assert [(each.agent_name, each.metadata, each.deployment) for each in room.agents] == [
        ("agent_support", '{"a":"b"}', "blue")
    ]
    assert newer_in(after, room, room.agents[0]) == [[(1023, 42)]] * 3
    listed = by_id(await gateway.list_all(DispatchRule), made.id)
    assert listed is not None
    assert listed.unknown == UnknownFields(
        (
            "krisp_enabled",
            "room_config.agents.deployment",
            "room_config.agents.unknown",
            "room_config.min_playout_delay",
            "room_config.unknown",
            "room_preset",
            "unknown",
        )
    )
    assert replace(listed, extra=()) == wanted


async def test_a_pin_and_callers_do_not_stay(gateway: SipGateway, raw: Any, number: str) -> None:
    made = await gateway.create(rule(f"ST_{number}"))
    info = await rule_of(raw, made.id)
    info.rule.dispatch_rule_individual.pin = "1234"
    info.inbound_numbers.append("+15550100001")
    info.room_preset = "preset"
    await raw.update_dispatch_rule(made.id, info)
    await gateway.replace(made, await gateway.remainder(Kind.DISPATCH_RULE, made.id))
    after = await rule_of(raw, made.id)
    assert (after.rule.dispatch_rule_individual.pin, list(after.inbound_numbers), after.room_preset) == (
        "",
        [],
        "preset",
    )


async def test_fields_of_trunks_that_are_newer_than_the_protocol_stay(
    gateway: SipGateway, raw: Any, mask: Mask, number: str
) -> None:
    made_out = await gateway.create(full_outbound(number, mask))
    made_in = await gateway.create(full_inbound(number, mask))
    (out,) = (await raw.list_outbound_trunk(ListSIPOutboundTrunkRequest(trunk_ids=[made_out.id]))).items
    (into,) = (await raw.list_inbound_trunk(ListSIPInboundTrunkRequest(trunk_ids=[made_in.id]))).items
    for part in (out, into, out.media, into.media):
        part.MergeFromString(NEWER)
    await raw.update_outbound_trunk(made_out.id, out)
    await raw.update_inbound_trunk(made_in.id, into)
    wanted_out = replace(full_outbound(number, mask), name="renamed", id=made_out.id)
    wanted_in = replace(full_inbound(number, mask), name="renamed", id=made_in.id)
    await gateway.replace(wanted_out, await gateway.remainder(Kind.OUTBOUND_TRUNK, made_out.id))
    await gateway.replace(wanted_in, await gateway.remainder(Kind.INBOUND_TRUNK, made_in.id))
    (out,) = (await raw.list_outbound_trunk(ListSIPOutboundTrunkRequest(trunk_ids=[made_out.id]))).items
    (into,) = (await raw.list_inbound_trunk(ListSIPInboundTrunkRequest(trunk_ids=[made_in.id]))).items
    assert newer_in(out, into, out.media, into.media) == [[(1023, 42)]] * 4
    for listed, wanted in (
        (by_id(await gateway.list_all(OutboundTrunk), made_out.id), wanted_out),
        (by_id(await gateway.list_all(InboundTrunk), made_in.id), wanted_in),
    ):
        assert listed is not None
        assert replace(listed, extra=()) == wanted
        assert listed.unknown == UnknownFields(("media.unknown", "unknown"))


@pytest.mark.parametrize("kind", Kind)
async def test_an_object_that_is_gone_has_no_remainder(gateway: SipGateway, kind: Kind) -> None:
    with pytest.raises(Gone):
        await gateway.remainder(kind, f"{kind.id_prefix}gone")
