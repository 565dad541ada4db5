"""`byoc-operator run`: the only entry point, and the only place where the real parts are wired."""

import asyncio
import gc
import logging
import secrets
import socket
import sys
import traceback
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import click
import uvloop

from . import handlers
from . import settings as settings_module
from .admission.server import AdmissionServer
from .admission.storage import MountedCertificates, SharedCertificates
from .admission.webhook import Webhook
from .admission.webhook_configuration import WebhookConfiguration
from .api.printable import printable
from .cluster.api import ClusterApi, connect
from .cluster.events import Events
from .cluster.lease import LeaseApi
from .cluster.numbers import NumberApi
from .cluster.refusals import Refusals
from .cluster.regained import Regained
from .cluster.secrets import Secrets
from .core.masking import make_mask
from .engine.cache import Cache
from .engine.engine import Engine, Pace
from .engine.leader import Alone, Leader, Leadership
from .engine.left_alone import LeftAlone
from .engine.orphanage import Orphanage
from .engine.ports import Ports
from .engine.rights import Rights
from .engine.tasks import Ended
from .engine.unread import Unread
from .errors import NotLeading, OperatorError
from .installation import installation_of
from .livekit_sip.client import LiveKitClient
from .livekit_sip.guard import Bucket, Guard
from .livekit_sip.inventory import Inventory
from .livekit_sip.pacing import AdaptiveLimit
from .livekit_sip.session import Endpoint, is_cloud
from .mounted_key import MountedKey
from .process.vitals import Vital, Vitals
from .process.watchdog import Watchdog
from .sealing.freshness import FreshKeys
from .sealing.keeper import Keeper
from .sealing.store import SealingKeys
from .settings import LogFormat, OrphanPolicy, Settings
from .telemetry.health import HealthServer
from .telemetry.logs import MAX_MESSAGE, set_up
from .telemetry.metrics import Metrics
from .telemetry.watches import Watches

log = logging.getLogger("byoc_operator.main")  # `python -m` would make it `__main__`

WORKERS_PER_CALL = 2.5
"""A run spends part of its time on the API server, so more runs than LiveKit calls keep LiveKit busy."""

CLOUD_REQUESTS_PER_MINUTE = 900
"""LiveKit Cloud allows 1,000 a project and minute; the rest is for the applications."""

IN_VAIN_BEATS = 30
"""How long a replica may lead without its Lease before it is ended; it ends by itself within 5 s."""

WATCHED_KINDS = 2
"""Numbers and labelled Secrets."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="byoc-operator", message="byoc-operator %(version)s")
def byoc_operator() -> None:
    """Keep LiveKit's SIP trunks in step with ByocPhoneNumber objects."""


@byoc_operator.command()
def run() -> None:
    """Run the operator until a signal ends it.

    All settings come from the environment; docs/reference.md lists them.
    """
    try:
        settings = settings_module.load()
        set_up(as_json=settings.log_format is LogFormat.JSON, level=settings.log_level)
        watchdog = Watchdog()
        watchdog.start()
        uvloop.run(_run(settings, watchdog))
    except OperatorError as exc:
        sys.stderr.write(f"byoc-operator: {printable(exc.message, MAX_MESSAGE)}\n")
        sys.exit(1)
    except Exception as exc:  # noqa: BLE001 - a text of its own may hold values; the frames do not
        frames = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("ended by a bug: %s\n%s", type(exc).__name__, frames)
        sys.exit(1)


def main() -> None:
    """The executable `byoc-operator`."""
    byoc_operator(prog_name="byoc-operator")


@dataclass
class Process:
    """What lives as long as the process. `engine` is there once it is wired; `closing`: what is to be put away."""

    settings: Settings
    api: ClusterApi
    metrics: Metrics
    watchdog: Watchdog
    vitals: Vitals
    watches: Watches
    keys: SealingKeys
    refusals: Refusals
    closing: AsyncExitStack
    engine: Engine | None = None
    webhook: Webhook | None = None

    async def leave(self) -> None:
        """Let the API server find another webhook; whoever has none needs no time for that."""
        if self.webhook is not None:
            await self.webhook.leave()

    def ready(self) -> tuple[list[str], dict[str, str]]:
        """What keeps us from being ready, and what else is worth showing."""
        failure = [self.watchdog.failure or "the process was told to end"] if self.watchdog.ending else []
        engine = self.engine
        if engine is None:
            return [*failure, "the API server has not been asked yet", *self.refusals.problems()], {}
        trouble = engine.livekit.trouble
        shown = (
            f"{trouble.reason}: {trouble.message}" if trouble else ("ok" if engine.livekit.asked else "not asked yet")
        )
        role = "leads" if engine.leading else "stands by"
        return [*failure, *engine.problems(), *self.watches.problems()], {"liveKit": shown, "role": role}

    def died(self, died: asyncio.Future[BaseException]) -> None:
        """The engine lost a task."""
        exc = died.result()
        why = str(exc) if isinstance(exc, Ended) else type(exc).__name__
        self.watchdog.fail(f"a task of the engine ended that must not: {why}")


