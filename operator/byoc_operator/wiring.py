"""The wiring: makes the real parts and connects them. Only `__main__` imports this module."""

import asyncio
import gc
import logging
import secrets
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .admission.server import AdmissionServer
from .admission.storage import MountedCertificates, SharedCertificates
from .admission.webhook import Webhook
from .admission.webhook_configuration import WebhookConfiguration
from .api.carriers import Catalogue
from .cluster.api import ClusterApi, connect
from .cluster.events import Announce, Events
from .cluster.lease import LeaseApi
from .cluster.numbers import NumberApi
from .cluster.refusals import Refusals
from .cluster.regained import Regained
from .cluster.secrets import Secrets
from .core.desired import Installation
from .core.masking import make_mask
from .core.trunk import Mask
from .engine.belongings import Belongings
from .engine.cache import Cache
from .engine.engine import Engine, Pace
from .engine.gauges import per_number
from .engine.leader import Alone, Leader, Leadership
from .engine.orphan_search import OrphanRules
from .engine.retained_ids import RetainedIds
from .engine.rights import Rights
from .engine.tasks import Ended
from .engine.unreadable_objects import UnreadableObjects
from .errors import CannotRun, NotLeading
from .installation import installation_of
from .livekit_sip.client import LiveKitClient
from .livekit_sip.endpoint import is_cloud
from .livekit_sip.guard import Bucket, Guard
from .livekit_sip.inventory import Inventory
from .livekit_sip.pacing import AdaptiveLimit
from .mounted_carriers import MountedCarriers, carriers_in
from .mounted_key import MountedKey, endpoint_of
from .process.vitals import Vital, Vitals
from .process.watchdog import Watchdog
from .sealing.freshness import FreshKeys
from .sealing.keeper import Keeper
from .sealing.store import SealingKeys
from .settings import OrphanPolicy, Settings
from .telemetry.metrics import Metrics
from .telemetry.watches import Watches

log = logging.getLogger("byoc_operator.main")

WORKERS_PER_CALL = 2.5
"""A run spends part of its time on the API server, so more runs than LiveKit calls keep LiveKit busy."""

CLOUD_REQUESTS_PER_MINUTE = 900
"""LiveKit Cloud allows 1,000 requests per project and minute. The other 100 are for the user's applications."""

IN_VAIN_BEATS = 30
"""Seconds for which a replica may lead without its Lease before the process ends. It should end within 5 s."""

WATCHED_KINDS = 2
"""Numbers and labelled Secrets."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """The parts that need no answer of the API server. `closing`: closes at the end whatever was opened.

    `carriers`: the presets at the start.
    """

    settings: Settings
    api: ClusterApi
    metrics: Metrics
    watchdog: Watchdog
    vitals: Vitals
    watches: Watches
    keys: SealingKeys
    refusals: Refusals
    carriers: Catalogue
    closing: AsyncExitStack


@dataclass(frozen=True, slots=True)
class Ports:
    """What the engine works with. `clock`: monotonic seconds; `wall`: epoch seconds."""

    cache: Cache
    inventory: Inventory
    guard: Guard
    secrets: Secrets
    keeper: Keeper
    numbers: NumberApi
    events: Events
    carriers: MountedCarriers
    mask: Mask
    metrics: Metrics
    unreadable: UnreadableObjects
    regained: Regained
    belongings: Belongings
    retained: RetainedIds
    rights: Rights
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    @property
    def installation(self) -> Installation:
        """The settings of the installation, with the presets as last read."""
        return self.carriers.installation


async def founded(settings: Settings, watchdog: Watchdog, vitals: Vitals, closing: AsyncExitStack) -> Foundation:
    """Make the parts that need no answer of the API server. Raises CannotRun if the file of presets is wrong."""
    carriers = carriers_in(settings.carriers_file)
    metrics = Metrics()
    refusals = Refusals()
    api = await connect(metrics.kubernetes_request, refusals.answered)
    closing.push_async_callback(api.close)
    expected = WATCHED_KINDS * max(1, len(settings.namespaces))
    watches = Watches(expected, answered=refusals.watch_answered)
    keys = SealingKeys(api, settings.operator_namespace)
    metrics.gauge("byoc_watches_broken", lambda: len(watches.problems()))
    metrics.gauge("byoc_unhandled_errors", lambda: vitals.unhandled)
    vitals.add(Vital(watches.dead))
    return Foundation(settings, api, metrics, watchdog, vitals, watches, keys, refusals, carriers, closing)


async def webhook_of(base: Foundation) -> Webhook | None:
    """Start the admission webhook that seals; None if the settings do not ask for it. A standby serves it, too."""
    settings = base.settings
    if not settings.admission:
        return None
    folder, name = settings.admission_certificate_folder, settings.admission_webhook
    webhook = Webhook(
        AdmissionServer(settings.admission_port, FreshKeys(base.keys), base.metrics.admission_review),
        MountedCertificates(folder)
        if folder
        else SharedCertificates(base.api, settings.operator_namespace, settings.admission_names),
        WebhookConfiguration(base.api, name) if name else None,
    )
    try:
        await webhook.start(lambda: base.watchdog.fail("the task that keeps the webhook's certificate ended"))
    except OSError as exc:
        message = f"BYOC_ADMISSION_PORT: cannot listen on {settings.admission_port}: {exc.strerror}"
        raise CannotRun(message) from exc
    base.closing.push_async_callback(webhook.stop)
    base.metrics.gauge("byoc_admission_certificate_expiry_timestamp_seconds", lambda: webhook.ends_at_s)
    base.vitals.add(Vital(webhook.problem))
    return webhook


async def engine_of(base: Foundation) -> Engine:
    """Make the engine with its real parts. This waits for the API server; kopf's startup handler starts the engine."""
    settings = base.settings
    installation = await installation_of(settings, base.api, base.carriers)
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    leader = _leadership(base, identity)
    mask = make_mask(secrets.token_bytes(32))
    client, guard = _livekit(base, mask, leader)
    events = Events(base.api, identity, base.metrics.event_dropped)

    def announce(reason: str, note: str) -> None:
        events.about_lease(settings.operator_namespace, settings.lease_name, reason, note)

    cache, inventory = Cache(), Inventory(guard, keeps=installation.keeps_unknown_fields)
    unreadable = UnreadableObjects(events, base.metrics.count_unreadable)
    ports = Ports(
        cache=cache,
        inventory=inventory,
        guard=guard,
        secrets=_secrets(base, installation, mask),
        keeper=_keeper(base, announce),
        numbers=NumberApi(base.api, settings.namespaces),
        events=events,
        carriers=MountedCarriers(settings.carriers_file, installation),
        mask=mask,
        metrics=base.metrics,
        unreadable=unreadable,
        belongings=Belongings(cache, inventory, unreadable, installation),
        retained=RetainedIds(_lease(base)),
        rights=Rights(settings.namespaces, base.api, announce),
        regained=Regained(base.api, base.refusals),
    )
    base.api.listen(unreadable.told)
    orphans = OrphanRules(settings.namespaces, deletes=settings.orphans is OrphanPolicy.DELETE)
    _spare_collector()
    engine = Engine(ports, _pace(settings), leader, orphans, announce)
    engine.tasks.died.add_done_callback(lambda died: _end(base, died))
    _export(base, engine, client, ports.cache)
    base.vitals.add(Vital(lambda: _leads_in_vain(engine, leader), IN_VAIN_BEATS))
    _tell_start(settings, installation)
    return engine


