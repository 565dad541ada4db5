"""Connections to a host for a few bytes. Each is bounded in time (`STEP_S`) and size, and closed at the end."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from .sip_message import MAX_LINE, first_line, options_request
from .target import Target

STEP_S: Final = 5.0
"""The most seconds of one step. A carrier answers within one; four are what retransmission over UDP needs."""

_CLOSE_S: Final = 1.0
_MOST_BYTES: Final = 8192
_MOST_BLANK_READS: Final = 64
_RESEND_AFTER_S: Final = (0.5, 1.0, 2.0)
"""RFC 3261 section 17.1.2.1: T1 is 500 ms, and each wait is twice as long."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a TLS handshake has agreed upon. `certificate`: of the server, in DER."""

    version: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection. `session` is None without TLS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    session: Session | None

    async def ask(self, target: Target) -> bytes:
        """What comes back on an OPTIONS request: at least one whole line, unless the other side ends before."""
        self.writer.write(options_request(target, _local(self.writer.transport), secrets.token_hex(8)))
        await self.writer.drain()
        received = b""
        for _ in range(_MOST_BLANK_READS):
            more = await self.reader.read(MAX_LINE)
            received = (received + more)[:_MOST_BYTES]
            if not more or len(received) == _MOST_BYTES or first_line(received) is not None:
                break
        return received


@asynccontextmanager
async def connected(address: str, port: int, context: ssl.SSLContext | None, name: str) -> AsyncIterator[Connection]:
    """A TCP connection; with `context` one over TLS with the host `name`.

    Raises OSError (`ssl.SSLError` is one) and TimeoutError. The caller bounds the whole in time.
    """
    reader, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=name if context else None, limit=_MOST_BYTES
    )
    try:
        yield Connection(reader, writer, _session(writer))
    finally:
        writer.transport.abort()  # a polite end of TLS waits for the other side
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)


def _session(writer: asyncio.StreamWriter) -> Session | None:
    tls = writer.get_extra_info("ssl_object")
    if tls is None:
        return None
    return Session(tls.version() or "", tls.getpeercert(binary_form=True) or b"")


def _local(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """Our address and port. A socket whose other side has gone has none on some systems."""
    name = transport.get_extra_info("sockname")
    if name is None:
        raise ConnectionResetError
    return str(name[0]), int(name[1])


async def ask_by_udp(address: str, target: Target) -> bytes:
    """The first datagram that comes back on an OPTIONS request, cut. Raises OSError and TimeoutError."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_FirstDatagram, remote_addr=(address, target.port))
    try:
        request = options_request(target, _local(transport), secrets.token_hex(8))
        async with asyncio.timeout(STEP_S):
            for wait_s in _RESEND_AFTER_S:
                transport.sendto(request)
                with suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(protocol.answer), wait_s)
            return await protocol.answer
    finally:
        transport.close()
        protocol.end()


class _FirstDatagram(asyncio.DatagramProtocol):
    """Keeps the first datagram, or the error that the network reports."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr  # the socket is connected: it takes datagrams of one address only
        if not self.answer.done():
            self.answer.set_result(data[:_MOST_BYTES])

    def end(self) -> None:
        """Nobody asks for the answer any more."""
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # asyncio logs one that nobody has looked at

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)
