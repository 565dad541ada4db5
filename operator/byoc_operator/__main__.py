"""`byoc-operator run`: the only entry point, and the only place where the real parts are wired."""

import asyncio
import gc
import logging
import secrets
import socket
import sys
import uuid
from dataclasses import dataclass
from importlib.metadata import version

import uvloop
from pydantic import SecretStr

from . import handlers
from . import settings as settings_module
from .admission.installation import Installation as AdmissionInstallation
from .admission.ring import FreshKeys
from .admission.server import AdmissionServer
from .admission.storage import MountedCertificates, SharedCertificates
from .admission.webhook import Webhook
from .cluster.api import ApiRefused, ClusterApi, connect
from .cluster.events import Events
from .cluster.lease import LeaseApi
from .cluster.numbers import NumberApi
from .cluster.sealing_keys import SealingKeys
from .cluster.secrets import Secrets
from .core.credentials import SecretRules
from .core.desired import Installation
from .core.masking import make_mask
from .core.printable import printable
from .engine.cache import Cache
from .engine.engine import Engine, Pace
from .engine.gather import Ports
from .engine.leader import Alone, Leader, Leadership
from .engine.orphanage import Orphanage
from .errors import OperatorError, Unavailable
from .livekit_sip.client import LiveKitClient
from .livekit_sip.guard import Bucket, Guard
from .livekit_sip.inventory import Inventory
from .livekit_sip.pacing import AdaptiveLimit
from .livekit_sip.session import Endpoint, is_cloud
from .settings import AdoptionPolicy, LogFormat, OrphanPolicy, RefusedHostPolicy, SealingPolicy, SecretsPolicy, Settings
from .telemetry.health import HealthServer
from .telemetry.logs import MAX_MESSAGE, set_up
from .telemetry.metrics import Metrics
from .telemetry.watches import Watches

log = logging.getLogger("byoc_operator.main")  # `python -m` would make it `__main__`

USAGE = """usage: byoc-operator run | --version

Keeps LiveKit's SIP trunks in step with ByocPhoneNumber objects. All settings come from the environment;
docs/reference.md lists them."""

WORKERS_PER_CALL = 2.5
"""A run spends part of its time on the API server, so more runs than LiveKit calls keep LiveKit busy."""

CLUSTER_RETRY_S = 2.0

CLOUD_REQUESTS_PER_MINUTE = 900
"""LiveKit Cloud allows 1,000 a project and minute; the rest is for the applications."""

WATCHED_KINDS = 2
"""Numbers and labelled Secrets."""


