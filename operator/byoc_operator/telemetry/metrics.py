"""Prometheus metrics. Every name starts with `byoc_`. No label has a phone number, a name or a value of a user."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

OUTCOMES = ("sealed", "unchanged", "refused", "malformed")
"""Outcomes of a request to the webhook; `malformed`: the request was not an AdmissionReview."""


SWEEP_PARTS = ("keys", "secrets", "numbers", "orphans")
"""The parts of a sweep in which a bug is counted."""


LED: Mapping[str, str] = {
    "byoc_numbers": (
        "Numbers by the reason of their Ready condition. `Unseen`: they have none yet, or one of a newer operator."
    ),
    "byoc_queue_depth": "Phone numbers that could run now.",
    "byoc_queue_delayed": "Phone numbers in back-off.",
    "byoc_queue_parked": "Phone numbers that wait for LiveKit to answer.",
    "byoc_paced_limit": "Most runs at once of what can wait for LiveKit.",
    "byoc_queue_oldest_seconds": "Wait of the oldest that could run.",
    "byoc_run_oldest_seconds": "Duration of the longest run under way.",
    "byoc_orphans": "LiveKit objects with our mark that belong to no number.",
    "byoc_retained_numbers": "Phone numbers that Retain or Observe left in LiveKit, without an object.",
    "byoc_livekit_objects": "SIP objects in LiveKit, whoever's.",
    "byoc_livekit_unreadable": "SIP objects in LiveKit that cannot be read whole, or whose ID nobody can use.",
    "byoc_livekit_up": "1 if LiveKit answered the last sweep, 0 if not. Absent before the first.",
    "byoc_last_sweep_timestamp_seconds": (
        "When the last good sweep ended; before the first, when this replica began to lead."
    ),
}
"""Metrics of the leader. A standby has no series of them, because a 0 would look like a fault."""

REFUSED = "byoc_refused_requests"

GAUGES: Mapping[str, str] = {
    "byoc_leading": "1 if this replica works, 0 if it stands by.",
    REFUSED: (
        "Requests that the API server refuses at present: one for a missing right in each namespace, one for each "
        "object."
    ),
    "byoc_watches_broken": "Watches that are not alive.",
    "byoc_unhandled_errors": "Errors that nobody caught, each a bug.",
    "byoc_sealing_keys_readable": "1 if the last look found the sealing keys, 0 if not.",
}
"""Metrics of every replica whose values other packages provide; they are read at each scrape."""


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "byoc_reconciles", "Runs of the reconcile function.", ["result"], registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "byoc_reconcile_seconds", "Duration of a run.", buckets=_SECONDS, registry=self.registry
        )
        self.changes = Counter(
            "byoc_livekit_changes", "Changes made in LiveKit.", ["kind", "verb"], registry=self.registry
        )
        self.drift = Counter(
            "byoc_drift_repaired",
            "Fields that were put right after somebody else changed them.",
            ["field"],
            registry=self.registry,
        )
        self.livekit_requests = Counter(
            "byoc_livekit_requests",
            "Calls to LiveKit by method and outcome.",
            ["method", "outcome"],
            registry=self.registry,
        )
        self.livekit_seconds = Histogram(
            "byoc_livekit_request_seconds",
            "Duration of a call to LiveKit.",
            ["method"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.kubernetes_requests = Counter(
            "byoc_kubernetes_requests",
            "Own requests to the API server.",
            ["verb", "resource", "status"],
            registry=self.registry,
        )
        self.admission_reviews = Counter(
            "byoc_admission_reviews",
            "Labelled Secrets that the API server asked about, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in OUTCOMES:
            self.admission_reviews.labels(outcome)  # a series that starts at 0, so that `rate` sees the first one
        self.sweeps = Counter("byoc_sweeps", "Sweeps over all numbers.", ["result"], registry=self.registry)
        self.sweep_bugs = Counter(
            "byoc_sweep_bugs",
            "Parts of sweeps that failed by a bug, and were left out.",
            ["part"],
            registry=self.registry,
        )
        for part in SWEEP_PARTS:
            self.sweep_bugs.labels(part)
        self.unreadable = Gauge(
            "byoc_unreadable_objects",
            "Objects that cannot be read and are passed over, by resource.",
            ["resource"],
            registry=self.registry,
        )

    def count_unreadable(self, resource: str, count: int) -> None:
        """Set how many objects of a resource cannot be read."""
        self.unreadable.labels(resource).set(count)

    def livekit_request(self, method: str, outcome: str, seconds: float) -> None:
        """Count a call to LiveKit."""
        self.livekit_requests.labels(method, outcome).inc()
        self.livekit_seconds.labels(method).observe(seconds)

    def kubernetes_request(self, verb: str, resource: str, status: str, _seconds: float) -> None:
        """Count a request to the API server."""
        self.kubernetes_requests.labels(verb, resource, status).inc()

    def admission_review(self, outcome: str) -> None:
        """Count an answer of the webhook."""
        self.admission_reviews.labels(outcome).inc()

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Register one of `GAUGES`. `read`: returns its value; called at each scrape."""
        gauge = Gauge(name, GAUGES[name], registry=self.registry)
        gauge.set_function(read)

    def led(self, name: str, read: Callable[[], float | None]) -> None:
        """Register one of `LED`. `read`: returns its value at each scrape, None for no series."""
        self.registry.register(_Read(name, LED[name], (), lambda: {} if (now := read()) is None else {(): now}))

    def by_reason(self, read: Callable[[], dict[str, int]]) -> None:
        """Register `byoc_numbers`. `read`: returns the count of objects by the reason of Ready, at each scrape."""
        name = "byoc_numbers"
        self.registry.register(
            _Read(name, LED[name], ("reason",), lambda: {(reason,): count for reason, count in read().items()})
        )

    def refused(self, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Register `byoc_refused_requests`. `read`: returns the count by verb and resource, at each scrape."""
        self.registry.register(_Read(REFUSED, GAUGES[REFUSED], ("verb", "resource"), read))


class _Read(Collector):
    """A gauge whose samples are read at each scrape. `read`: returns the samples by the values of their labels."""

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...], read: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._read = read

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, count in sorted(self._read().items()):
            family.add_metric(values, count)
        return [family]
