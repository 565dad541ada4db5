"""The alerts: one table, of which the chart's rules, the plain rules and the table of docs/operations.md are made.

Each expression is aggregated by `namespace` and `job`, the labels that every scrape brings: so several installations on
one Prometheus do not mix, and a change of the leader does not begin an alert anew. What only the leader knows has no
series of a replica that stands by, so no expression asks who leads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from ..api.conditions import LIVEKIT_AS_A_WHOLE, Reason

RUNBOOKS = "docs/runbooks.md"
"""The page in the repository. It is no URL, so the annotation that names it is `runbook`: no tool links to that one."""

RULES_FILE = "deploy/components/monitoring/rules.yaml"
OBJECT_FILE = "deploy/components/monitoring/prometheusrule.yaml"
CHART_FILE = "helm/byoc-operator/files/monitoring/rules.yaml"
CHART_RUNBOOKS = "@RUNBOOKS@"
"""What the chart's template replaces with its value; without a value the annotation becomes that of the plain rules."""

IN_STEP = (Reason.SYNCED, Reason.PAUSED, Reason.CHANGES_PENDING)
"""Reasons of which nothing has to be done: the number is as its owner wants it."""


class Severity(StrEnum):
    """`CRITICAL`: somebody must look now. `WARNING`: today. `INFO`: some time."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `lasts`: how long the expression must hold before it fires, as Prometheus writes durations."""

    name: str
    expression: str
    lasts: str
    severity: Severity
    summary: str
    description: str

    @property
    def anchor(self) -> str:
        """Its heading in docs/runbooks.md, as a link."""
        return self.name.lower()


_NOT_STALLED = "|".join((*IN_STEP, *LIVEKIT_AS_A_WHOLE))
"""Reasons that need nobody, and those of which `ByocLiveKitDown` and `ByocLiveKitKeyRefused` tell once."""

