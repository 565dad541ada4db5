"""What the chart renders for Prometheus and Grafana, and what the runbooks have for it."""

import json
import re

import pytest

from byoc_operator.api.conditions import REMEDIES
from byoc_operator.generate.alerts import ALERTS, groups
from byoc_operator.generate.alerts import RUNBOOKS as PAGE
from byoc_operator.generate.dashboard import DATA_KEY, PANELS, dashboard
from byoc_operator.telemetry.table import BY_NAME
from install.rendered import DEFAULTS, EVERYTHING, NAME, Json
from install.rendering import ROOT, chart

MONITORING = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")


def rendered(values: Json, kind: str) -> Json:
    (found,) = [each for each in chart(NAME, values) if each["kind"] == kind]
    return found


def test_nothing_of_it_is_there_unless_wanted() -> None:
    found = chart(NAME, DEFAULTS)
    assert MONITORING.isdisjoint(each["kind"] for each in found)
    assert [each for each in found if each["metadata"]["name"].endswith("-dashboard")] == []


def test_the_rules_are_the_alerts_with_the_links_of_the_values() -> None:
    rule = rendered(EVERYTHING, "PrometheusRule")
    assert rule["spec"] == groups("https://git.example/r.md", "runbook_url")
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_without_a_url_the_alerts_have_no_link() -> None:
    rule = rendered({**DEFAULTS, "metrics": {"prometheusRule": {"enabled": True}}}, "PrometheusRule")
    assert rule["spec"] == groups(PAGE, "runbook")


def test_scraping_is_as_the_values_say() -> None:
    monitor = rendered(EVERYTHING, "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["byoc-system"]}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {
        "port": "http",
        "path": "/metrics",
        "interval": "30s",
        "scrapeTimeout": "5s",
        "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
        "metricRelabelings": [{"action": "drop", "regex": "process_.*", "sourceLabels": ["__name__"]}],
    }
    pods = rendered(EVERYTHING, "PodMonitor")["spec"]
    assert pods["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "1m"}]
    assert pods["selector"] == monitor["spec"]["selector"]


def test_the_dashboard_is_found_by_the_sidecar_of_grafana() -> None:
    (found,) = [each for each in chart(NAME, EVERYTHING) if DATA_KEY in each.get("data", {})]
    assert (found["metadata"]["namespace"], found["metadata"]["labels"]["grafana_dashboard"]) == ("monitoring", "1")
    assert found["metadata"]["annotations"] == {"grafana_folder": "Voice"}
    assert json.loads(found["data"][DATA_KEY]) == dashboard()


def test_the_panels_ask_for_metrics_that_there_are_of_one_installation() -> None:
    for panel in PANELS:
        for query in panel.queries:
            names = re.findall(r"\b((?:byoc|process)_\w+?)(?:_bucket)?(\{[^}]*\})?(?=[\s\[\)]|$)", query.promql)
            assert names, panel.title
            assert {name for name, _ in names} <= BY_NAME.keys(), panel.title
            assert all('job="$job"' in matchers for _, matchers in names), panel.title


def test_the_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("name", [*(alert.name for alert in ALERTS), *map(str, REMEDIES)])
def test_every_alert_and_reason_has_its_section_of_the_runbooks(name: str) -> None:
    section = RUNBOOKS.partition(f"\n### {name}\n")[2].partition("\n#")[0]
    assert re.findall(r"^\*\*(\w+):\*\* \S", section, re.MULTILINE) == ["Means", "Look", "Do"]


def test_the_runbooks_have_no_section_of_anything_else() -> None:
    headings = re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE)
    assert headings == [*(alert.name for alert in ALERTS), *map(str, REMEDIES)]
    assert [alert.anchor for alert in ALERTS] == [alert.name.lower() for alert in ALERTS]