def _export(base: Foundation, engine: Engine, client: LiveKitClient, cache: Cache) -> None:
    """Metrics of the leader that the engine does not export by itself."""
    base.metrics.gauge("byoc_livekit_unreadable", lambda: client.unreadable if engine.leading else None)
    if base.settings.metrics_per_number:
        base.metrics.gauges("byoc_number_condition", lambda: per_number(cache) if engine.leading else None)


def _livekit(base: Foundation, mask: Mask, leader: Leadership) -> tuple[LiveKitClient, Guard]:
    """The client of LiveKit and the guard in front of it."""
    settings = base.settings
    endpoint = endpoint_of(settings)
    client = LiveKitClient(endpoint, mask, base.metrics.livekit_request)
    base.closing.push_async_callback(client.aclose)
    guard = Guard(
        client,
        _bucket(settings),
        MountedKey(settings, client, (endpoint.key, endpoint.secret)).reload,
        leader.must_hold,
        AdaptiveLimit(max(1, settings.livekit_concurrency // 4), settings.livekit_concurrency),
    )
    return client, guard


def _secrets(base: Foundation, installation: Installation, mask: Mask) -> Secrets:
    labelled_only = installation.secret_rules.labelled_only
    return Secrets(base.api, base.settings.namespaces, mask, base.keys, labelled_only=labelled_only)


def _keeper(base: Foundation, announce: Announce) -> Keeper:
    settings, count_bug = base.settings, base.metrics.sweep_bugs.labels("keys").inc
    may_create = settings.sealing_create_keys
    return Keeper(base.keys, announce, settings.sweep_interval_s, may_create=may_create, count_bug=count_bug)


def _lease(base: Foundation) -> LeaseApi:
    return LeaseApi(base.api, base.settings.operator_namespace, base.settings.lease_name)


def _leadership(base: Foundation, identity: str) -> Leadership:
    return Leader(_lease(base), identity) if base.settings.leader_election else Alone()


def _pace(settings: Settings) -> Pace:
    return Pace(
        workers=max(4, round(settings.livekit_concurrency * WORKERS_PER_CALL)),
        refreshes=max(1, settings.livekit_concurrency // 4),
        sweep_interval_s=settings.sweep_interval_s,
    )


def _bucket(settings: Settings) -> Bucket:
    limit = settings.livekit_requests_per_minute
    if limit is None:
        limit = CLOUD_REQUESTS_PER_MINUTE if is_cloud(settings.livekit_url) else 0
    return Bucket(limit)


def _spare_collector() -> None:
    """Make garbage collections rare: imported code stays and cached objects live long, so they find little."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _end(base: Foundation, died: asyncio.Future[BaseException]) -> None:
    """End the process, because the engine lost a task."""
    exc = died.result()
    why = str(exc) if isinstance(exc, Ended) else type(exc).__name__
    base.watchdog.fail(f"a task of the engine ended that must not: {why}")


def _leads_in_vain(engine: Engine, leader: Leadership) -> str:
    """A problem if this replica leads although its Lease is lost. Such a replica should have ended."""
    if engine.leading:
        try:
            leader.must_hold()
        except NotLeading:
            return "the Lease is lost, and this replica goes on"
    return ""


def _tell_start(settings: Settings, installation: Installation) -> None:
    log.info(
        "starting: installation %s, LiveKit %s, %s",
        installation.ids[0],
        installation.live_kit,
        f"namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces",
    )
    if settings.sip_addresses:
        log.info("carriers must let in our SIP traffic from %s", ", ".join(settings.sip_addresses))
