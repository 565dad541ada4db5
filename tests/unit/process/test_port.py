"""The limits of a port on connections and their times, against hostile clients."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from byoc_operator.admission import server as admission
from byoc_operator.admission.certificates import renewed
from byoc_operator.process.connection import Limits
from byoc_operator.process.port import HEADERS, STUCK_LOOKS, Port
from testbed.part import free_port

pytestmark = pytest.mark.slow

DEADLINE_S = 20.0
QUICK = Limits(connections=8, head_s=0.5, request_s=0.5, idle_s=1.0)
PATIENT = Limits(connections=8, head_s=60, request_s=60, idle_s=60)


class Served:
    """A port with two answers: `/` at once, `/never`; and its clients."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self.number = free_port()
        application = web.Application()
        application.add_routes([web.get("/", self._at_once), web.get("/never", self._never)])
        self.port = Port(self.number, application, limits, tls)
        self.stay = asyncio.Event()
        self._held: list[asyncio.StreamWriter] = []

    async def _at_once(self, _request: web.Request) -> web.Response:
        return web.Response(text="here")

    async def _never(self, _request: web.Request) -> web.Response:
        await self.stay.wait()
        return web.Response(text="late")

    async def connected(self, host: str = "127.0.0.1", source: str | None = None) -> asyncio.StreamReader:
        """A connection on which nothing is sent yet."""
        local = None if source is None else (source, 0)
        reader, writer = await asyncio.open_connection(host, self.number, local_addr=local)
        self._held.append(writer)
        return reader

    def send(self, text: bytes) -> None:
        """Something on the last connection."""
        self._held[-1].write(text)

    async def asks(self, path: str = "/") -> int:
        """A request on a connection of its own; the status."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.number}{path}") as answer:
            return answer.status

    def leave(self) -> None:
        """Close what is held."""
        self.stay.set()
        for writer in self._held:
            writer.close()


@asynccontextmanager
async def served(limits: Limits, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    made = Served(limits, tls)
    await made.port.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield made
    finally:
        made.leave()
        await made.port.stop()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Wait until the other side has closed the connection."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass
    return True


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110 - the other side is no task of ours
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\x16\x03\x01", b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"],
    ids=["nothing", "a byte", "half a head", "a handshake", "a request that takes for ever"],
)
async def test_what_takes_too_long_is_closed(sent: bytes) -> None:
    async with served(QUICK) as there:
        reader = await there.connected()
        there.send(sent)
        assert await closed(reader)
        await until(lambda: there.port.open == 0)


async def test_a_byte_now_and_then_gives_no_more_time() -> None:
    async with served(QUICK) as there:
        reader = await there.connected()
        there.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

        async def drip() -> None:
            while True:
                there.send(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await closed(reader)
        dripping.cancel()


async def test_between_two_requests_a_connection_may_rest_but_not_in_the_middle_of_one() -> None:
    async with served(Limits(connections=8, head_s=0.5, idle_s=60)) as there:
        reader = await there.connected()
        for _ in range(2):
            there.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(2.5)
        assert there.port.open == 1
        there.send(b"GET / HT")
        assert await closed(reader)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_however_many_hold_connections_whoever_comes_is_answered(sent: bytes) -> None:
    async with served(PATIENT) as there:
        for _ in range(5 * PATIENT.connections):
            await there.connected()
            there.send(sent)
            assert there.port.open <= PATIENT.connections
        assert await there.asks() == 200
        assert there.port.open <= PATIENT.connections


async def test_who_holds_many_loses_their_own_and_nobody_elses() -> None:
    async with served(PATIENT) as there:
        resting = await there.connected()
        there.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await resting.readuntil(b"here")
        kept = there._held[-1]
        for _ in range(5 * PATIENT.connections):
            await there.connected(source="127.0.0.9")
        kept.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await resting.readuntil(b"here")).startswith(b"HTTP/1.1 200")


async def test_an_api_server_that_has_all_it_takes_answered_at_once_loses_none() -> None:
    at_once = 200 + 25  # of Kubernetes: --max-mutating-requests-inflight, and what a client keeps for later
    async with served(Limits(admission.CONNECTIONS, head_s=60)) as there:
        readers = []
        for _ in range(at_once):
            readers.append(await there.connected())
            there.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        there.stay.set()
        answers = await asyncio.gather(*(reader.readuntil(b"late") for reader in readers))
        assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}


async def test_a_head_is_bounded_and_one_that_is_none_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with served(PATIENT) as there:
        for head in (b"X: " + b"a" * 100_000, b"\r\n".join(b"X%d: a" % index for index in range(HEADERS + 10))):
            reader = await there.connected()
            there.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"400"
    assert caplog.records == []


async def test_ipv6_is_served_where_there_is_any() -> None:
    async with served(PATIENT) as there:
        await there.connected("::1" if socket.has_dualstack_ipv6() else "127.0.0.1")
        await until(lambda: there.port.open == 1)


async def test_a_port_says_that_it_takes_no_connections_any_more() -> None:
    async with served(PATIENT) as there:
        assert there.port.problem() == ""
        assert there.port._listener is not None
        there.port._listener.close()
        assert "takes no connections" in there.port.problem()


async def test_a_port_that_is_being_closed_is_no_problem() -> None:
    async with served(PATIENT) as there:
        await there.connected()
        there.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: bool(there.port._looks))
        closing = asyncio.create_task(there.port.stop())
        while not closing.done():
            assert there.port.problem() == ""
            await asyncio.sleep(0.01)


async def test_a_request_that_never_ends_is_told_after_so_many_looks_and_one_that_ends_is_not() -> None:
    async with served(PATIENT) as there:
        await there.connected()
        there.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: bool(there.port._looks))
        assert {there.port.problem() for _ in range(STUCK_LOOKS)} == {""}
        assert "has been worked on" in there.port.problem()
        there.stay.set()
        await until(lambda: not there.port._looks)
        assert there.port.problem() == ""


async def test_a_port_that_is_taken_is_told() -> None:
    async with served(PATIENT) as there:
        other = Port(there.number, web.Application(), PATIENT)
        with pytest.raises(OSError, match="in use"):
            await other.start()


def _tls(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    made = renewed(None, ("127.0.0.1",), datetime.now(UTC))
    (directory / "tls.crt").write_bytes(made.certificate)
    (directory / "tls.key").write_bytes(made.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    client = ssl.create_default_context(cadata=made.authorities.decode())
    return server, client


async def test_handshakes_that_nobody_goes_on_with_are_closed_and_count(tmp_path: Path) -> None:
    tls, trusting = _tls(tmp_path)
    async with served(Limits(connections=8, head_s=1.0), tls) as there:
        held = [await there.connected() for _ in range(40)]
        assert there.port.open <= 8
        async with aiohttp.ClientSession() as session:
            async with session.get(f"https://127.0.0.1:{there.number}/", ssl=trusting) as answer:
                assert answer.status == 200
            for reader in held:
                assert await closed(reader)
        await until(lambda: there.port.open == 0)


# The end


class Steps:
    """Holds each step of an end until it is let go."""

    def __init__(self) -> None:
        self.reached: asyncio.Queue[str] = asyncio.Queue()
        self._go = asyncio.Event()

    async def __call__(self, step: str) -> None:
        """What the port awaits."""
        self.reached.put_nowait(step)
        await self._go.wait()
        self._go.clear()

    def go(self) -> None:
        """On to the next one."""
        self._go.set()


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """A request on a connection; the head of its answer, empty if it was closed under it."""
    writer.write(b"POST /seal HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    await reader.readexactly(2)
    return head


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["plain", "TLS"])
async def test_no_request_fails_while_a_port_is_left_however_slow_each_step_is(
    tmp_path: Path, *, speaks_tls: bool
) -> None:
    steps, number = Steps(), free_port()
    server_tls, client_tls = _tls(tmp_path) if speaks_tls else (None, None)
    application = web.Application()
    application.router.add_post("/seal", _ok)
    port = Port(number, application, PATIENT, server_tls, step=steps)
    await port.start()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", number, ssl=client_tls)

    async with asyncio.timeout(DEADLINE_S):
        kept = [await connect() for _ in range(4)]
        assert ["close" in (await _asked(*each)) for each in kept] == [False] * 4
        leaving = asyncio.create_task(port.leave(quiet_s=0.3, most_s=10))
        assert await steps.reached.get() == "leaving"
        steps.go()
        for reader, writer in kept[:3]:  # connections from before, and new ones: each answer is the last one
            assert "Connection: close" in await _asked(reader, writer)
            assert await reader.read() == b""
            new, held = await connect()
            assert "Connection: close" in await _asked(new, held)
            held.close()
            assert not leaving.done()
        await leaving
        stopping = asyncio.create_task(port.stop())
        assert await steps.reached.get() == "no more connections"
        assert await _is_refused(number)
        assert "Connection: close" in await _asked(*kept[3]), "who is late on an old connection is answered, too"
        steps.go()
        await stopping
    assert port.open == 0
    for _, writer in kept:
        writer.close()


async def test_an_idle_connection_is_told_that_it_ends(tmp_path: Path) -> None:
    number = free_port()
    server_tls, client_tls = _tls(tmp_path)
    application = web.Application()
    application.router.add_post("/seal", _ok)
    port = Port(number, application, PATIENT, server_tls)
    await port.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", number, ssl=client_tls)
    async with asyncio.timeout(DEADLINE_S):
        await _asked(reader, writer)
        await port.leave(quiet_s=0.1, most_s=1)
        stopping = asyncio.create_task(port.stop())
        assert await reader.read() == b"", "an end, and no reset"
        await stopping
    writer.close()


async def test_a_port_that_is_asked_without_an_end_is_left_all_the_same() -> None:
    async with served(PATIENT) as there:
        leaving = asyncio.create_task(there.port.leave(quiet_s=0.5, most_s=1.5))
        asked = 0
        while not leaving.done():
            assert await there.asks() == 200
            asked += 1
        assert asked > 1


async def _is_refused(number: int) -> bool:
    """Whether nobody takes a connection."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", number)
    except OSError:
        return True
    writer.close()
    return False


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")
