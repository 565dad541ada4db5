"""A reverse proxy before livekit-server that counts API calls and breaks the next ones on request.

For the API (Twirp over HTTP) only: it forwards no WebSocket.
"""

import asyncio
import ssl
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from testbed.part import free_port

_STEP_WITHIN_S = 30
"""Seconds that a step of the proxy may take, so that a bug here does not hang the test run."""
_PER_CONNECTION = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"})
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent")
"""What aiohttp would add by itself; LiveKit shall see what the client sent and nothing else."""

Forward = Callable[[], Awaitable[web.Response]]
Fault = Callable[[web.Request, Forward], Awaitable[web.Response]]


class LiveKitProxy:
    """Listens on `url`, with TLS if `tls` is given, and forwards to `upstream`; use it in a `with`.

    It runs in a thread and a loop of its own, so tests may block. Faults are named by what happens to the call and
    take the Twirp method (`CreateSIPOutboundTrunk`) and for how many of its next calls they hold; of several faults
    of one method the oldest comes first.
    """

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self.calls: Counter[str] = Counter()
        """Calls that arrived, by Twirp method, broken ones included."""
        self.forwarded: Counter[str] = Counter()
        """Calls that LiveKit answered, whether or not its answer came back."""
        self.most_at_once: Counter[str] = Counter()
        """Per verb (Create, Update, Delete, List) the largest number of calls that were under way at the same time."""
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._tls = tls
        self._upstream = upstream.rstrip("/")
        self.under_way: Counter[str] = Counter()
        """Per verb how many calls are under way."""
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._released = asyncio.Event()
        self._late: set[asyncio.Task[web.Response]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="livekit-proxy", daemon=True)
        self._session: ClientSession
        self._runner: web.AppRunner

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def error_before(self, method: str, times: int = 1) -> None:
        """LiveKit never sees the call; the client gets 503, as from a load balancer without a backend."""
        self.status(method, 503, "no healthy upstream", times)

    def status(self, method: str, code: int, body: str, times: int = 1) -> None:
        """LiveKit never sees the call; the client gets `code` with `body` (as JSON when it begins with a brace)."""
        content_type = "application/json" if body.startswith("{") else "text/plain"

        async def answer(_request: web.Request, _forward: Forward) -> web.Response:
            return web.Response(status=code, text=body, content_type=content_type)

        self._inject(method, answer, times)

    def ask_to_wait(self, method: str, wait_s: int, times: int = 1) -> None:
        """LiveKit never sees the call; the client gets 429 and is asked to wait, as LiveKit Cloud does."""

        async def answer(_request: web.Request, _forward: Forward) -> web.Response:
            return web.Response(status=429, text="{}", headers={"Retry-After": str(wait_s)})

        self._inject(method, answer, times)

    def slow(self, method: str, delay_s: float, times: int = 1) -> None:
        """LiveKit gets the call `delay_s` later, and the client waits for it."""

        async def dawdle(_request: web.Request, forward: Forward) -> web.Response:
            return await _after(delay_s, forward)

        self._inject(method, dawdle, times)

    def error_after(self, method: str, times: int = 1) -> None:
        """LiveKit does it, but its reply is lost: the connection drops."""

        async def lose_reply(request: web.Request, forward: Forward) -> web.Response:
            await forward()
            return _drop(request)

        self._inject(method, lose_reply, times)

    def hang(self, method: str, times: int = 1) -> None:
        """Nothing happens until `release`; then LiveKit gets the call, even if the client has given up on it."""

        async def wait(_request: web.Request, forward: Forward) -> web.Response:
            return await asyncio.shield(self._later(self._when_released(forward)))

        self._run(self._hold())
        self._inject(method, wait, times)

    def release(self) -> None:
        """Let hanging calls go on, and those that would hang from now on too, until the next `hang`."""
        self._run(self._let_go())

    def applied_later(self, method: str, delay_s: float, times: int = 1) -> None:
        """The connection drops at once, and LiveKit gets the call `delay_s` later: a retry overtakes its original."""

        async def postpone(request: web.Request, forward: Forward) -> web.Response:
            self._later(_after(delay_s, forward))
            return _drop(request)

        self._inject(method, postpone, times)

    def clear(self) -> None:
        """Forget faults that did not happen yet and release hanging calls."""
        self._run(self._forget())
        self.release()

    def settle(self, timeout_s: float = 10) -> None:
        """Wait until every postponed or released call has been made. Raises TimeoutError."""
        self._run(self._await_late(timeout_s))

    def _inject(self, method: str, fault: Fault, times: int) -> None:
        async def add() -> None:
            self._faults[method].extend([fault] * times)

        self._run(add())

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step in the proxy's loop, the only thread that touches its state, and wait for it."""
        done: Future[None] = asyncio.run_coroutine_threadsafe(step, self._loop)
        done.result(_STEP_WITHIN_S)

    async def _open(self) -> None:
        # No limits and no deadline of ours: the proxy must not be what a test measures.
        self._session = ClientSession(
            connector=TCPConnector(limit=0),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
        )
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def _close(self) -> None:
        unfinished = list(self._late)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        await self._runner.cleanup()
        await self._session.close()

    async def _hold(self) -> None:
        self._released.clear()

    async def _let_go(self) -> None:
        self._released.set()

    async def _forget(self) -> None:
        self._faults.clear()

    async def _await_late(self, timeout_s: float) -> None:
        if self._late:
            _done, unfinished = await asyncio.wait(self._late, timeout=timeout_s)
            if unfinished:
                raise TimeoutError(f"{len(unfinished)} calls not made after {timeout_s} s")

    def _later(self, call: Coroutine[Any, Any, web.Response]) -> asyncio.Task[web.Response]:
        """Run a call apart from its request: a client that hangs up must not cancel it."""
        task = asyncio.create_task(call)
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        return task

    async def _when_released(self, forward: Forward) -> web.Response:
        await self._released.wait()
        return await forward()

    async def _handle(self, request: web.Request) -> web.Response:
        method = request.path.rpartition("/")[2] if request.path.startswith("/twirp/") else ""
        body = await request.read()

        async def forward() -> web.Response:
            return await self._forward(request, method, body)

        if not method:
            return await forward()
        self.calls[method] += 1
        verb = method.partition("SIP")[0]
        self.under_way[verb] += 1
        self.most_at_once[verb] = max(self.most_at_once[verb], self.under_way[verb])
        try:
            faults = self._faults[method]
            return await (faults.popleft()(request, forward) if faults else forward())
        finally:
            self.under_way[verb] -= 1

    async def _forward(self, request: web.Request, method: str, body: bytes) -> web.Response:
        try:
            async with self._session.request(
                request.method, f"{self._upstream}{request.path_qs}", data=body, headers=_end_to_end(request.headers)
            ) as reply:
                content = await reply.read()
        except (ClientError, OSError):
            return _drop(request)  # a dead LiveKit looks dead, not like a proxy's 502
        if method:
            self.forwarded[method] += 1
        return web.Response(status=reply.status, body=content, headers=_end_to_end(reply.headers))


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _PER_CONNECTION}


async def _after(delay_s: float, forward: Forward) -> web.Response:
    await asyncio.sleep(delay_s)
    return await forward()


def _drop(request: web.Request) -> web.Response:
    """Break the client's connection; the response returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
