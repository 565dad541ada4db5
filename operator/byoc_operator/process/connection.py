"""One connection of a port: its state, since when, and how long the state may last."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

LINGER_S = 1.0
"""For how many seconds the rest of a request is discarded after the answer, so that the client reads the answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a port. `connections`: how many at once; the others are seconds.

    `head_s`: from the begin of a connection, or the first byte of a further request, to the end of the request's head,
    with the TLS handshake. `request_s`: from there to the answer. `idle_s`: from an answer to the next request.
    """

    connections: int
    head_s: float = 5.0
    request_s: float = 30.0
    idle_s: float = 120.0  # the API server and the kubelet close after 90 s and should close first


class Connection(asyncio.Protocol):
    """One connection, between the transport and aiohttp's `handler`. It knows what it waits for, and since when."""

    def __init__(
        self,
        accepted: socket.socket,
        address: str,
        handler: web.RequestHandler,
        limits: Limits,
        closed: Callable[["Connection"], None],
    ) -> None:
        self.address = address
        self.handler = handler
        self.worked_on = False
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self._limits = limits
        self._allowed_s = limits.head_s
        self._accepted = accepted
        self._closed = closed
        self._transport: asyncio.Transport | None = None
        self._ended = False

    async def open(self, tls: ssl.SSLContext | None) -> None:
        """Begin, with a TLS handshake if `tls` is given. A handshake that fails is not logged: anybody may cause it."""
        more = {} if tls is None else {"ssl_handshake_timeout": self._limits.head_s, "ssl_shutdown_timeout": LINGER_S}
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(lambda: self, self._accepted, ssl=tls, **more)
            return
        self.end()

    @property
    def overdue(self) -> bool:
        """Whether the connection has used up its time."""
        return self._loop.time() - self.since > self._allowed_s

    def begins(self) -> None:
        """Note that the head of a request is read."""
        self._waits(self._limits.request_s, worked_on=True)

    def answers(self) -> None:
        """Note that the answer is made. The time in which the client reads it counts as idle."""
        self._waits(self._limits.idle_s)

    def end(self) -> None:
        """Close the connection at once."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
        with contextlib.suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)  # ends a handshake, too
        self._closed(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open, after the handshake if there is one."""
        self._transport = transport  # type: ignore[assignment] # of a stream, as for every Protocol
        self.handler.connection_made(transport)
        if self._ended:
            self.end()

    def data_received(self, data: bytes) -> None:
        """Bytes came. The first ones after an answer begin a further request."""
        if self._allowed_s == self._limits.idle_s:
            self._waits(self._limits.head_s)  # further bytes do not extend it
        self.handler.data_received(data)

    def eof_received(self) -> None:
        """The peer sends nothing more."""
        self.handler.eof_received()

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """The peer has read most of what we wrote."""
        self.handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._closed(self)
        self.handler.connection_lost(exc)

    def _waits(self, allowed_s: float, *, worked_on: bool = False) -> None:
        self.worked_on, self._allowed_s, self.since = worked_on, allowed_s, self._loop.time()