async def _run(settings: Settings, watchdog: Watchdog) -> None:
    """The whole life: until a signal comes, or something fails that the process cannot live without."""
    for name in settings_module.unknown():
        log.warning("%s is not a setting of this operator and is ignored", name)
    vitals = Vitals(watchdog)
    ending = handlers.Ending(asyncio.Event(), asyncio.Event(), watchdog.fail)
    watchdog.follow(asyncio.get_running_loop(), ending.stop.set)
    vitals.begin()
    try:
        async with AsyncExitStack() as closing:
            process = await _prepared(settings, watchdog, vitals, closing)
            working = asyncio.create_task(_work(process, ending), name="work")
            stopped = asyncio.create_task(ending.stop.wait(), name="stop")
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            leaving = asyncio.create_task(process.leave(), name="leave")
            closing.callback(leaving.cancel)
            if process.engine is None:
                working.cancel()  # it waits for the API server, and nothing of it needs time to end
            with suppress(asyncio.CancelledError):
                await working
            await leaving
    except Exception as exc:
        if not watchdog.failure:
            raise
        raise OperatorError("Died", watchdog.failure) from exc
    finally:
        vitals.end()
        watchdog.put_away()
    if watchdog.failure:
        raise OperatorError("Died", watchdog.failure)
    log.info("stopped")


async def _prepared(settings: Settings, watchdog: Watchdog, vitals: Vitals, closing: AsyncExitStack) -> Process:
    """What is there before the API server has answered anything; `/healthz` answers from then on."""
    metrics = Metrics()
    api = await connect(metrics.kubernetes_request)
    closing.push_async_callback(api.close)
    watches = Watches(expected=WATCHED_KINDS * max(1, len(settings.namespaces)))
    keys = SealingKeys(api, settings.operator_namespace)
    metrics.gauge("byoc_watches_broken", lambda: len(watches.problems()))
    metrics.gauge("byoc_unhandled_errors", lambda: vitals.unhandled)
    metrics.gauge("byoc_sealing_keys_readable", lambda: not keys.problem)
    refusals = Refusals()
    api.answered = refusals.answered
    watches.answered = refusals.watch_answered
    process = Process(settings, api, metrics, watchdog, vitals, watches, keys, refusals, closing)
    health = HealthServer(settings.http_port, metrics.registry, process.ready, lambda: watchdog.failure)
    try:
        await health.start()
    except OSError as exc:
        message = f"BYOC_HTTP_PORT: cannot listen on {settings.http_port}: {exc.strerror}"
        raise OperatorError("Settings", message) from exc
    closing.push_async_callback(health.stop)
    vitals.add(Vital(health.problem), Vital(watches.dead))
    return process


async def _work(process: Process, ending: handlers.Ending) -> None:
    """Everything else, until kopf ends."""
    await _webhook(process)
    engine = await _wired(process)
    process.closing.push_async_callback(engine.stop, 0.0)  # kopf does it before, unless it never came that far
    registry = handlers.registered(engine, engine.intake, ending, process.watches)
    await handlers.watch(registry, process.settings.namespaces, ending, process.watches)