ALERTS: tuple[Alert, ...] = (
    Alert(
        "ByocLiveKitDown",
        'max by (namespace, job, reason) (byoc_livekit_trouble{reason!="LiveKitUnauthorized"}) == 1',
        "5m",
        Severity.CRITICAL,
        "LiveKit does not serve the operator ({{ $labels.reason }}).",
        "Every sweep of the last 5 minutes failed with {{ $labels.reason }}. Numbers that are Ready go on "
        "working, as far "
        "as LiveKit takes calls; changes and deletions wait.",
    ),
    Alert(
        "ByocLiveKitKeyRefused",
        'max by (namespace, job) (byoc_livekit_trouble{reason="LiveKitUnauthorized"}) == 1',
        "2m",
        Severity.CRITICAL,
        "LiveKit refuses the API key of the operator.",
        "LiveKit does not accept the key, or the key may not manage SIP. Changes and deletions wait until the "
        "Secret with "
        "the key is right; the operator reads it again by itself.",
    ),
    Alert(
        "ByocNumbersStalled",
        f'sum by (namespace, job, reason) (byoc_numbers{{reason!~"{_NOT_STALLED}"}}) > 0',
        "15m",
        Severity.WARNING,
        "{{ $value }} numbers are not Ready ({{ $labels.reason }}).",
        "{{ $value }} numbers have had the reason {{ $labels.reason }} for 15 minutes. "
        "`kubectl get bpn -A` shows which, and their Ready condition what to do.",
    ),
    Alert(
        "ByocQueueAgeing",
        "max by (namespace, job) (byoc_queue_oldest_seconds) > 60",
        "10m",
        Severity.WARNING,
        "Changes of numbers wait for more than a minute.",
        "The oldest phone number that could run has waited for {{ $value | humanizeDuration }}: there is more "
        "work than "
        "LiveKit or the API server takes.",
    ),
    Alert(
        "ByocSweepLate",
        "max by (namespace, job) (time() - byoc_last_sweep_timestamp_seconds)"
        " > max by (namespace, job) (3 * byoc_sweep_interval_seconds + 60)"
        " unless max by (namespace, job) (byoc_livekit_up) == 0",
        "1m",
        Severity.WARNING,
        "The numbers have not been compared with LiveKit for a long time.",
        "The last good sweep ended {{ $value | humanizeDuration }} ago, more than three intervals, although LiveKit "
        "answers. Drift is not repaired meanwhile.",
    ),
    Alert(
        "ByocDriftComesBack",
        "sum by (namespace, job, field) (increase(byoc_drift_repaired_total[1h])) > 2",
        "5m",
        Severity.WARNING,
        "Somebody else keeps changing {{ $labels.field }} in LiveKit.",
        "The operator has put {{ $labels.field }} right {{ $value | humanize }} times within an hour. Another "
        "program or "
        "another installation with the same ID writes the same objects.",
    ),
    Alert(
        "ByocNoLeader",
        "sum by (namespace, job) (byoc_leading) == 0 or absent(byoc_leading)",
        "2m",
        Severity.CRITICAL,
        "No replica of the operator works.",
        "No replica leads, or none answers Prometheus. Calls go on; changes, deletions and repairs wait.",
    ),
    Alert(
        "ByocSeveralLeaders",
        "sum by (namespace, job) (byoc_leading) > 1",
        "2m",
        Severity.CRITICAL,
        "{{ $value }} replicas of the operator lead at once.",
        "More than one replica leads. With BYOC_LEADER_ELECTION=false there must be one replica only.",
    ),
    Alert(
        "ByocWatchesBroken",
        "byoc_watches_broken > 0",
        "5m",
        Severity.CRITICAL,
        "The operator does not see changes of numbers or Secrets.",
        "{{ $value }} watches of {{ $labels.instance }} are not alive. `/readyz` says which and why.",
    ),
    Alert(
        "ByocSealingKeysLost",
        "max by (namespace, job) (byoc_sealing_keys_lost) == 1",
        "2m",
        Severity.CRITICAL,
        "The sealing keys are lost.",
        "The Secret byoc-sealing-keys is missing or cannot be used. Restore it before the operator restarts: "
        "without it "
        "nothing sealed opens.",
    ),
    Alert(
        "ByocCredentialsOld",
        'max by (namespace, job) (byoc_findings{code="CredentialsOld"}) > 0',
        "1h",
        Severity.INFO,
        "{{ $value }} numbers have old SIP passwords.",
        "The SIP passwords of {{ $value }} numbers are older than BYOC_CREDENTIALS_MAX_AGE_DAYS.",
    ),
    Alert(
        "ByocAdmissionRefusals",
        'sum by (namespace, job) (increase(byoc_admission_reviews_total{outcome="refused"}[15m])) > 0',
        "0m",
        Severity.WARNING,
        "The webhook refuses Secrets.",
        "{{ $value | humanize }} Secrets were refused within 15 minutes. Whoever applied them has seen why; "
        "the log names "
        "them.",
    ),
    Alert(
        "ByocWebhookCertificateEnding",
        "min by (namespace, job) (byoc_admission_certificate_expiry_timestamp_seconds - time()) < 7 * 86400",
        "15m",
        Severity.CRITICAL,
        "The certificate of the webhook ends in {{ $value | humanizeDuration }}.",
        "The certificate should have been renewed weeks ago. When it ends, the API server refuses every "
        "labelled Secret.",
    ),
    Alert(
        "ByocRequestsRefused",
        "max by (namespace, job, verb, resource) (byoc_refused_requests) > 0",
        "5m",
        Severity.CRITICAL,
        "The API server refuses to let the operator {{ $labels.verb }} {{ $labels.resource }}.",
        "A right is missing, or an admission policy or webhook refuses an object. The log has the words of the "
        "API server.",
    ),
    Alert(
        "ByocThrottled",
        "sum by (namespace, job, server) (increase(byoc_throttled_seconds_total[15m])) > 300",
        "15m",
        Severity.WARNING,
        "{{ $labels.server }} keeps asking the operator to wait.",
        "{{ $labels.server }} asked for {{ $value | humanizeDuration }} of waiting within 15 minutes.",
    ),
    Alert(
        "ByocObjectsUnreadable",
        "max by (namespace, job, resource) (byoc_unreadable_objects) > 0",
        "15m",
        Severity.WARNING,
        "{{ $value }} {{ $labels.resource }} cannot be read.",
        "The operator passes over {{ $value }} {{ $labels.resource }} that it cannot read; the log and Events "
        "name them.",
    ),
    Alert(
        "ByocLiveKitUnreadable",
        "max by (namespace, job) (byoc_livekit_unreadable) > 0",
        "15m",
        Severity.WARNING,
        "{{ $value }} SIP objects in LiveKit cannot be read whole.",
        "Somebody put objects into LiveKit that the operator cannot read whole; the log names them.",
    ),
    Alert(
        "ByocLeftInLiveKit",
        "max by (namespace, job) (byoc_orphans) > 0 or max by (namespace, job) (byoc_retained_numbers) > 0",
        "1h",
        Severity.INFO,
        "LiveKit holds objects of numbers that are gone.",
        "{{ $value }} orphans or retained numbers keep their phone number from others.",
    ),
    Alert(
        "ByocBug",
        "sum by (namespace, job) (increase(byoc_sweep_bugs_total[1h])) > 0"
        ' or sum by (namespace, job) (increase(byoc_reconciles_total{result="bug"}[1h])) > 0'
        " or sum by (namespace, job) (delta(byoc_unhandled_errors[1h])) > 0",
        "0m",
        Severity.WARNING,
        "A bug of the operator keeps it from part of its work.",
        "The log has a line that begins with `a bug:` and names the place. Please report it.",
    ),
)
"""Every alert, in the order of docs/runbooks.md."""


def alert_files() -> Mapping[str, str]:
    """The rules by path: for the chart, as an object, and as Prometheus itself reads them."""
    heading = "# Generated by `make generate` from generate/alerts.py; changes made here are lost.\n"
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "byoc-operator", "namespace": "byoc-system"},
        "spec": groups(RUNBOOKS, "runbook"),
    }
    return {
        RULES_FILE: heading + _yaml(groups(RUNBOOKS, "runbook")),
        OBJECT_FILE: heading + _yaml(rule),
        CHART_FILE: heading + _yaml(groups(CHART_RUNBOOKS, "runbook_url")),
    }


def groups(runbooks: str, annotation: str) -> Mapping[str, Any]:
    """The rules as Prometheus reads them. `runbooks`: where the runbooks are; `annotation`: what says so."""
    return {"groups": [{"name": "byoc-operator", "rules": [_rule(alert, runbooks, annotation) for alert in ALERTS]}]}


def _rule(alert: Alert, runbooks: str, annotation: str) -> Mapping[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasts,
        "labels": {"severity": str(alert.severity)},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            annotation: f"{runbooks}#{alert.anchor}",
        },
    }


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
