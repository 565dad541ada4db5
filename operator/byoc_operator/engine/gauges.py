"""Gauges whose values only the leader knows. A standby exports no series of them."""

from collections.abc import Callable

from ..api.conditions import Reason
from .orphan_search import OrphanSearch
from .ports import GaugePorts
from .queue import WorkQueue
from .role import Role
from .sweep import Sweeper
from .worker import Worker

Read = Callable[[], float | None]

_REASONS = frozenset(Reason)


def export(
    ports: GaugePorts, role: Role, queue: WorkQueue, worker: Worker, sweeper: Sweeper, orphans: OrphanSearch
) -> None:
    """Register the gauges of `telemetry.metrics.LED`. Each value is computed when Prometheus scrapes."""
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
        "byoc_livekit_objects": lambda: len(ports.inventory.snapshot),
        "byoc_paced_limit": lambda: ports.guard.pace.value,
    }
    metrics = ports.metrics
    metrics.gauge("byoc_leading", lambda: role.leading)
    for name, read in gauges.items():
        metrics.led(name, _led(role, read))
    metrics.by_reason(lambda: reasons(ports) if role.leading else {})
    metrics.refused(ports.regained.refusals.counts)


def _led(role: Role, read: Read) -> Read:
    return lambda: read() if role.leading else None


def reasons(ports: GaugePorts) -> dict[str, int]:
    """How many objects have each reason; "Unseen" for any text that is not a `Reason`.

    The cache keeps the counts up to date, so a scrape takes the same time for any number of objects.
    """
    counts: dict[str, int] = {}
    for stored, count in ports.cache.reasons().items():
        reason = stored if stored in _REASONS else "Unseen"
        counts[reason] = counts.get(reason, 0) + count
    return counts
