"""The client against a small server that answers as told: what is written and what is read."""

from dataclasses import replace

import pytest
from aiohttp import web
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    ListSIPDispatchRuleRequest,
    ListSIPDispatchRuleResponse,
    ListSIPOutboundTrunkResponse,
    SIPDispatchRuleInfo,
    SIPOutboundTrunkInfo,
)

from answering import TRUNK, Server, reply
from byoc_operator.core.trunk import SOUND, DispatchRule, Kind, OutboundTrunk
from strategies import MASK

RULE = DispatchRule("rule", ("ST_a", "ST_b"), "call-", "agent", "{}")


@pytest.mark.parametrize(("paged", "expected"), [(False, True), (True, False)])
async def test_a_missing_password_means_none_only_where_passwords_are_listed(
    server: Server, *, paged: bool, expected: bool
) -> None:
    items = [SIPOutboundTrunkInfo(sip_trunk_id="ST_1", auth_username="user")]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items if len(server.tokens) == 1 else []))
    (listed,) = await server.client(paged=paged).list_all(OutboundTrunk)
    assert listed.password_listed is expected


async def test_one_listed_password_shows_that_cloud_lists_them(server: Server) -> None:
    items = [
        SIPOutboundTrunkInfo(sip_trunk_id="ST_1", auth_username="user"),
        SIPOutboundTrunkInfo(sip_trunk_id="ST_2", auth_username="user", auth_password="pass"),
    ]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items))
    listed = await server.client(paged=True).list_all(OutboundTrunk)
    assert [trunk.password_listed for trunk in listed] == [True, True]


def stored_recording(id_: str, key: str) -> SIPDispatchRuleInfo:
    info = SIPDispatchRuleInfo(sip_dispatch_rule_id=id_)
    file = info.room_config.egress.room.file_outputs.add(filepath="calls/")
    file.gcp.bucket, file.gcp.credentials = "acme-calls", key
    return info


async def test_listed_keys_of_rules_say_nothing_of_the_passwords_of_trunks(server: Server) -> None:
    trunks = [SIPOutboundTrunkInfo(sip_trunk_id="ST_1", auth_username="user")]
    rules = [stored_recording("SDR_1", ""), stored_recording("SDR_2", "storage-key")]

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("ListSIPDispatchRule"):
            return await reply(ListSIPDispatchRuleResponse(items=rules))
        return await reply(ListSIPOutboundTrunkResponse(items=trunks))

    server.answer = answer
    client = server.client(paged=True)
    assert [rule.password_listed for rule in await client.list_all(DispatchRule)] == [True, True]
    assert [trunk.password_listed for trunk in await client.list_all(OutboundTrunk)] == [False]


async def test_a_reply_without_keys_keeps_what_was_sent_as_a_digest(server: Server) -> None:
    server.answer = lambda _: reply(stored_recording("SDR_1", ""))
    storage = {"type": "gcs", "bucket": "acme-calls"}
    sent = replace(RULE, recording=SOUND, recording_storage=storage, recording_secret=MASK("storage-key"))
    stored = await server.client(paged=True).create(sent)
    assert (stored.recording_secret, stored.recording_access_key) == (MASK("storage-key"), None)
    assert stored.recording_secret is not None
    assert stored.recording_secret.text is None


async def test_a_reply_without_password_keeps_what_was_sent_as_a_digest(server: Server) -> None:
    server.answer = lambda _: reply(
        SIPOutboundTrunkInfo(
            sip_trunk_id="ST_1",
            name="out",
            metadata="{}",
            address="sip.example.com",
            transport="SIP_TRANSPORT_TLS",
            numbers=["+15550100000"],
            auth_username="user",
        )
    )
    client = server.client(paged=True)
    for stored in (await client.create(TRUNK), await client.replace(replace(TRUNK, id="ST_1"))):
        assert stored == TRUNK
        assert stored.id == "ST_1"
        assert stored.password is not None
        assert stored.password.text is None


async def test_what_the_server_fills_in_by_itself_is_no_difference_for_ever(server: Server) -> None:
    def stored(name: str) -> SIPDispatchRuleInfo:
        info = SIPDispatchRuleInfo(sip_dispatch_rule_id=name, trunk_ids=["ST_a", "ST_b"], name="rule")
        info.rule.dispatch_rule_individual.room_prefix = "call-"
        info.room_config.agents.add(agent_name="agent", metadata="{}")
        info.room_preset = "default"
        return info

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("ListSIPDispatchRule"):
            ListSIPDispatchRuleRequest.FromString(await request.read())
            return await reply(ListSIPDispatchRuleResponse(items=[stored("SDR_1"), stored("SDR_2")]))
        return await reply(stored("SDR_1"))

    server.answer = answer
    client = server.client()
    assert [rule.extra for rule in await client.list_all(DispatchRule)] == [("room_preset",)] * 2
    assert await client.replace(replace(RULE, id="SDR_1")) == RULE
    assert await client.list_all(DispatchRule) == [RULE, RULE]


async def test_a_new_rule_names_its_trunks_twice(server: Server) -> None:
    sent: list[CreateSIPDispatchRuleRequest] = []

    async def answer(request: web.Request) -> web.Response:
        sent.append(CreateSIPDispatchRuleRequest.FromString(await request.read()))
        return await reply(SIPDispatchRuleInfo(sip_dispatch_rule_id="SDR_1"))

    server.answer = answer
    await server.client().create(RULE)
    assert list(sent[0].trunk_ids) == list(sent[0].dispatch_rule.trunk_ids) == ["ST_a", "ST_b"]


async def test_a_rule_has_no_metadata_to_set(server: Server) -> None:
    with pytest.raises(ValueError, match="by its name"):
        await server.client().set_metadata(Kind.DISPATCH_RULE, "SDR_1", "{}")
