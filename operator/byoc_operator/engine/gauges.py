"""Gauges whose values only the leader knows. A standby exports no series of them."""

from collections.abc import Callable, Mapping

from ..api.conditions import LIVEKIT_AS_A_WHOLE, Reason
from ..api.printable import printable
from ..core.findings import Code
from ..telemetry.table import UNSEEN
from .cache import Cache
from .drift import FIELDS_THAT_DRIFT
from .orphan_search import OrphanSearch
from .ports import GaugePorts
from .queue import WorkQueue
from .role import Role
from .sweep import LiveKitState, Sweeper
from .worker import Worker

Read = Callable[[], float | None]
ReadMany = Callable[[], Mapping[tuple[str, ...], float]]

_REASONS = frozenset(Reason)
_CODES = frozenset(Code)

MAX_LABEL = 512
"""Characters of a label of `byoc_number_condition`. The names of Kubernetes have 253 at most."""


def export(
    ports: GaugePorts, role: Role, queue: WorkQueue, worker: Worker, sweeper: Sweeper, orphans: OrphanSearch
) -> None:
    """Register gauges that are read at each scrape; each is in `telemetry.table`."""
    gauges: dict[str, Read] = {
        "byoc_queue_depth": lambda: queue.depth,
        "byoc_queue_delayed": lambda: queue.delayed,
        "byoc_queue_parked": lambda: queue.parked,
        "byoc_queue_oldest_seconds": lambda: queue.oldest_s,
        "byoc_run_oldest_seconds": lambda: worker.oldest_s,
        "byoc_orphans": lambda: orphans.count,
        "byoc_retained_numbers": lambda: orphans.retained_count,
        "byoc_livekit_up": lambda: sweeper.state.up,
        "byoc_last_sweep_timestamp_seconds": lambda: sweeper.state.swept_at_s,
        "byoc_sweep_interval_seconds": lambda: sweeper.interval_s,
        "byoc_livekit_objects": lambda: len(ports.inventory.snapshot),
        "byoc_paced_limit": lambda: ports.guard.pace.value,
        "byoc_carriers_file_wrong": lambda: bool(ports.carriers.problem),
        "byoc_sealing_keys_readable": lambda: not ports.keeper.keys.problem,
        "byoc_sealing_keys_lost": lambda: ports.keeper.lost,
        "byoc_credentials_oldest_seconds": lambda: oldest_credentials_s(ports),
    }
    by_label: dict[str, ReadMany] = {
        "byoc_numbers": lambda: reasons(ports.cache),
        "byoc_findings": lambda: findings(ports.cache),
        "byoc_livekit_trouble": lambda: trouble(sweeper.state),
        "byoc_unreadable_objects": ports.metrics.unreadable,
    }
    metrics = ports.metrics
    metrics.gauge("byoc_leading", lambda: role.leading)
    metrics.gauge("byoc_events_waiting", lambda: ports.events.waiting)
    for name, read in gauges.items():
        metrics.gauge(name, _led(role, read))
    for name, read_many in by_label.items():
        metrics.gauges(name, led_by_label(role, read_many))
    metrics.gauges("byoc_refused_requests", ports.regained.refusals.counts)
    metrics.expect_drift(FIELDS_THAT_DRIFT)


def _led(role: Role, read: Read) -> Read:
    return lambda: read() if role.leading else None


def led_by_label(role: Role, read: ReadMany) -> Callable[[], Mapping[tuple[str, ...], float] | None]:
    """What `read` tells while this replica leads, else None."""
    return lambda: read() if role.leading else None


def reasons(cache: Cache) -> dict[tuple[str, ...], float]:
    """How many objects have each reason; "Unseen" for any text that is not a `Reason`.

    The cache keeps the counts up to date, so a scrape takes the same time for any number of objects.
    """
    counts: dict[tuple[str, ...], float] = {}
    for stored, count in cache.reasons().items():
        reason = stored if stored in _REASONS else UNSEEN
        counts[(reason,)] = counts.get((reason,), 0) + count
    return counts


def findings(cache: Cache) -> dict[tuple[str, ...], float]:
    """How many objects have each finding, counted in the same way. A finding of a newer operator is left out."""
    counted = cache.findings()
    return {(code,): counted.get(code, 0) for code in _CODES}


def trouble(state: LiveKitState) -> dict[tuple[str, ...], float]:
    """For each fault of LiveKit as a whole whether it is the present one. Another fault counts as no answer."""
    if state.trouble is None:
        return {}
    known = state.trouble.reason in LIVEKIT_AS_A_WHOLE
    return {(state.trouble.reason if known else Reason.LIVEKIT_UNAVAILABLE,): 1}


def oldest_credentials_s(ports: GaugePorts) -> float:
    """Age in seconds of the Secret in use that has not changed for longest, 0 if there is none."""
    used = (ports.secrets.known(*name) for name in ports.cache.secrets())
    oldest = min((facts.changed_at for facts in used if facts is not None), default=None)
    return 0.0 if oldest is None else max(0.0, ports.wall() - oldest)


def per_number(cache: Cache) -> dict[tuple[str, ...], float]:
    """Of each number whether it is Ready, by namespace, name, phone number and reason."""
    found: dict[tuple[str, ...], float] = {}
    for number in cache.all():
        ready = number.status.ready
        reason = ready.reason if ready.reason in _REASONS else UNSEEN
        labels = (number.key.namespace, number.key.name, printable(number.phone_number, MAX_LABEL), reason)
        found[labels] = ready.status == "True"
    return found
