"""What the client carries over with a replace, against a small server that answers as told."""

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from livekit.protocol.sip import (
    ListSIPDispatchRuleRequest,
    ListSIPDispatchRuleResponse,
    SIPDispatchRuleInfo,
    UpdateSIPDispatchRuleRequest,
)

from answering import MASK, Server, reply
from byoc_operator.core.trunk import DispatchRule, Kind
from byoc_operator.errors import Failure, Gone
from byoc_operator.livekit_sip import convert

RULE = DispatchRule("rule", ("ST_a",), "call-", "agent", "{}", id="SDR_1")
KEY = "storage-key-of-somebody"


def held(**settings: Any) -> SIPDispatchRuleInfo:
    info = convert.RULE.to_proto(RULE)
    info.sip_dispatch_rule_id = "SDR_1"
    info.MergeFrom(SIPDispatchRuleInfo(**settings))
    return info


class Rules:
    """Answers lists with `items` and takes in what replaces them; `refuses`: the text of a refusal."""

    def __init__(self, *items: SIPDispatchRuleInfo) -> None:
        self.items = list(items)
        self.asked: list[list[str]] = []
        self.fills_in: dict[str, Any] = {}
        self.refuses = ""

    async def __call__(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path.endswith("ListSIPDispatchRule"):
            self.asked.append(list(ListSIPDispatchRuleRequest.FromString(body).dispatch_rule_ids))
            return await reply(ListSIPDispatchRuleResponse(items=self.items))
        if self.refuses:
            return web.json_response({"code": "invalid_argument", "msg": self.refuses}, status=400)
        sent = UpdateSIPDispatchRuleRequest.FromString(body).replace
        sent.sip_dispatch_rule_id = "SDR_1"
        sent.MergeFrom(SIPDispatchRuleInfo(**self.fills_in))
        self.items = [sent]
        return await reply(sent)


async def replaced(server: Server, rules: Rules) -> DispatchRule:
    server.answer = rules
    client = server.client()
    return await client.replace(RULE, await client.remainder(Kind.DISPATCH_RULE, "SDR_1"))


async def test_only_the_object_is_asked_for_and_what_it_has_stays(server: Server) -> None:
    rules = Rules(SIPDispatchRuleInfo(), held(room_preset="preset"))
    stored = await replaced(server, rules)
    assert rules.asked == [["SDR_1"]]
    assert rules.items[0].room_preset == "preset"
    assert (stored.extra, stored.unknown and stored.unknown.settings) == (("room_preset",), ("room_preset",))


async def test_what_was_carried_over_is_not_taken_for_the_servers_own(server: Server) -> None:
    rules = Rules(held(room_preset="preset"))
    rules.fills_in = {"krisp_enabled": True}
    await replaced(server, rules)
    assert [each.extra for each in await server.clients[0].list_all(DispatchRule)] == [("room_preset",)]


async def test_an_object_that_is_gone_has_no_remainder(server: Server) -> None:
    server.answer = Rules(SIPDispatchRuleInfo())
    with pytest.raises(Gone):
        await server.client().remainder(Kind.DISPATCH_RULE, "SDR_1")


async def test_a_refusal_quotes_nothing_of_what_is_carried_over(server: Server) -> None:
    info = held()
    info.room_config.egress.room.file_outputs.add().s3.secret = KEY
    rules = Rules(info)
    rules.refuses = f"bad secret {KEY!r} in egress"
    with pytest.raises(Failure) as refused:
        await replaced(server, rules)
    assert KEY not in refused.value.message
    assert "in egress" in refused.value.message


async def test_nothing_is_carried_over_without_a_remainder(server: Server) -> None:
    rules = Rules(held(room_preset="preset"))
    server.answer = rules
    assert await server.client().replace(replace(RULE)) == RULE
    assert rules.items[0].room_preset == ""
    assert rules.asked == []
    assert convert.RULE.from_proto(rules.items[0], MASK) == RULE
