"""The real operator loses a part that it needs: it reports that and ends. It also ends on signals."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from integration.deployment import Deployment
from integration.scene import Scene
from testbed.http_probe import get
from testbed.operator_process import OperatorProcess

GRACE_S = 30
"""What a pod has, from SIGTERM to SIGKILL."""


def ended_by(process: OperatorProcess, *numbers: int) -> int | None:
    """The exit code after these signals."""
    for number in numbers:
        os.kill(process.pid, number)
        time.sleep(0.1)
    return process.wait_ended(GRACE_S)


def _starting(stage: Scene, deployment: Deployment) -> OperatorProcess:
    stage.bed.api_server.stop()
    process = deployment.launch()
    stage.until(lambda: get(process.port, "/healthz").status == 200, "it has begun", within_s=60)
    return process


def _starting_without_an_id(stage: Scene, deployment: Deployment) -> OperatorProcess:
    stage.bed.api_server.stop()
    process = deployment.launch({"BYOC_INSTALLATION_ID": ""})
    stage.until(lambda: "waiting for the API server" in process.log_text(), "it waits for the API server", within_s=60)
    return process


def _working(_stage: Scene, deployment: Deployment) -> OperatorProcess:
    deployment.ensure()
    return deployment.process


def _without_its_api_server(stage: Scene, deployment: Deployment) -> OperatorProcess:
    deployment.ensure({"BYOC_LEADER_ELECTION": "false"})
    stage.bed.api_server.stop()
    stage.until(lambda: not deployment.process.is_ready(), "it has noticed", within_s=60)
    return deployment.process


@pytest.fixture
def api_server_back(stage: Scene) -> Iterator[None]:
    yield
    if not stage.bed.api_server.is_ready():
        stage.bed.api_server.start()


@pytest.mark.usefixtures("api_server_back")
@pytest.mark.parametrize("state", [_starting, _starting_without_an_id, _working, _without_its_api_server])
def test_in_every_state_sigterm_ends_it_well(
    stage: Scene, deployment: Deployment, state: Callable[[Scene, Deployment], OperatorProcess]
) -> None:
    process = state(stage, deployment)
    assert get(process.port, "/healthz").status == 200, "a restart would mend nothing"
    assert ended_by(process, signal.SIGTERM) == 0


def test_a_replica_that_stands_by_ends_well(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure()
    other = deployment.replica("standby", stage.proxy.url)
    other.wait_ready()
    assert ended_by(other, signal.SIGTERM) == 0


def test_a_second_signal_ends_it_at_once(stage: Scene, deployment: Deployment) -> None:
    """While what is under way may take its time: LiveKit does not answer."""
    deployment.ensure()
    stage.proxy.hang("CreateSIPInboundTrunk")
    stage.number()
    stage.until(lambda: stage.proxy.under_way["Create"] == 1, "a run waits for LiveKit")
    assert ended_by(deployment.process, signal.SIGTERM, signal.SIGTERM) == 128 + signal.SIGTERM
    assert "ended: a second signal, SIGTERM" in deployment.process.log_text().splitlines()[-1]
    stage.bed.kubectl("-n", "byoc-system", "delete", "lease", "byoc-operator", "--ignore-not-found")


@contextmanager
def _definition_away(stage: Scene) -> Iterator[None]:
    """The watch of numbers fails for good: it is answered with 404."""
    name = "byocphonenumbers.byoc.talkifai.dev"
    kept = stage.bed.kubectl("get", "crd", name, "-o", "yaml").stdout
    stage.bed.kubectl("delete", "crd", name)
    try:
        yield
    finally:
        fresh = "\n".join(line for line in kept.splitlines() if not line.startswith(("  resourceVersion:", "  uid:")))
        stage.bed.kubectl("apply", "-f", "-", stdin=fresh)
        stage.bed.wait_for_crd()


def test_a_watcher_that_ended_ends_the_process_and_the_next_one_works(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure()
    process = deployment.process
    with _definition_away(stage):
        assert process.wait_ended(90) == 1
        assert "ending: " in process.log_text()
        last = process.log_text().splitlines()[-1]
        assert last.startswith("byoc-operator: ")
        assert "kopf's task" in last or "the watcher of" in last
        lease = stage.bed.kubectl("-n", "byoc-system", "get", "lease", "byoc-operator", "-o", "jsonpath={.spec}").stdout
        assert '"holderIdentity":""' in lease or "holderIdentity" not in lease
    deployment.kept_alive()
    stage.number()
    stage.ready()


def test_a_process_that_was_suspended_is_not_ended_by_its_watchdog(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure({"BYOC_LEADER_ELECTION": "false"})
    deployment.process.suspend()
    time.sleep(5)
    deployment.process.resume()
    stage.number()
    stage.ready()
    assert deployment.process.exit_code is None