def _spare_collector() -> None:
    """What is imported stays and what is cached lives long: to look through it again and again finds nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _wired(process: Process) -> Engine:
    """The engine with its real parts; kopf starts it before it watches."""
    settings = process.settings
    key, secret = settings.livekit_credentials()
    installation = await installation_of(settings, process.api)
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
    client = LiveKitClient(endpoint, mask, process.metrics.livekit_request, may_write=leader.must_hold)
    process.closing.push_async_callback(client.aclose)
    guard = Guard(
        client,
        _bucket(settings),
        MountedKey(settings, client, (key, secret)).reload,
        leader.must_hold,
        AdaptiveLimit(max(1, settings.livekit_concurrency // 4), settings.livekit_concurrency),
    )
    events = Events(process.api, identity)

    async def say(reason: str, note: str) -> None:
        await events.about_lease(settings.operator_namespace, settings.lease_name, reason, note)

    count_bug = process.metrics.sweep_bugs.labels("keys").inc
    ports = Ports(
        cache=Cache(),
        inventory=Inventory(guard),
        guard=guard,
        secrets=Secrets(
            process.api, settings.namespaces, mask, process.keys, labelled_only=installation.secret_rules.labelled_only
        ),
        keeper=Keeper(
            process.keys, say, settings.sweep_interval_s, may_create=settings.sealing_create_keys, count_bug=count_bug
        ),
        numbers=NumberApi(process.api, settings.namespaces),
        events=events,
        installation=installation,
        mask=mask,
        metrics=process.metrics,
        unread=Unread(events, process.metrics.count_unreadable),
        left_alone=LeftAlone(LeaseApi(process.api, settings.operator_namespace, settings.lease_name)),
        rights=Rights(settings.namespaces, process.api, say),
        regained=Regained(process.api, process.refusals),
    )
    process.api.unreadable = ports.unread.told
    pace = Pace(
        workers=max(4, round(settings.livekit_concurrency * WORKERS_PER_CALL)),
        refreshes=max(1, settings.livekit_concurrency // 4),
        sweep_interval_s=settings.sweep_interval_s,
    )

    deletes = settings.orphans is OrphanPolicy.DELETE
    orphanage = Orphanage(ports, settings.namespaces, say, deletes=deletes)
    _spare_collector()
    engine = process.engine = Engine(ports, pace, leader, orphanage, say)
    engine.tasks.died.add_done_callback(process.died)
    process.metrics.led("byoc_livekit_unreadable", lambda: client.unreadable if engine.leading else None)
    process.vitals.add(Vital(lambda: _leads_in_vain(engine, leader), IN_VAIN_BEATS))
    log.info(
        "starting: installation %s, LiveKit %s, %s",
        installation.ids[0],
        installation.live_kit,
        f"namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces",
    )
    if settings.sip_addresses:
        log.info("carriers must let in our SIP traffic from %s", ", ".join(settings.sip_addresses))
    return engine


async def _webhook(process: Process) -> None:
    """The webhook that seals, listening, if the settings ask for it. Every replica serves it, whoever leads."""
    settings, api = process.settings, process.api
    if not settings.admission:
        return
    folder, name = settings.admission_certificate_folder, settings.admission_webhook
    webhook = Webhook(
        AdmissionServer(settings.admission_port, FreshKeys(process.keys), process.metrics.admission_review),
        MountedCertificates(folder)
        if folder
        else SharedCertificates(api, settings.operator_namespace, settings.admission_names),
        WebhookConfiguration(api, name) if name else None,
    )
    try:
        await webhook.start(lambda: process.watchdog.fail("the task that keeps the webhook's certificate ended"))
    except OSError as exc:
        message = f"BYOC_ADMISSION_PORT: cannot listen on {settings.admission_port}: {exc.strerror}"
        raise OperatorError("Settings", message) from exc
    process.closing.push_async_callback(webhook.stop)
    process.webhook = webhook
    process.vitals.add(Vital(webhook.problem))


def _leads_in_vain(engine: Engine, leader: Leadership) -> str:
    """A leader whose Lease is lost ends by itself; one that does not is stuck."""
    if engine.leading:
        try:
            leader.must_hold()
        except NotLeading:
            return "the Lease is lost, and this replica goes on"
    return ""


def _leadership(settings: Settings, api: ClusterApi, identity: str) -> Leadership:
    if not settings.leader_election:
        return Alone()
    return Leader(LeaseApi(api, settings.operator_namespace, settings.lease_name), identity)


def _bucket(settings: Settings) -> Bucket:
    limit = settings.livekit_requests_per_minute
    if limit is None:
        limit = CLOUD_REQUESTS_PER_MINUTE if is_cloud(settings.livekit_url) else 0
    return Bucket(limit)


if __name__ == "__main__":
    main()
