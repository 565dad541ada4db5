"""The Grafana dashboard: one table of panels, of which the chart's ConfigMap and the plain one are made.

What only the leader knows has no series of a replica that stands by, so `max` and `sum` over the replicas are the
leader's values, and no query asks who leads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from .alerts import IN_STEP

OBJECT_FILE = "deploy/components/monitoring/dashboard.yaml"
CHART_FILE = "helm/byoc-operator/files/monitoring/dashboard.json"
DATA_KEY = "byoc-operator.json"

_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_AT_JOB = '{job="$job"'


@dataclass(frozen=True, slots=True)
class Query:
    """`expression`: PromQL in which `$` stands for the matcher of the job. `legend`: as Grafana writes it."""

    expression: str
    legend: str = ""

    @property
    def promql(self) -> str:
        """As Grafana sends it, with its variables."""
        return self.expression.replace("$, ", f"{_AT_JOB}, ").replace("$}", f"{_AT_JOB}}}").replace("{{", "{")


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit`: as Grafana names it. `width`: of 24 columns; `height`: rows of 30 pixels."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    stacked: bool = False


def _stat(title: str, description: str, expression: str, unit: str = "short", legend: str = "") -> Panel:
    return Panel(title, description, (Query(expression, legend),), unit, "stat", 4, 4)


def _p(quantile: float, name: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({labels}) (rate({name}_bucket{{$}}[$__rate_interval])))"


_READY = "|".join(IN_STEP)

PANELS: tuple[Panel, ...] = (
    _stat("Leaders", "Replicas that work: 1 in good health. The others stand by.", "sum(byoc_leading{$})"),
    _stat("LiveKit", "1 if LiveKit answered the last sweep.", "max(byoc_livekit_up{$})"),
    _stat("Numbers", "ByocPhoneNumber objects.", "sum(byoc_numbers{$})"),
    _stat(
        "Not in step",
        "Numbers that are not as their object says, for whatever reason.",
        f'sum(byoc_numbers{{$, reason!~"{_READY}"}})',
    ),
    _stat(
        "Since the last sweep",
        "Time since all numbers were last compared with LiveKit.",
        "time() - max(byoc_last_sweep_timestamp_seconds{$})",
        "s",
    ),
    _stat("Version", "Version of the operator.", "max by (version) (byoc_build_info{$})", legend="{{version}}"),
    Panel(
        "Numbers by reason",
        "The reason of the Ready condition. `kubectl get bpn -A` shows which.",
        (Query("sum by (reason) (byoc_numbers{$}) > 0", "{{reason}}"),),
        width=12,
        stacked=True,
    ),
    Panel(
        "Findings",
        "What works but should be better, by finding.",
        (Query("max by (code) (byoc_findings{$}) > 0", "{{code}}"),),
        width=12,
    ),
    Panel(
        "Queue",
        "Phone numbers that could run now, are in back-off, or wait for LiveKit to answer.",
        (
            Query("max(byoc_queue_depth{$})", "could run"),
            Query("max(byoc_queue_delayed{$})", "in back-off"),
            Query("max(byoc_queue_parked{$})", "wait for LiveKit"),
        ),
        stacked=True,
    ),
    Panel(
        "Longest wait and longest run",
        "How long the oldest phone number has waited for its run, and how long the longest run has taken so far.",
        (
            Query("max(byoc_queue_oldest_seconds{$})", "wait"),
            Query("max(byoc_run_oldest_seconds{$})", "run"),
        ),
        "s",
    ),
    Panel(
        "Time to the first Ready",
        "From the creation of a number. Times are in whole seconds, as the API server notes the creation.",
        (Query(_p(0.5, "byoc_first_ready_seconds"), "median"), Query(_p(0.95, "byoc_first_ready_seconds"), "95 %")),
        "s",
    ),
    Panel(
        "Runs",
        "Runs of the reconcile function per second, by result.",
        (Query("sum by (result) (rate(byoc_reconciles_total{$}[$__rate_interval])) > 0", "{{result}}"),),
        "ops",
        stacked=True,
    ),
    Panel(
        "Duration of a run",
        "",
        (Query(_p(0.5, "byoc_reconcile_seconds"), "median"), Query(_p(0.99, "byoc_reconcile_seconds"), "99 %")),
        "s",
    ),
    Panel(
        "Sweeps",
        "Comparisons of LiveKit with all numbers, per second. `failed`: LiveKit did not answer.",
        (Query("sum by (result) (rate(byoc_sweeps_total{$}[$__rate_interval]))", "{{result}}"),),
        "ops",
    ),
    Panel(
        "Calls to LiveKit",
        "Per second, by outcome: `ok`, or the reason of the failure.",
        (Query("sum by (outcome) (rate(byoc_livekit_requests_total{$}[$__rate_interval]))", "{{outcome}}"),),
        "ops",
        stacked=True,
    ),
    Panel(
        "Duration of calls to LiveKit",
        "99 of 100 calls are quicker, by method.",
        (Query(_p(0.99, "byoc_livekit_request_seconds", "method"), "{{method}}"),),
        "s",
    ),
    Panel(
        "Changes in LiveKit",
        "Objects created, replaced and deleted, per second.",
        (
            Query(
                "sum by (kind, verb) (rate(byoc_livekit_changes_total{$}[$__rate_interval])) > 0", "{{verb}} {{kind}}"
            ),
        ),
        "ops",
    ),
    Panel(
        "Repaired drift",
        "Fields that somebody else changed in LiveKit, per hour. What comes back again and again has a second writer.",
        (Query("sum by (field) (increase(byoc_drift_repaired_total{$}[1h])) > 0", "{{field}}"),),
    ),
    Panel(
        "Requests to the API server",
        "Per second, by HTTP status.",
        (Query("sum by (status) (rate(byoc_kubernetes_requests_total{$}[$__rate_interval]))", "{{status}}"),),
        "ops",
        stacked=True,
    ),
    Panel(
        "Waiting as servers ask",
        "Seconds of waiting that LiveKit and the API server asked for (Retry-After), per second.",
        (Query("sum by (server) (rate(byoc_throttled_seconds_total{$}[$__rate_interval]))", "{{server}}"),),
    ),
    Panel(
        "Trouble",
        "Watches that are not alive, requests that the API server refuses, objects that cannot be read. All 0 "
        "in good health.",
        (
            Query("sum(byoc_watches_broken{$})", "watches broken"),
            Query("sum(byoc_refused_requests{$}) or vector(0)", "requests refused"),
            Query("sum(byoc_unreadable_objects{$})", "objects unreadable"),
            Query("max(byoc_livekit_unreadable{$})", "LiveKit objects unreadable"),
            Query("sum(byoc_unhandled_errors{$}) + sum(byoc_sweep_bugs_total{$})", "bugs"),
        ),
    ),
    Panel(
        "Objects in LiveKit",
        "All SIP objects; of them orphans. Retained: phone numbers left on purpose.",
        (
            Query("max(byoc_livekit_objects{$})", "all"),
            Query("max(byoc_orphans{$})", "orphans"),
            Query("max(byoc_retained_numbers{$})", "retained"),
        ),
    ),
    Panel(
        "Oldest SIP password",
        "Age of the Secret in use that has not changed for longest.",
        (Query("max(byoc_credentials_oldest_seconds{$})", "age"),),
        "s",
    ),
    Panel(
        "Memory",
        "Resident memory of each replica.",
        (Query("process_resident_memory_bytes{$}", "{{instance}}"),),
        "bytes",
    ),
    Panel(
        "Processor",
        "Processors that each replica uses.",
        (Query("rate(process_cpu_seconds_total{$}[$__rate_interval])", "{{instance}}"),),
    ),
)
"""The panels, from left to right and from top to bottom."""


def dashboard_files() -> Mapping[str, str]:
    """The dashboard by path: as Grafana reads it, and in a ConfigMap that Grafana's sidecar finds."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "byoc-operator-dashboard",
            "namespace": "byoc-system",
            "labels": {"grafana_dashboard": "1"},
        },
        "data": {DATA_KEY: text},
    }
    heading = "# Generated by `make generate` from generate/dashboard.py; changes made here are lost.\n"
    return {CHART_FILE: text, OBJECT_FILE: heading + yaml.dump(config_map, Dumper=_Block, sort_keys=False)}


