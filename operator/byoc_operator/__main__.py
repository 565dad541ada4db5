"""`byoc-operator run`: the only entry point, and the only place where the real parts are wired."""

import asyncio
import gc
import logging
import secrets
import socket
import sys
import uuid
from dataclasses import dataclass

import uvloop

from . import handlers
from . import settings as settings_module
from .cluster.api import ApiRefused, ClusterApi, connect
from .cluster.events import Events
from .cluster.numbers import NumberApi
from .cluster.secrets import Secrets
from .core.desired import Installation
from .core.masking import make_mask
from .engine.cache import Cache
from .engine.engine import Engine, Pace
from .engine.gather import Ports
from .errors import OperatorError, Unavailable
from .livekit_sip.client import LiveKitClient
from .livekit_sip.inventory import Inventory
from .livekit_sip.session import Endpoint, is_cloud
from .settings import LogFormat, SecretsPolicy, Settings
from .telemetry.health import HealthServer
from .telemetry.logs import set_up
from .telemetry.metrics import Metrics
from .telemetry.watches import Watches

log = logging.getLogger("byoc_operator.main")  # `python -m` would make it `__main__`

USAGE = """usage: byoc-operator run

Keeps LiveKit's SIP trunks in step with ByocPhoneNumber objects. All settings come from the environment;
docs/reference.md lists them."""

WORKERS_PER_CALL = 2.5
"""A run spends part of its time on the API server, so more runs than LiveKit calls keep LiveKit busy."""

CLUSTER_RETRY_S = 2.0

WATCHED_KINDS = 2
"""Numbers and labelled Secrets."""


def main() -> None:
    """The command line."""
    if sys.argv[1:] != ["run"]:
        wanted = sys.argv[1:] in (["--help"], ["-h"], ["help"])
        sys.stdout.write(USAGE + "\n") if wanted else sys.stderr.write(USAGE + "\n")
        sys.exit(0 if wanted else 2)
    try:
        settings = settings_module.load()
        set_up(as_json=settings.log_format is LogFormat.JSON, level=settings.log_level)
        uvloop.run(_run(settings))
    except OperatorError as exc:
        sys.stderr.write(f"byoc-operator: {exc.message}\n")
        sys.exit(1)


@dataclass
class Process:
    """What lives as long as the process. `engine` is there once it is wired."""

    settings: Settings
    api: ClusterApi
    metrics: Metrics
    stop: asyncio.Event
    watches: Watches
    client: LiveKitClient | None = None
    engine: Engine | None = None

    def ready(self) -> tuple[list[str], dict[str, str]]:
        """What keeps us from being ready, and what else is worth showing."""
        engine = self.engine
        if engine is None or not engine.listed:
            return [engine.trouble if engine else "the API server has not been asked yet"], {}
        trouble = engine.livekit.trouble
        shown = (
            f"{trouble.reason}: {trouble.message}" if trouble else ("ok" if engine.livekit.asked else "not asked yet")
        )
        return self.watches.problems(), {"liveKit": shown}


async def _run(settings: Settings) -> None:
    metrics = Metrics()
    for name in settings_module.unknown():
        log.warning("%s is not a setting of this operator and is ignored", name)
    api = await connect(metrics.kubernetes_request)
    watches = Watches(expected=WATCHED_KINDS * max(1, len(settings.namespaces)))
    metrics.gauge("byoc_watches_broken", "Watches that are not alive.", lambda: len(watches.problems()))
    process = Process(settings, api, metrics, asyncio.Event(), watches)
    health = HealthServer(settings.http_port, metrics.registry, process.ready)
    try:
        await health.start()
    except OSError as exc:
        raise OperatorError(
            "Settings", f"BYOC_HTTP_PORT: cannot listen on {settings.http_port}: {exc.strerror}"
        ) from exc
    try:
        engine = await _wired(process)
        registry = handlers.registered(engine, process.stop, process.watches)
        await handlers.watch(registry, settings.namespaces, process.stop)
    finally:
        if process.client is not None:
            await process.client.aclose()
        await health.stop()
        await api.close()
    if engine.died.done():
        raise OperatorError("Died", f"a task ended that must not: {type(engine.died.result()).__name__}")
    log.info("stopped")


def _spare_collector() -> None:
    """What is imported stays and what is cached lives long: to look through it again and again finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _wired(process: Process) -> Engine:
    """The engine with its real parts; kopf starts it before it watches."""
    settings = process.settings
    key, secret = settings.livekit_credentials()
    installation = await _installation(settings, process.api)
    mask = make_mask(secrets.token_bytes(32))
    endpoint = Endpoint(
        url=settings.livekit_url,
        key=key,
        secret=secret,
        timeout_s=settings.livekit_timeout_s,
        concurrency=settings.livekit_concurrency,
        paged=is_cloud(settings.livekit_url),
    )
    process.client = LiveKitClient(endpoint, mask, process.metrics.livekit_request)
    events = Events(process.api, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}")
    ports = Ports(
        cache=Cache(),
        inventory=Inventory(process.client),
        secrets=Secrets(process.api, settings.namespaces, mask),
        numbers=NumberApi(process.api, settings.namespaces),
        events=events,
        installation=installation,
        mask=mask,
        metrics=process.metrics,
    )
    pace = Pace(
        workers=max(4, round(settings.livekit_concurrency * WORKERS_PER_CALL)),
        refreshes=max(1, settings.livekit_concurrency // 4),
        sweep_interval_s=settings.sweep_interval_s,
    )

    async def tell(trouble: OperatorError) -> None:
        await events.about_lease(settings.operator_namespace, settings.lease_name, trouble.reason, trouble.message)

    _spare_collector()
    engine = process.engine = Engine(ports, pace, tell)
    engine.died.add_done_callback(lambda _: process.stop.set())
    log.info(
        "starting: installation %s, LiveKit %s, %s",
        installation.ids[0],
        installation.live_kit,
        f"namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces",
    )
    return engine


async def _installation(settings: Settings, api: ClusterApi) -> Installation:
    """The settings' part in every number; the installation's ID is asked for if none is set."""
    ids = settings.installation_id or (await _cluster_id(api),)
    return Installation(
        ids=ids,
        live_kit=settings.livekit_host,
        agent_name=settings.agent_name,
        room_prefix=settings.room_prefix,
        sip_uri=settings.sip_uri,
        termination_hosts=settings.termination_hosts,
        labelled_secrets_only=settings.secrets is SecretsPolicy.LABELLED,
        credentials_max_age_days=settings.credentials_max_age_days,
    )


async def _cluster_id(api: ClusterApi) -> str:
    """The UID of kube-system: the one name of a cluster that never changes."""
    while True:
        try:
            namespace = await api.request("GET", "/api/v1/namespaces/kube-system", resource="namespaces")
        except Unavailable as exc:
            log.warning("waiting for the API server: %s", exc.message)
            await asyncio.sleep(CLUSTER_RETRY_S)
        except ApiRefused as exc:
            message = f"BYOC_INSTALLATION_ID: must be set, as the UID of kube-system cannot be read (HTTP {exc.status})"
            raise OperatorError("Settings", message) from exc
        else:
            return str(namespace["metadata"]["uid"])


if __name__ == "__main__":
    main()
