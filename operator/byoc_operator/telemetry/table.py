"""The table of the metrics: name, type, meaning and labels of each. The exporters and docs/reference.md read it.

Every name of our own starts with `byoc_`. The values of labels are a closed set. No label holds a phone number, a name
or a value of a user; the one exception is `byoc_number_condition`, which an administrator turns on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product

from ..api.conditions import LIVEKIT_AS_A_WHOLE, Reason


class Type(StrEnum):
    """The types of Prometheus that are used here."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


OUTCOMES = ("sealed", "unchanged", "refused", "malformed")
"""What becomes of a review at admission; `malformed`: it was none."""

SWEEP_PARTS = ("keys", "secrets", "numbers", "claims", "orphans")
"""The parts of a sweep beside LiveKit's lists."""

DROPPED = ("full", "late", "refused", "stopped", "bug")
"""Why an Event was dropped: too many or too long waited, refused by the API server, the end of the process, a bug."""

UNSEEN = "Unseen"
"""Stands for a reason in `byoc_numbers` where there is none yet, or one of a newer operator."""

CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
READY_S = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0)
"""Upper bounds of buckets in seconds: of a call or a run, and of the time until a number is Ready."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name`: as Prometheus stores it, a counter ends with `_total`.

    `labels`: the values of each label that are exported from the start, so that a rate misses no first event; empty
    where the values come with the events. `led`: only the leader exports it. `opt_in`: the setting that turns it on.
    """

    name: str
    type: Type
    meaning: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    led: bool = False
    opt_in: str = ""
    buckets: tuple[float, ...] = ()

    def combinations(self) -> tuple[tuple[str, ...], ...]:
        """Every combination of the labels' values, none where a label's values come with the events."""
        return tuple(product(*self.labels.values())) if self.labels else ()


def _led(name: str, meaning: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, Type.GAUGE, meaning, labels, led=True)


def _gauge(name: str, meaning: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, Type.GAUGE, meaning, labels)


def _counter(name: str, meaning: str, **labels: tuple[str, ...]) -> Metric:
    return Metric(name, Type.COUNTER, meaning, labels)


_OBJECTS = ("inboundTrunk", "outboundTrunk", "dispatchRule")