class _Block(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


def _as_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Block.add_representer(str, _as_block)


def dashboard() -> Mapping[str, Any]:
    """The dashboard as Grafana stores it."""
    return {
        "uid": "byoc-operator",
        "title": "BYOC operator",
        "tags": ["byoc", "livekit", "sip"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": _placed(),
    }


def _variables() -> list[Mapping[str, Any]]:
    job = "label_values(byoc_leading, job)"
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "job",
            "label": "Installation",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": job, "refId": "job"},
            "definition": job,
            "refresh": 2,
            "sort": 1,
        },
    ]


def _placed() -> list[Mapping[str, Any]]:
    """The panels, each at its place: a row is full when the next panel does not fit into it."""
    placed: list[Mapping[str, Any]] = []
    x = y = row_height = 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > _WIDTH:
            x, y, row_height = 0, y + row_height, 0
        placed.append(_panel(number, panel, x, y))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return placed


def _panel(number: int, panel: Panel, x: int, y: int) -> Mapping[str, Any]:
    custom = {"fillOpacity": 20 if panel.stacked else 5, "stacking": {"mode": "normal" if panel.stacked else "none"}}
    of_stat = {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "auto"}
    by_name = {**of_stat, "textMode": "name"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": query.promql, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, **({"custom": custom} if panel.kind == "timeseries" else {})},
            "overrides": [],
        },
        "options": (by_name if panel.queries[0].legend else of_stat)
        if panel.kind == "stat"
        else {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}},
    }
