"""Serves an aiohttp application on a TCP port, with limits on the number of connections and on their times.

Clients of these ports do not authenticate. aiohttp has no limit for connections, for the head of a request or for a TLS
handshake. This module therefore accepts the connections, and then hands them to aiohttp.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from .connection import LINGER_S, Connection, Limits
from .listening import listening

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between two checks for connections that have used up their time."""

ACCEPT_RETRY_S = 0.5
"""The pause in seconds after a connection could not be accepted, for example for want of file descriptors."""

HEADERS, LINE_BYTES = 32, 8190
"""The most headers of a request, and the most bytes of each header and of the request line. The API server sends ten
headers."""

UNREAD_BYTES = 32 * 1024
"""aiohttp's read buffer, in bytes: at most twice as much of a body is in memory before the handler reads it.

aiohttp's default is eight times as large.
"""

STOP_S = 3.0
"""For how many seconds requests under way may go on when the port closes."""

QUIET_S, LEAVING_S = 2.0, 8.0
"""`Port.leave` ends after this many seconds without a request, and after this many in all. The engine has 20 s."""

STUCK_LOOKS = 60
"""After how many checks, one a second, a request under way counts as stuck.

A clock would count the time in which the process was suspended, too.
"""

_QUIET = logging.getLogger(f"{__name__}.aiohttp")
_QUIET.setLevel(
    logging.CRITICAL
)  # else a line for each malformed request; errors of our own handlers are logged by `Port`

_PASSING = {errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EPROTO, errno.EINTR}


async def at_once(_step: str) -> None:
    """Go on at once: the default for `step` of `Port`."""


class Port:
    """An application on a TCP port, on IPv4 and IPv6; with `tls` over HTTPS.

    `step` is awaited with the name of each step when the port stops.

    A connection beyond the limit is accepted, and another one is closed instead: of the address with the most
    connections, the one that has waited for its client longest. A client that holds many connections open loses its
    own, and not those of the API server.
    """

    def __init__(
        self,
        number: int,
        application: web.Application,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        *,
        step: Callable[[str], Awaitable[None]] = at_once,
    ) -> None:
        self._step = step
        self._leaving = False
        self._nobody = asyncio.Event()
        self._used_at = float("-inf")
        self._accepting: asyncio.Task[None] | None = None
        self._number = number
        self._limits = limits
        self._tls = tls
        self._connections: dict[asyncio.BaseProtocol, Connection] = {}
        self._looks: dict[int, int] = {}
        self._requests = 0
        self._told: set[str] = set()
        self._listener: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        application.middlewares.insert(0, self._timed())
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_QUIET,
            # No decompression: a few kilobytes may become gigabytes, and no client of ours compresses requests.
            auto_decompress=False,
            keepalive_timeout=limits.idle_s,
            lingering_time=LINGER_S,
            read_bufsize=UNREAD_BYTES,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
            shutdown_timeout=STOP_S,
        )

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        self._nobody.set()
        await self._runner.setup()
        try:
            self._listener = listening(self._number)
        except OSError:
            await self._runner.cleanup()
            raise
        self._serving = asyncio.create_task(self._serve(), name=f"port {self._number}")

    async def leave(self, quiet_s: float = QUIET_S, most_s: float = LEAVING_S) -> None:
        """Go on serving until no more requests come, and close each connection with its next answer.

        Returns after `quiet_s` without a request, or after `most_s`. The answers say `Connection: close`, so that no
        client sends a request on a connection that is about to be closed.
        """
        loop, self._leaving = asyncio.get_running_loop(), True
        await self._step("leaving")
        began = loop.time()
        while (now := loop.time()) - began < most_s:
            if not self._looks and now - max(began, self._used_at) >= quiet_s:
                return
            await asyncio.sleep(min(LOOK_S, quiet_s) / 10)

    async def stop(self) -> None:
        """Accept no more connections, answer the requests under way, and close all connections."""
        self._leaving = True
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        if self._listener is not None:
            self._listener.close()
        await self._step("no more connections")
        await self._runner.cleanup()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._nobody.wait(), LINGER_S)  # for the end of the TLS sessions
        for connection in list(self._connections.values()):
            connection.end()
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])

    def problem(self) -> str:
        """Why the port does not answer, or soon will not; empty if it does. Call this once a second."""
        if self._serving is None or self._listener is None or self._leaving:
            return ""  # not started yet, or ending
        if self._serving.done() or self._listener.fileno() < 0:
            return f"port {self._number} takes no connections any more"
        self._looks = {request: looks + 1 for request, looks in self._looks.items()}
        if max(self._looks.values(), default=0) > STUCK_LOOKS:
            return f"a request to port {self._number} has been worked on for more than {STUCK_LOOKS} s"
        return ""

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._accepting = group.create_task(self._accept(group))
            group.create_task(self._look())

    async def _accept(self, group: asyncio.TaskGroup) -> None:
        loop, listener = asyncio.get_running_loop(), self._listener
        if listener is None:
            return
        told = False
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as exc:
                if exc.errno not in _PASSING:
                    raise
                if not told:
                    log.warning("port %d cannot take a connection: %s", self._number, exc.strerror)
                told = True
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            told = False
            self._admit(group, accepted, str(address[0]))

    def _admit(self, group: asyncio.TaskGroup, accepted: socket.socket, address: str) -> None:
        while len(self._connections) >= self._limits.connections:
            self._idlest().end()
        server = self._runner.server
        if server is None:
            accepted.close()
            return
        self._used_at = asyncio.get_running_loop().time()
        connection = Connection(accepted, address, server(), self._limits, self._closed)
        self._connections[connection.handler] = connection
        self._nobody.clear()
        group.create_task(connection.open(self._tls))

    def _idlest(self) -> Connection:
        counts = Counter(connection.address for connection in self._connections.values())
        return min(
            self._connections.values(),
            key=lambda each: (-counts[each.address], each.worked_on, each.since),
        )

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for connection in [each for each in self._connections.values() if each.overdue]:
                connection.end()

    def _closed(self, connection: Connection) -> None:
        self._connections.pop(connection.handler, None)
        if not self._connections:
            self._nobody.set()

    def _tell(self, exc: Exception) -> None:
        """Log an exception of a handler, once per type, so that clients cannot fill the log."""
        kind = type(exc).__name__
        if kind not in self._told:
            self._told.add(kind)
            log.error("a request to port %d failed: %s", self._number, kind)

    def _timed(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        @web.middleware
        async def timed(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            connection = self._connections.get(request.protocol)
            if connection is not None:
                connection.begins()
            self._requests += 1
            number = self._requests
            self._looks[number], self._used_at = 0, asyncio.get_running_loop().time()
            try:
                answer = await handler(request)
                if self._leaving:
                    answer.force_close()
                return answer
            except (web.HTTPException, ConnectionError):
                raise
            except Exception as exc:
                self._tell(exc)
                raise
            finally:
                del self._looks[number]
                if connection is not None:
                    connection.answers()

        return timed
