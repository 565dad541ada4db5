"""Alerts and dashboard on a real Prometheus that scrapes real operators: a leader under load, and a standby."""

import json
import math
import time
from collections.abc import Iterator

import pytest

from byoc_operator.generate.alerts import RULES_FILE
from byoc_operator.generate.dashboard import CHART_FILE, PANELS
from integration.deployment import Deployment
from integration.fixtures import ROOT
from integration.scene import GOOD_SECRET, Scene
from testbed.operator_process import OperatorProcess
from testbed.prometheus import Prometheus

NUMBERS = 30
PENDING_AFTER_S = 3.0
"""Rules are evaluated each second."""
ALERTS = 'ALERTS{alertname=~"Byoc.*"}'


@pytest.fixture(scope="module")
def standby(deployment: Deployment) -> Iterator[OperatorProcess]:
    """A replica that stands by, beside the module's operator, which leads."""
    deployment.ensure()
    process = deployment.replica("standby", deployment.proxy.url)
    process.wait_ready()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def prometheus(
    deployment: Deployment, standby: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It scrapes both."""
    targets = {"leader": deployment.process.port, "standby": standby.port}
    part = Prometheus(tmp_path_factory.mktemp("monitoring"), targets, ROOT / RULES_FILE)
    part.start()
    yield part
    part.stop()


def _here(expression: str) -> str:
    """An expression of the dashboard with its variables as they are here."""
    return expression.replace("$job", "byoc-operator").replace("$__rate_interval", "20s")


def test_a_healthy_pair_raises_no_alert_and_sums_over_it_are_right(stage: Scene, prometheus: Prometheus) -> None:
    stage.numbers(3)
    stage.all_ready(3)
    stage.until(lambda: prometheus.query("sum(byoc_numbers) == 3"), "Prometheus has scraped it")
    stage.until(lambda: prometheus.query("count(up == 1)") == [({}, 2)], "Prometheus has scraped both")
    assert prometheus.query("sum(byoc_leading)") == [({}, 1)]
    synced = 'sum(byoc_numbers{reason="Synced"})'
    stage.until(lambda: prometheus.query(synced) == [({}, 3)], "a later scrape says that all three are in step")
    time.sleep(PENDING_AFTER_S)
    assert prometheus.query(ALERTS) == [], "not even one that waits for its time"


def test_an_outage_begins_its_own_alert_and_no_other(stage: Scene, prometheus: Prometheus) -> None:
    stage.number()
    stage.ready()
    stage.proxy.status("ListSIPDispatchRule", 503, "{}", times=1000)
    stage.proxy.status("ListSIPOutboundTrunk", 503, "{}", times=1000)
    stage.until(lambda: prometheus.query(ALERTS), "an alert waits for its time", within_s=30)
    time.sleep(PENDING_AFTER_S)
    names = {labels["alertname"] for labels, _ in prometheus.query(ALERTS)}
    stage.proxy.clear()
    assert names == {"ByocLiveKitDown"}
    stage.until(lambda: not prometheus.query(ALERTS), "it is over", within_s=40)


def _busy(stage: Scene) -> None:
    """Numbers are made, changed and deleted; others change LiveKit; LiveKit asks to wait and is away for a while."""
    stage.secret(GOOD_SECRET)
    phones = stage.numbers(NUMBERS)
    stage.number("with-secret", sipPasswordSecretRef={"name": "sip"})
    stage.number("without-agent", inboundAgentId=None)
    stage.all_ready(NUMBERS + 2, within_s=60)
    stage.proxy.ask_to_wait("UpdateSIPOutboundTrunk", 2, times=2)
    for index in range(10):
        stage.change(f"n{index:03}", friendlyName=f"number {index}")
    stage.sip.delete(stage.held(phones["n011"]).ids[0], stage.held(phones["n012"]).ids[2])
    stage.delete("n013")
    stage.proxy.status("ListSIPDispatchRule", 503, "{}", times=3)
    stage.proxy.status("ListSIPInboundTrunk", 503, "{}", times=3)
    stage.until(lambda: stage.held(phones["n011"]).counts == (1, 1, 1), "what was deleted is back", within_s=30)
    stage.number("claimed", phoneNumber=phones["n000"])
    stage.told("NumberClaimed", "claimed")
    assert stage.deployment.process.metrics()['byoc_throttled_seconds_total{server="livekit"}'] > 0


def _dashboard() -> list[tuple[str, str]]:
    """Title and expression of each query, as Grafana would send it."""
    found = json.loads((ROOT / CHART_FILE).read_text(encoding="utf-8"))
    return [(panel["title"], target["expr"]) for panel in found["panels"] for target in panel["targets"]]


def test_every_panel_of_the_dashboard_has_data_under_load(stage: Scene, prometheus: Prometheus) -> None:
    _busy(stage)
    missing: list[tuple[str, str]] = []

    def all_there() -> bool:
        missing[:] = [each for each in _dashboard() if not _numbers(prometheus, each[1])]
        return not missing

    stage.found_within(all_there, 15)
    assert missing == []
    assert prometheus.query(_here(PANELS[0].queries[0].promql)) == [({}, 1)], "the standby does not count"


def _numbers(prometheus: Prometheus, expression: str) -> list[float]:
    """What a query of the dashboard shows; a quantile of nothing is no number."""
    return [value for _, value in prometheus.query(_here(expression)) if not math.isnan(value)]
