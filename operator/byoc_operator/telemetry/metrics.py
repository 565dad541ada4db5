"""Exports the metrics of `table` in a registry of the process's own."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .table import BY_NAME, Metric

Values = Mapping[tuple[str, ...], float]
"""Samples by the values of their labels."""


class Metrics:
    """All metrics of one process. A gauge is registered by whoever knows its value, and is read at each scrape."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter, of no use
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Gauge("byoc_build_info", _meaning("byoc_build_info"), ["version"], registry=self.registry).labels(
            version("byoc-operator")
        ).set(1)
        self.reconciles = self._counter("byoc_reconciles_total")
        self.reconcile_seconds = self._histogram("byoc_reconcile_seconds")
        self.first_ready_seconds = self._histogram("byoc_first_ready_seconds")
        self.changes = self._counter("byoc_livekit_changes_total")
        self.drift = self._counter("byoc_drift_repaired_total")
        self.livekit_requests = self._counter("byoc_livekit_requests_total")
        self.livekit_seconds = self._histogram("byoc_livekit_request_seconds")
        self.kubernetes_requests = self._counter("byoc_kubernetes_requests_total")
        self.throttled = self._counter("byoc_throttled_total")
        self.throttled_seconds = self._counter("byoc_throttled_seconds_total")
        self.admission_reviews = self._counter("byoc_admission_reviews_total")
        self.events_dropped = self._counter("byoc_events_dropped_total")
        self.sweeps = self._counter("byoc_sweeps_total")
        self.sweep_bugs = self._counter("byoc_sweep_bugs_total")
        self._unreadable: dict[tuple[str, ...], float] = {}

    def count_unreadable(self, resource: str, count: int) -> None:
        """How many objects of a resource cannot be read."""
        self._unreadable[(resource,)] = count

    def unreadable(self) -> Values:
        """How many objects cannot be read, by resource."""
        return self._unreadable

    def livekit_request(self, method: str, outcome: str, seconds: float) -> None:
        """Count a call to LiveKit."""
        self.livekit_requests.labels(method, outcome).inc()
        self.livekit_seconds.labels(method).observe(seconds)

    def kubernetes_request(self, verb: str, resource: str, status: str, _seconds: float) -> None:
        """Count a request to the API server."""
        self.kubernetes_requests.labels(verb, resource, status).inc()

    def told_to_wait(self, server: str, seconds: float) -> None:
        """Count a wait that a server asked for: `livekit` or `kubernetes`."""
        self.throttled.labels(server).inc()
        self.throttled_seconds.labels(server).inc(seconds)

    def admission_review(self, outcome: str) -> None:
        """Count an answer of the webhook."""
        self.admission_reviews.labels(outcome).inc()

    def event_dropped(self, cause: str) -> None:
        """Count an Event that was not posted."""
        self.events_dropped.labels(cause).inc()

    def expect_drift(self, fields: Iterable[str]) -> None:
        """Export the fields that may drift from the start."""
        for each in fields:
            self.drift.labels(each)

    def gauge(self, name: str, read: Callable[[], float | None]) -> None:
        """A gauge without labels. Without a series where `read` has None."""
        self.gauges(name, lambda: None if (now := read()) is None else {(): now})

    def gauges(self, name: str, read: Callable[[], Values | None]) -> None:
        """A gauge, by the values of its labels. Without a series where `read` has None."""
        self.registry.register(_Read(BY_NAME[name], read))

    def _counter(self, name: str) -> Counter:
        metric = BY_NAME[name]
        counter = Counter(name, metric.meaning, list(metric.labels), registry=self.registry)
        for values in metric.combinations():
            counter.labels(*values)
        return counter

    def _histogram(self, name: str) -> Histogram:
        metric = BY_NAME[name]
        return Histogram(name, metric.meaning, list(metric.labels), buckets=metric.buckets, registry=self.registry)


def _meaning(name: str) -> str:
    return BY_NAME[name].meaning


class _Read(Collector):
    """Samples of a gauge, read at each scrape. Listed combinations of labels that have no value read as 0."""

    def __init__(self, metric: Metric, read: Callable[[], Values | None]) -> None:
        self._metric = metric
        self._read = read

    def describe(self) -> list[GaugeMetricFamily]:
        """The family without samples: the registry learns its name and reads nothing."""
        return [self._family()]

    def collect(self) -> list[GaugeMetricFamily]:
        """The family with its samples."""
        family, read = self._family(), self._read()
        if read is None:
            return [family]
        for values, count in sorted({**dict.fromkeys(self._metric.combinations(), 0.0), **read}.items()):
            family.add_metric(values, count)
        return [family]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._metric.name, self._metric.meaning, labels=tuple(self._metric.labels))