def main() -> None:
    """The command line."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"byoc-operator {version('byoc-operator')}\n")
        return
    if sys.argv[1:] != ["run"]:
        wanted = sys.argv[1:] in (["--help"], ["-h"], ["help"])
        sys.stdout.write(USAGE + "\n") if wanted else sys.stderr.write(USAGE + "\n")
        sys.exit(0 if wanted else 2)
    try:
        settings = settings_module.load()
        set_up(as_json=settings.log_format is LogFormat.JSON, level=settings.log_level)
        uvloop.run(_run(settings))
    except OperatorError as exc:
        sys.stderr.write(f"byoc-operator: {printable(exc.message, MAX_MESSAGE)}\n")
        sys.exit(1)


@dataclass
class Process:
    """What lives as long as the process. `engine` is there once it is wired."""

    settings: Settings
    api: ClusterApi
    metrics: Metrics
    stop: asyncio.Event
    watches: Watches
    keys: SealingKeys
    client: LiveKitClient | None = None
    engine: Engine | None = None

    def ready(self) -> tuple[list[str], dict[str, str]]:
        """What keeps us from being ready, and what else is worth showing."""
        engine = self.engine
        if engine is None:
            return ["the API server has not been asked yet"], {}
        trouble = engine.livekit.trouble
        shown = (
            f"{trouble.reason}: {trouble.message}" if trouble else ("ok" if engine.livekit.asked else "not asked yet")
        )
        role = "leads" if engine.leading else "stands by"
        return [*engine.problems(), *self.watches.problems()], {"liveKit": shown, "role": role}


async def _run(settings: Settings) -> None:
    metrics = Metrics()
    for name in settings_module.unknown():
        log.warning("%s is not a setting of this operator and is ignored", name)
    api = await connect(metrics.kubernetes_request)
    watches = Watches(expected=WATCHED_KINDS * max(1, len(settings.namespaces)))
    metrics.gauge("byoc_watches_broken", "Watches that are not alive.", lambda: len(watches.problems()))
    keys = SealingKeys(api, settings.operator_namespace, may_create=settings.sealing_create_keys)
    metrics.gauge(
        "byoc_sealing_keys_readable", "1 if the last look found the sealing keys, 0 if not.", lambda: not keys.problem
    )
    process = Process(settings, api, metrics, asyncio.Event(), watches, keys)
    health = HealthServer(settings.http_port, metrics.registry, process.ready)
    try:
        await health.start()
    except OSError as exc:
        raise OperatorError(
            "Settings", f"BYOC_HTTP_PORT: cannot listen on {settings.http_port}: {exc.strerror}"
        ) from exc
    webhook = None
    try:
        webhook = await _webhook(process)
        engine = await _wired(process)
        registry = handlers.registered(engine, process.stop, process.watches)
        await handlers.watch(registry, settings.namespaces, process.stop)
    finally:
        if process.client is not None:
            await process.client.aclose()
        if webhook is not None:
            await webhook.stop()
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
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    leader = _leadership(settings, process.api, identity)
    process.client = LiveKitClient(endpoint, mask, process.metrics.livekit_request, may_write=leader.must_hold)
    client = process.client
    process.metrics.gauge(
        "byoc_livekit_unreadable",
        "SIP objects in LiveKit that cannot be read whole, or whose ID nobody can use.",
        lambda: client.unreadable,
    )
    guard = Guard(
        process.client,
        _bucket(settings),
        _MountedKey(settings, process.client, (key, secret)).reload,
        leader.must_hold,
        AdaptiveLimit(max(1, settings.livekit_concurrency // 4), settings.livekit_concurrency),
    )
    events = Events(process.api, identity)
    ports = Ports(
        cache=Cache(),
        inventory=Inventory(guard),
        guard=guard,
        secrets=Secrets(process.api, settings.namespaces, mask, process.keys),
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

    async def say(reason: str, note: str) -> None:
        await events.about_lease(settings.operator_namespace, settings.lease_name, reason, note)

    deletes = settings.orphans is OrphanPolicy.DELETE
    orphanage = Orphanage(ports, settings.namespaces, say, deletes=deletes)
    _spare_collector()
    engine = process.engine = Engine(ports, pace, leader, orphanage, say)
    engine.died.add_done_callback(lambda _: process.stop.set())
    log.info(
        "starting: installation %s, LiveKit %s, %s",
        installation.ids[0],
        installation.live_kit,
        f"namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces",
    )
    if settings.sip_addresses:
        log.info("carriers must let in our SIP traffic from %s", ", ".join(settings.sip_addresses))
    return engine


async def _webhook(process: Process) -> Webhook | None:
    """The webhook that seals, listening, if the settings ask for it. Every replica serves it, whoever leads."""
    settings, api = process.settings, process.api
    if not settings.admission:
        return None
    folder, name = settings.admission_certificate_folder, settings.admission_webhook
    webhook = Webhook(
        AdmissionServer(settings.admission_port, FreshKeys(process.keys), process.metrics.admission_review),
        MountedCertificates(folder)
        if folder
        else SharedCertificates(api, settings.operator_namespace, settings.admission_names),
        AdmissionInstallation(api, name) if name else None,
    )
    try:
        await webhook.start(process.stop.set)
    except OSError as exc:
        message = f"BYOC_ADMISSION_PORT: cannot listen on {settings.admission_port}: {exc.strerror}"
        raise OperatorError("Settings", message) from exc
    return webhook


def _leadership(settings: Settings, api: ClusterApi, identity: str) -> Leadership:
    if not settings.leader_election:
        return Alone()
    return Leader(LeaseApi(api, settings.operator_namespace, settings.lease_name), identity)


def _bucket(settings: Settings) -> Bucket:
    limit = settings.livekit_requests_per_minute
    if limit is None:
        limit = CLOUD_REQUESTS_PER_MINUTE if is_cloud(settings.livekit_url) else 0
    return Bucket(limit)


@dataclass
class _MountedKey:
    """LiveKit's API key as it was last read: a mounted Secret may hold another one by now."""

    settings: Settings
    client: LiveKitClient
    known: tuple[str, SecretStr]

    def reload(self) -> bool:
        """Read the files again; whether they hold another key, which is then used."""
        try:
            found = self.settings.livekit_credentials()
        except OperatorError as exc:
            log.warning("LiveKit's API key cannot be read again: %s", exc.message)
            return False
        if found == self.known:
            return False
        self.known = found
        self.client.set_credentials(*found)
        log.info("LiveKit refused the API key; another one is mounted and used from now on")
        return True


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
        removes_refused=settings.refused_hosts is RefusedHostPolicy.REMOVE,
        secret_rules=SecretRules(
            labelled_only=settings.secrets is SecretsPolicy.LABELLED,
            sealed_only=settings.sealing is SealingPolicy.REQUIRE,
        ),
        credentials_max_age_days=settings.credentials_max_age_days,
        adoption_allowed=settings.adoption is AdoptionPolicy.ALLOW,
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
