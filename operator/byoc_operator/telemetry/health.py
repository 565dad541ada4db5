"""`/healthz`, `/readyz` and `/metrics` on one port."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ..process.connection import Limits
from ..process.port import Port

OK, BAD_REQUEST, NOT_READY = 200, 400, 503

CONNECTIONS = 32
"""How many connections the port accepts: the kubelet opens one for each probe, Prometheus keeps one."""

REUSED = 20
"""How long an answer to a scrape is reused, in multiples of the time that it took to make.

Scrapes therefore take at most a twentieth of the process's time, however often somebody asks.
"""


class HealthServer:
    """Answers probes and scrapes.

    `ready`: returns the problems that keep the process from being ready, and further facts to show. `failure`: returns
    why the process must end; empty if it need not.
    """

    def __init__(
        self,
        port: int,
        registry: CollectorRegistry,
        ready: Callable[[], tuple[list[str], dict[str, str]]],
        failure: Callable[[], str] = str,
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._failure = failure
        self._scraped = b""
        self._fresh_until = float("-inf")
        application = web.Application(middlewares=[_without_body])
        application.add_routes(
            [
                web.get("/healthz", self._healthz, allow_head=False),
                web.get("/readyz", self._readyz, allow_head=False),
                web.get("/metrics", self._metrics, allow_head=False),
            ]
        )
        self._port = Port(port, application, Limits(CONNECTIONS))

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await self._port.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._port.stop()

    def problem(self) -> str:
        """Why the port does not answer, or soon will not; empty if it answers."""
        return self._port.problem()

    async def _healthz(self, _request: web.Request) -> web.Response:
        """Liveness: fails if a restart would help. A process whose event loop is blocked does not answer at all."""
        failure = self._failure()
        if failure:
            return web.json_response({"status": "failed", "because": failure}, status=NOT_READY)
        return web.json_response({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        """Readiness: fails until caches are listed and watches are open.

        The state of LiveKit is shown and does not count, so that a rollout does not hang while LiveKit is down.
        """
        missing, shown = self._ready()
        body = {"status": "ok" if not missing else "not ready", "waitingFor": missing, **shown}
        return web.json_response(body, status=NOT_READY if missing else OK)

    async def _metrics(self, _request: web.Request) -> web.Response:
        started = time.monotonic()
        if started >= self._fresh_until:
            self._scraped = generate_latest(self._registry)
            ended = time.monotonic()
            self._fresh_until = ended + REUSED * (ended - started)
        return web.Response(body=self._scraped, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


@web.middleware
async def _without_body(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuses a request with a body, because no path of this port takes one."""
    if request.body_exists:
        refusal = web.json_response({"message": "a request without a body is expected"}, status=BAD_REQUEST)
        refusal.force_close()
        return refusal
    return await handler(request)
