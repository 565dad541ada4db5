"""A LiveKit, or what stands before it, that means harm to `kubectl byoc dial` and `doctor --ring-agent`."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import ListParticipantsResponse
from pydantic import SecretStr

from answering import SECRET, Server, answering
from byoc_operator.errors import OperatorError
from byoc_operator.livekit_sip import rooms
from byoc_operator.livekit_sip.endpoint import Endpoint
from byoc_operator.livekit_sip.room_port import AgentRequest, NotConnected, PhoneCall
from byoc_operator.livekit_sip.rooms import RoomClient

pytestmark = pytest.mark.slow

CALL = PhoneCall("ST_out", "+442079460123", ring_s=0, longest_s=600)
SHORT_S = 0.3
EVERYTHING: tuple[Callable[[RoomClient], Awaitable[object]], ...] = (
    lambda client: client.open("room", AgentRequest("agent", "{}"), 60),
    lambda client: client.dispatch("room", AgentRequest("agent", "{}")),
    lambda client: client.jobs("room"),
    lambda client: client.participants("room"),
    lambda client: client.dial("room", CALL),
    lambda client: client.close("room"),
)


@asynccontextmanager
async def room_client(url: str) -> AsyncIterator[RoomClient]:
    client = RoomClient(Endpoint(url, "key-of-livekit", SecretStr(SECRET), timeout_s=SHORT_S))
    try:
        yield client
    finally:
        await client.aclose()


async def refused(url: str, ask: Callable[[RoomClient], Awaitable[object]]) -> OperatorError:
    """The error of one call: a sentence, within bounds."""
    async with room_client(url) as client, asyncio.timeout(20):
        with pytest.raises(OperatorError) as raised:
            await ask(client)
    assert len(raised.value.message) < 500
    assert raised.value.message.isprintable()
    return raised.value


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_AFTER_RINGING_S", SHORT_S)


BODIES = {
    "escapes": {"code": "invalid_argument", "msg": "\x1b[2J\u202e" * 1000},
    "no text": {"code": ["x"], "msg": {"a": "b"}, "meta": 7},
    "SIP code of another type": {"code": "unavailable", "msg": "m", "meta": {"sip_status_code": ["486"]}},
    "SIP code without end": {"code": "unavailable", "msg": "m", "meta": {"sip_status_code": "9" * 30_000}},
    "no SIP code": {"code": "unavailable", "msg": "m", "meta": {"sip_status_code": "-1"}},
    "SIP words of another type": {"code": "unavailable", "meta": {"sip_status_code": "486", "sip_status": {"a": []}}},
    "a list": ["x"],
}


@pytest.mark.parametrize("ask", EVERYTHING, ids=["open", "dispatch", "jobs", "participants", "dial", "close"])
@pytest.mark.parametrize("name", BODIES)
async def test_the_body_of_an_error_is_a_short_sentence(
    server: Server, name: str, ask: Callable[[RoomClient], Awaitable[object]]
) -> None:
    server.answer = answering(status=503, body=json.dumps(BODIES[name]).encode(), content_type="application/json")
    error = await refused(server.url, ask)
    if isinstance(error, NotConnected):
        assert error.sip_code in (None, 486)


@pytest.mark.parametrize("ask", EVERYTHING, ids=["open", "dispatch", "jobs", "participants", "dial", "close"])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_what_a_request_carried_comes_back_in_no_message(
    server: Server, status: int, ask: Callable[[RoomClient], Awaitable[object]]
) -> None:
    sent: list[str] = []

    async def echo(request: web.Request) -> web.Response:
        sent.append(request.headers["Authorization"].removeprefix("Bearer "))
        words = f"why {request.headers['Authorization']} and {sent[-1]} or {sent[-1][:40]}"
        meta = {"sip_status_code": "403", "sip_status": words}
        body = {"code": "failed_precondition", "msg": words, "meta": meta}
        return web.json_response(body, status=status)

    server.answer = echo
    error = await refused(server.url, ask)
    told = f"{error} {error!r}"
    assert sent
    assert not any(part in told for token in sent for part in (token, token[:40], token.split(".")[1]))


@asynccontextmanager
async def raw_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server that speaks no HTTP by itself; its address."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(served, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


def endless(start: bytes, again: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()

    return serve


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Content-Type: application/protobuf\r\nTransfer-Encoding: chunked\r\n\r\n"
PEERS = {
    "never answers": never,
    "headers without end": endless(OK, b"X-Header: value of a header\r\n" * 1000),
    "a header without end": endless(OK + b"X-Header: ", b"x" * 65_536),
    "a first line without end": endless(b"HTTP/1.1 200 ", b"x" * 65_536),
    "blank lines without end": endless(b"", b"\r\n" * 32_768),
    "a body without end": endless(CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "no HTTP": endless(b"", b"\x00\xff" * 32_768),
    "informational answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@pytest.mark.parametrize("name", PEERS)
async def test_a_peer_without_end_costs_bounded_time_and_memory(name: str) -> None:
    tracemalloc.start()
    try:
        async with raw_server(PEERS[name]) as url:
            for ask in (EVERYTHING[3], EVERYTHING[4]):
                await refused(url, ask)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


async def test_more_than_a_megabyte_of_participants_is_refused(server: Server) -> None:
    many = [ParticipantInfo(identity=f"participant-{each}") for each in range(100_000)]
    body = ListParticipantsResponse(participants=many).SerializeToString()
    server.answer = answering(body=body, content_type="application/protobuf")
    assert "does not speak LiveKit's API" in (await refused(server.url, EVERYTHING[3])).message
