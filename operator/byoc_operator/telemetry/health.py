"""`/healthz`, `/readyz` and `/metrics` on one port."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

OK = 200
NOT_READY = 503


class HealthServer:
    """Answers probes. `ready` returns what keeps the process from being ready (empty: nothing), and more to show."""

    def __init__(
        self, port: int, registry: CollectorRegistry, ready: Callable[[], tuple[list[str], dict[str, str]]]
    ) -> None:
        self._port = port
        self._registry = registry
        self._ready = ready
        application = web.Application()
        application.add_routes(
            [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics)]
        )
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, port=self._port).start()

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        """The event loop turns: that is all a restart could mend."""
        return web.json_response({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        """Caches listed and watches alive. LiveKit is shown only: a rollout must not hang while LiveKit is down."""
        missing, shown = self._ready()
        body = {"status": "ok" if not missing else "not ready", "waitingFor": missing, **shown}
        return web.json_response(body, status=NOT_READY if missing else OK)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
