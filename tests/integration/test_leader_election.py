"""Two replicas: one leads, the other stands by and takes over; they never both write."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from byoc_operator.telemetry.table import LED, METRICS
from byoc_operator.telemetry.table import Metric as Described
from integration.deployment import Deployment
from integration.scene import Scene, livekit_writes
from testbed.http_probe import get
from testbed.livekit_proxy import LiveKitProxy
from testbed.operator_process import OperatorProcess
from testbed.part import NotReady

LEASE = ("-n", "byoc-system", "lease", "byoc-operator")
AFTER_A_CRASH_S = 20.0
AFTER_A_STOP_S = 2.0
AT_LAST_S = 60.0
"""For what must come, on however busy a machine; how soon is measured apart."""
CONCURRENCY = 8
"""Default of BYOC_LIVEKIT_CONCURRENCY."""
SLOW_MACHINE_S = 1.0
"""What a loaded machine may add to a bound of two seconds."""


@dataclass
class Replica:
    """One operator, with a proxy of its own so that its calls to LiveKit can be told from the other's."""

    process: OperatorProcess
    proxy: LiveKitProxy

    @property
    def leads(self) -> bool:
        try:
            return self.process.metrics()["byoc_leading"] == 1
        except NotReady:
            return False

    @property
    def role(self) -> str:
        return str(json.loads(get(self.process.port, "/readyz").body or "{}").get("role"))

    @property
    def writes(self) -> dict[str, int]:
        """Calls that change LiveKit and arrived so far."""
        return livekit_writes(Counter(self.proxy.calls))


class Launch(Protocol):
    """Starts a replica and waits until it is ready."""

    def __call__(self, name: str, settings: Mapping[str, str] | None = None) -> Replica: ...


@pytest.fixture
def launch(deployment: Deployment) -> Iterator[Launch]:
    """Starts replicas and waits until they are ready; all are ended with the test."""
    deployment.stop()
    with ExitStack() as stack:

        def start(name: str, settings: Mapping[str, str] | None = None) -> Replica:
            proxy = stack.enter_context(LiveKitProxy(deployment.bed.livekit.url))
            process = deployment.replica(name, proxy.url, settings)
            stack.callback(process.kill)
            process.wait_ready()
            return Replica(process, proxy)

        yield start
        # Whoever comes next must not wait for a Lease that nobody gave back.
        deployment.bed.kubectl("delete", *LEASE, "--ignore-not-found")


@pytest.fixture
def pair(stage: Scene, launch: Launch) -> tuple[Replica, Replica]:
    """Who leads, and who stands by."""
    first = launch("a")
    stage.until(lambda: first.leads, "the first leads", within_s=AT_LAST_S)
    return first, launch("b")


def _taken_over(scene: Scene, by: Replica, since: float, within_s: float) -> float:
    scene.until(lambda: by.leads, "the other leads", within_s=AT_LAST_S)
    took_s = time.monotonic() - since
    print(f"take-over after {took_s:.2f} s")
    assert took_s <= within_s
    return took_s


def _renewed_at(scene: Scene, hours: int) -> None:
    """Make the Lease look as if the clock of who wrote it were wrong by hours."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600 * hours))
    scene.bed.kubectl("patch", *LEASE, "--type=merge", "-p", json.dumps({"spec": {"renewTime": at}}))


def _unready(replica: Replica) -> str:
    """What /readyz waits for; nothing if it is ready."""
    answer = get(replica.process.port, "/readyz")
    return answer.body if answer.status == 503 else ""


def test_one_leads_the_other_stands_by_and_both_are_ready(stage: Scene, pair: tuple[Replica, Replica]) -> None:
    leader, standby = pair
    stage.number()
    stage.ready()
    assert (leader.role, standby.role) == ("leads", "stands by")
    assert leader.process.is_ready()
    assert standby.process.is_ready()
    assert standby.proxy.calls == {}, "who stands by asks LiveKit nothing"
    holder = stage.bed.kubectl("get", *LEASE, "-o", "jsonpath={.spec.holderIdentity}").stdout
    assert holder


def _families(replica: Replica) -> dict[str, Metric]:
    """What a replica exports, by name as the reference has it."""
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(get(replica.process.port, "/metrics").body)
    }


def _labels(family: Metric) -> set[frozenset[str]]:
    """The sets of labels of its samples; the bucket's bound is not ours."""
    return {frozenset(sample.labels.keys() - {"le"}) for sample in family.samples}