METRICS: tuple[Metric, ...] = (
    _led(
        "byoc_numbers",
        "Numbers by the reason of their Ready condition. `Unseen`: they have none yet, or one of a newer operator.",
        reason=(*Reason, UNSEEN),
    ),
    _led("byoc_findings", "Numbers by the findings of their status.", code=()),
    Metric(
        "byoc_number_condition",
        Type.GAUGE,
        "1 if the Ready condition of a number is True, else 0; one series per number.",
        {"namespace": (), "name": (), "phone_number": (), "reason": ()},
        led=True,
        opt_in="BYOC_METRICS_PER_NUMBER",
    ),
    _led(
        "byoc_credentials_oldest_seconds",
        "Age of the Secret of SIP credentials in use that has not changed for longest. 0: no number uses one.",
    ),
    _led("byoc_queue_depth", "Phone numbers that could run now."),
    _led("byoc_queue_delayed", "Phone numbers in back-off."),
    _led("byoc_queue_parked", "Phone numbers that wait for LiveKit to answer."),
    _led("byoc_paced_limit", "Most runs at once of what can wait for LiveKit."),
    _led("byoc_queue_oldest_seconds", "Wait of the oldest that could run."),
    _led("byoc_run_oldest_seconds", "Duration of the longest run under way."),
    _led("byoc_orphans", "LiveKit objects with our mark that belong to no number."),
    _led("byoc_retained_numbers", "Phone numbers that Retain or Observe left in LiveKit, without an object."),
    _led("byoc_livekit_objects", "SIP objects in LiveKit, whoever's."),
    _led("byoc_livekit_unreadable", "SIP objects in LiveKit that cannot be read whole, or whose ID nobody can use."),
    _led("byoc_livekit_up", "1 if LiveKit answered the last sweep, 0 if not. Absent before the first."),
    _led(
        "byoc_livekit_trouble",
        "1 for the reason why LiveKit as a whole failed the last sweep, 0 for the others.",
        reason=LIVEKIT_AS_A_WHOLE,
    ),
    _led(
        "byoc_last_sweep_timestamp_seconds",
        "When the last good sweep ended; before the first, when this replica began to lead.",
    ),
    _led("byoc_sweep_interval_seconds", "Seconds between two sweeps, as the settings say."),
    _led(
        "byoc_unreadable_objects",
        "Objects that cannot be read and are passed over, by resource.",
        resource=("byocphonenumbers", "secrets"),
    ),
    _led("byoc_carriers_file_wrong", "1 if the file of carriers cannot be used and the last good one counts, else 0."),
    _led("byoc_sealing_keys_readable", "1 if the last look found the sealing keys, 0 if not."),
    _led(
        "byoc_sealing_keys_lost",
        "1 if the sealing keys are missing or unusable although something is sealed or keys were in use, else 0.",
    ),
    _gauge("byoc_build_info", "1; the version of the operator is in the label.", version=()),
    _gauge("byoc_leading", "1 if this replica works, 0 if it stands by."),
    _gauge(
        "byoc_refused_requests",
        "Requests that the API server refuses at present: one for a missing right in each namespace, one for each "
        "object.",
        verb=(),
        resource=(),
    ),
    _gauge("byoc_events_waiting", "Events that are not posted yet."),
    _gauge("byoc_watches_broken", "Watches that are not alive."),
    _gauge("byoc_unhandled_errors", "Errors that nobody caught, each a bug."),
    _gauge(
        "byoc_admission_certificate_expiry_timestamp_seconds",
        "When the certificate ends that the webhook shows. Absent without a webhook.",
    ),
    _counter(
        "byoc_reconciles_total",
        "Runs of the reconcile function.",
        result=("done", "waiting", "parked", "unavailable", "bug"),
    ),
    Metric("byoc_reconcile_seconds", Type.HISTOGRAM, "Duration of a run.", buckets=CALL_S),
    Metric(
        "byoc_first_ready_seconds",
        Type.HISTOGRAM,
        "Time from the creation of a number to its first Ready, once per number. A number that is not Ready yet when "
        "the leader changes is not counted.",
        buckets=READY_S,
    ),
    _counter(
        "byoc_livekit_changes_total",
        "Changes made in LiveKit.",
        kind=_OBJECTS,
        verb=("create", "replace", "delete", "remark"),
    ),
    _counter("byoc_drift_repaired_total", "Fields that were put right after somebody else changed them.", field=()),
    _counter("byoc_livekit_requests_total", "Calls to LiveKit by method and outcome.", method=(), outcome=()),
    Metric(
        "byoc_livekit_request_seconds",
        Type.HISTOGRAM,
        "Duration of a call to LiveKit.",
        {"method": ()},
        buckets=CALL_S,
    ),
    _counter("byoc_kubernetes_requests_total", "Own requests to the API server.", verb=(), resource=(), status=()),
    _counter(
        "byoc_throttled_total",
        "Times that a server asked to wait (Retry-After) and a run or sweep waited.",
        server=("livekit", "kubernetes"),
    ),
    _counter(
        "byoc_throttled_seconds_total", "Seconds that the servers asked to wait.", server=("livekit", "kubernetes")
    ),
    _counter(
        "byoc_admission_reviews_total",
        "Labelled Secrets that the API server asked about, by outcome.",
        outcome=OUTCOMES,
    ),
    _counter(
        "byoc_events_dropped_total",
        "Events that were not posted: too many waited, one waited too long, the API server refused it, the process "
        "ended, or a bug.",
        cause=DROPPED,
    ),
    _counter("byoc_sweeps_total", "Sweeps over all numbers.", result=("done", "failed")),
    _counter("byoc_sweep_bugs_total", "Parts of sweeps that failed by a bug, and were left out.", part=SWEEP_PARTS),
    _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    _gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    _gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    _counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    _gauge("process_open_fds", "Number of open file descriptors."),
    _gauge("process_max_fds", "Maximum number of open file descriptors."),
)
"""Every metric of a process, in the order of the reference."""

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}

LED: Mapping[str, str] = {metric.name: metric.meaning for metric in METRICS if metric.led and not metric.opt_in}
"""What only the leader knows. A replica that stands by has no series of these: a 0 would look like a fault."""
