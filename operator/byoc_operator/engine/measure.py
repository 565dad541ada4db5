"""What the leader exports: a replica that stands by knows none of it, and has no series of it."""

from collections.abc import Callable, Mapping

from ..api.conditions import Reason
from .gather import Ports

Read = Callable[[], float | None]

_REASONS = frozenset(Reason)


def measure(ports: Ports, leading: Callable[[], bool], known: Mapping[str, Read]) -> None:
    """Have metrics read when somebody looks. `known`: of `telemetry.metrics.LED`."""
    metrics = ports.metrics
    metrics.gauge("byoc_leading", "1 if this replica works, 0 if it stands by.", leading)
    for name, read in known.items():
        metrics.led(name, _led(leading, read))
    metrics.led("byoc_livekit_objects", _led(leading, lambda: len(ports.inventory.snapshot)))
    metrics.led("byoc_paced_limit", _led(leading, lambda: ports.guard.pace.value))
    metrics.by_reason(lambda: reasons(ports) if leading() else {})
    metrics.refused(ports.regained.refusals.counts)


def _led(leading: Callable[[], bool], read: Read) -> Read:
    return lambda: read() if leading() else None


def reasons(ports: Ports) -> dict[str, int]:
    """Kept by the cache as numbers change: whoever reads the metrics must not cost a walk over all of them."""
    counts: dict[str, int] = {}
    for stored, count in ports.cache.reasons().items():
        reason = stored if stored in _REASONS else "Unseen"
        counts[reason] = counts.get(reason, 0) + count
    return counts