@pytest.mark.parametrize("per_number", [False, True])
def test_replicas_export_what_the_reference_says(stage: Scene, launch: Launch, *, per_number: bool) -> None:
    settings = {"BYOC_METRICS_PER_NUMBER": str(per_number).lower()}
    leader = launch("a", settings)
    stage.until(lambda: leader.leads, "the first leads", within_s=AT_LAST_S)
    standby = launch("b", settings)
    phones = stage.numbers(2)
    stage.all_ready(2)
    told = {each.name: each for each in METRICS if per_number or not each.opt_in}
    del told["byoc_admission_certificate_expiry_timestamp_seconds"]  # there is no webhook
    for replica, leads in ((leader, True), (standby, False)):
        found = _families(replica)
        assert {name: (each.type, each.documentation) for name, each in found.items()} == {
            name: (str(each.type), each.meaning) for name, each in told.items()
        }
        silent = {name for name, each in found.items() if not each.samples}
        assert {name for name in silent if told[name].led} == (set() if leads else {*LED, *_opted_in(told)})
        labels = {name: _labels(each) for name, each in found.items() if each.samples}
        assert labels == {name: {frozenset(told[name].labels)} for name in labels}
        samples = [sample for each in found.values() for sample in each.samples]
        assert any(phone in str(sample.labels) for phone in phones.values() for sample in samples) is (
            per_number and leads
        )


def _opted_in(told: Mapping[str, Described]) -> set[str]:
    return {name for name, each in told.items() if each.opt_in}


def test_after_a_crash_the_other_takes_over_even_if_the_dead_one_had_a_clock_hours_ahead(
    stage: Scene, pair: tuple[Replica, Replica], record_property: Callable[[str, object], None]
) -> None:
    leader, standby = pair
    phones = stage.numbers(3)
    stage.all_ready(3)
    leader.process.kill()
    since = time.monotonic()
    _renewed_at(stage, 5)
    phones["new"] = stage.number("new")
    stage.change("n000", inboundAgentId="agent_new")
    stage.kubectl("delete", "bpn", "n001", "--wait=false")
    record_property("take-over after kill -9, s", _taken_over(stage, standby, since, AFTER_A_CRASH_S))
    stage.until(lambda: stage.find("n001") is None, "the deletion is finished")
    stage.all_ready(3)
    assert stage.held(phones["n000"]).rules[0].room_config.agents[0].agent_name == "agent_new"
    assert stage.held(phones.pop("n001")).counts == (0, 0, 0)
    stage.one_each(phones.values())


def test_after_a_clean_stop_the_other_takes_over_at_once(
    stage: Scene, pair: tuple[Replica, Replica], record_property: Callable[[str, object], None]
) -> None:
    leader, standby = pair
    since = time.monotonic()
    assert leader.process.stop().exit_code == 0
    within_s = AFTER_A_STOP_S + SLOW_MACHINE_S
    record_property("take-over after SIGTERM, s", _taken_over(stage, standby, since, within_s))
    stage.number()
    stage.ready()


def test_a_leader_that_slept_through_its_lease_writes_no_more_and_ends(
    stage: Scene, pair: tuple[Replica, Replica], record_property: Callable[[str, object], None]
) -> None:
    leader, standby = pair
    leader.proxy.slow("CreateSIPOutboundTrunk", 0.5, times=100)
    phones = stage.numbers(24)
    stage.until(lambda: leader.proxy.under_way["Create"] == CONCURRENCY, "all it may send at once is under way")
    leader.process.suspend()
    since = time.monotonic()
    record_property("take-over after SIGSTOP, s", _taken_over(stage, standby, since, AFTER_A_CRASH_S))
    stage.all_ready(24)
    written = leader.writes
    leader.process.resume()
    assert leader.process.wait_ended(30) not in (None, 0)
    assert leader.writes == written
    assert "the Lease could not be renewed" in leader.process.log_text()
    stage.one_each(phones.values())
    assert standby.leads


def test_a_clock_that_is_wrong_by_hours_takes_nobodys_lease(stage: Scene, pair: tuple[Replica, Replica]) -> None:
    leader, standby = pair
    for hours in (-5, 5):
        _renewed_at(stage, hours)
        assert not stage.found_within(lambda: standby.leads or not leader.leads, 4)
    stage.number()
    stage.ready()
    assert standby.proxy.calls == {}


def test_without_the_right_to_the_lease_nobody_works_and_the_log_says_why(
    stage: Scene, pair: tuple[Replica, Replica]
) -> None:
    leader, standby = pair
    binding = stage.bed.kubectl("-n", "byoc-system", "get", "rolebinding", "byoc-operator", "-o", "json").stdout
    stage.bed.kubectl("-n", "byoc-system", "delete", "rolebinding", "byoc-operator")
    try:
        assert leader.process.wait_ended(25) not in (None, 0)
        assert "the Lease could not be reached: PUT leases: 403" in leader.process.log_text()
        lines = standby.process.log_text().splitlines()
        assert sum("the Lease could not be reached: GET leases: 403" in line for line in lines) == 1
        stage.until(lambda: "no replica is seen to lead: " in _unready(standby), "who sees no leader says so", 40)
        assert not standby.leads
        stage.number()
    finally:
        body = json.loads(binding)
        body["metadata"] = {key: body["metadata"][key] for key in ("name", "namespace")}
        stage.bed.kubectl("create", "-f", "-", stdin=json.dumps(body))
    stage.ready(within_s=30)
    assert standby.leads
