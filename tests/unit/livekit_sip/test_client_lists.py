"""How the client reads lists: pages, their end and their bounds."""

import asyncio
import contextlib
import itertools
from dataclasses import replace

import pytest
from aiohttp import web
from livekit.protocol.sip import (
    ListSIPOutboundTrunkRequest,
    ListSIPOutboundTrunkResponse,
    SIPOutboundTrunkInfo,
)

from answering import TRUNK, Answer, Server, listed, on_wire, refusal, reply
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip import client as client_module
from byoc_operator.livekit_sip import session
from byoc_operator.livekit_sip.endpoint import is_cloud


def paging(ids: list[str], size: int, seen: list[str]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        seen.append(asked.page.after_id)
        page = [each for each in ids if each > asked.page.after_id][:size]
        return await reply(
            ListSIPOutboundTrunkResponse(items=[SIPOutboundTrunkInfo(sip_trunk_id=each) for each in page])
        )

    return answer


async def test_pages_are_read_until_an_empty_one(server: Server) -> None:
    seen: list[str] = []
    server.answer = paging(["ST_1", "ST_2", "ST_3"], 2, seen)
    listed = await server.client(paged=True).list_all(OutboundTrunk)
    assert [trunk.id for trunk in listed] == ["ST_1", "ST_2", "ST_3"]
    assert seen == ["", "ST_2", "ST_3"]


async def test_a_server_without_pages_is_asked_once(server: Server) -> None:
    seen: list[str] = []
    server.answer = paging(["ST_1", "ST_2"], 2, seen)
    assert len(await server.client().list_all(OutboundTrunk)) == 2
    assert seen == [""]


async def test_a_server_that_ignores_pages_does_not_keep_us_for_ever(server: Server) -> None:
    items = [SIPOutboundTrunkInfo(sip_trunk_id="ST_1"), SIPOutboundTrunkInfo()]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items))
    listed = await server.client(paged=True).list_all(OutboundTrunk)
    assert [trunk.id for trunk in listed] == ["ST_1"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://voice.livekit.cloud", True),
        ("https://VOICE.livekit.cloud/", True),
        ("http://livekit.voice.svc:7880", False),
        ("https://livekit.cloud.example.com", False),
        ("https://notlivekit.cloud", False),
    ],
)
def test_cloud_is_told_by_its_host(url: str, expected: bool) -> None:  # noqa: FBT001
    assert is_cloud(url) is expected


@pytest.mark.parametrize("chunked", [False, True])
async def test_no_more_of_a_list_is_read_than_is_promised(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, chunked: bool
) -> None:
    monkeypatch.setattr(session, "MAX_LIST_BYTES", 2**20)
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/protobuf"})
        if not chunked:
            response.content_length = 2**40
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 2**30:
                await response.write(b"\x0a\x00" * 2**15)
                sent += 2**16
        return response

    server.answer = answer
    error = await refusal(server.client())
    assert isinstance(error, Stalled)
    assert (error.reason, error.server_wide) == ("LiveKitMisconfigured", True)
    assert "trunks or rules is too long" in error.message
    assert sent < 2**26  # what lies in buffers between the two


@pytest.mark.parametrize("method", ["create", "replace"])
async def test_a_reply_to_a_write_of_many_megabytes_leaves_the_outcome_open(server: Server, method: str) -> None:
    server.answer = lambda _: reply(SIPOutboundTrunkInfo(sip_trunk_id="ST_1", name="x" * 2_000_000))
    client = server.client()
    with pytest.raises(Unavailable) as lost:
        await getattr(client, method)(replace(TRUNK, id="ST_1"))
    assert lost.value.outcome_unknown


async def test_pages_that_never_end_do_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MAX_PAGES", 50)
    seen = itertools.count()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=on_wire(listed(f"ST_{next(seen)}")), content_type="application/protobuf")

    server.answer = answer
    error = await refusal(server.client(paged=True))
    assert error.reason == "LiveKitMisconfigured"
    assert next(seen) == 50


async def test_a_page_of_ids_that_nobody_can_use_is_not_the_last(server: Server) -> None:
    pages = {"": b"ST_/1", "ST_/1": b"ST_2", "ST_2": b""}

    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        next_id = pages[asked.page.after_id].decode()
        return web.Response(body=on_wire(listed(next_id)) if next_id else b"", content_type="application/protobuf")

    server.answer = answer
    assert [trunk.id for trunk in await server.client(paged=True).list_all(OutboundTrunk)] == ["ST_2"]


async def test_all_pages_together_take_a_bounded_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LIST_LIMIT_S", 0.2)
    seen = itertools.count()

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response(body=on_wire(listed(f"ST_{next(seen)}")), content_type="application/protobuf")

    server.answer = answer
    error = await refusal(server.client(paged=True))
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


@pytest.mark.parametrize("id", ["", "ST_/../x", "S" * 1000, "ST_\x1b"])
async def test_an_id_that_nobody_can_use_is_no_answer_to_a_create(server: Server, id: str) -> None:
    server.answer = lambda _: reply(SIPOutboundTrunkInfo(sip_trunk_id=id))
    with pytest.raises(Unavailable) as lost:
        await server.client().create(TRUNK)
    assert lost.value.outcome_unknown
