"""How the client calls: token, time, slots, what is reported."""

import asyncio
from typing import Any

import jwt
import pytest
from aiohttp import web
from livekit.protocol.sip import (
    ListSIPOutboundTrunkResponse,
)
from pydantic import SecretStr

from answering import SECRET, TRUNK, Server, answering, refusal, reply
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Stalled, Unavailable


async def test_one_token_serves_until_shortly_before_it_ends(server: Server) -> None:
    client = server.client()
    for server.now_s in (0.0, 100.0, 239.0, 240.0, 250.0):
        await client.list_all(OutboundTrunk)
    assert len(set(server.tokens[:3])) == 1
    assert len(set(server.tokens[3:])) == 1
    claims = jwt.decode(server.tokens[0], SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["nbf"] == 300
    assert claims["sip"] == {"admin": True, "call": False}
    assert not claims.get("video")


async def test_a_new_key_is_used_at_once(server: Server) -> None:
    client = server.client()
    await client.list_all(OutboundTrunk)
    client.set_credentials("other", SecretStr("b" * 40))
    await client.list_all(OutboundTrunk)
    assert jwt.decode(server.tokens[1], "b" * 40, algorithms=["HS256"])["iss"] == "other"


async def test_a_refused_token_is_not_sent_again(server: Server) -> None:
    server.answer = answering(status=401, text="invalid token")
    client = server.client()
    signed = client._session.sip()
    assert (await refusal(client)).reason == "LiveKitUnauthorized"
    assert client._session.sip() is not signed  # tokens of one second are equal, hence the look inside


async def test_a_call_that_hangs_ends_in_time(server: Server) -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    server.answer = hang
    error = await refusal(server.client(timeout_s=0.05))
    released.set()
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


async def test_no_more_calls_at_once_than_allowed(server: Server) -> None:
    under_way = highest = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal under_way, highest
        under_way += 1
        highest = max(highest, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await reply(ListSIPOutboundTrunkResponse())

    server.answer = answer
    client = server.client(concurrency=3)
    await asyncio.gather(*(client.list_all(OutboundTrunk) for _ in range(12)))
    assert highest == 3


async def test_waiting_for_a_slot_is_not_counted_as_time_of_the_call(server: Server) -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return await reply(ListSIPOutboundTrunkResponse())

    server.answer = answer
    client = server.client(concurrency=1, timeout_s=0.25)
    await asyncio.gather(*(client.list_all(OutboundTrunk) for _ in range(10)))


async def test_every_call_is_reported_with_its_outcome(server: Server) -> None:
    client = server.client()
    await client.list_all(OutboundTrunk)
    server.answer = answering(status=503)
    await refusal(client)
    assert server.calls == [
        ("ListSIPOutboundTrunk", "ok", 0.0),
        ("ListSIPOutboundTrunk", "LiveKitUnavailable", 0.0),
    ]


async def test_a_cancelled_call_is_reported_and_frees_its_slot(server: Server) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    healthy, server.answer = server.answer, hang
    client = server.client(concurrency=1)
    task = asyncio.create_task(client.list_all(OutboundTrunk))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.answer = healthy
    assert await client.list_all(OutboundTrunk) == []
    assert [outcome for _, outcome, _ in server.calls] == ["cancelled", "ok"]


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_both_schemes_work(server: Server, scheme: str) -> None:
    url = server.url.replace("http", scheme, 1)
    assert await server.client(url=url).list_all(OutboundTrunk) == []


@pytest.mark.parametrize(
    "response",
    [
        {"body": b""},  # would be read as an empty list
        {"body": b"", "content_type": "application/octet-stream"},
        {"text": "<html>", "content_type": "text/html"},
        {"body": b"\xff\xff", "content_type": "application/protobuf"},
        {"status": 500, "text": "[]", "content_type": "application/json"},
        {"status": 500, "text": "{", "content_type": "application/json"},
    ],
)
async def test_garbage_is_never_an_answer(server: Server, response: dict[str, Any]) -> None:
    server.answer = answering(**response)
    error = await refusal(server.client())
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


@pytest.mark.parametrize(("header", "expected"), [("7", 7.0), ("99999", 3600.0), ("", None), ("Wed, 21 Oct", None)])
async def test_the_wait_that_livekit_asks_for_is_kept(server: Server, header: str, expected: float | None) -> None:
    server.answer = answering(status=429, headers={"Retry-After": header})
    error = await refusal(server.client())
    assert isinstance(error, Unavailable)
    assert error.reason == "LiveKitRateLimited"
    assert error.retry_after_s == expected


async def test_nothing_was_sent_where_nobody_listens(unused_tcp_port: int, server: Server) -> None:
    error = await refusal(server.client(url=f"http://127.0.0.1:{unused_tcp_port}"))
    assert isinstance(error, Unavailable)
    assert not error.outcome_unknown


async def test_a_failed_call_is_not_repeated(server: Server) -> None:
    server.answer = answering(status=503)
    await refusal(server.client(paged=True))
    assert len(server.tokens) == 1


async def test_credentials_are_blotted_out_of_a_refusal(server: Server) -> None:
    server.answer = answering(
        status=400, text='{"code": "invalid_argument", "msg": "bad pass"}', content_type="application/json"
    )
    with pytest.raises(Stalled, match=r"RejectedByLiveKit: LiveKit refuses: bad \*\*\*"):
        await server.client().create(TRUNK)
