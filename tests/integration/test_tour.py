"""`make demo` and `make dev` as a newcomer runs them, each on a bed of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import stage as stage_module
from demo.stage import DidNotHappen, Stage
from integration.deployment import Deployment
from integration.scene import Scene
from testbed import tools
from testbed.http_probe import get
from testbed.process import clean_environment

TESTS = Path(__file__).parents[1]
_TOUR_WITHIN_S = 180
_STARTED_WITHIN_S = 90


def test_the_tour_shows_every_step_and_no_password(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=tmp_path,
        env=clean_environment() | tools.variables() | {"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=_TOUR_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    headings = [line for line in done.stdout.splitlines() if line[:1].isdigit()]
    assert [heading.partition(".")[0] for heading in headings] == ["1", "2", "3", "4", "5", "6", "7"]
    assert "Repaired" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")][:5] == [
        *("etcd", "kube-apiserver", "kubectl", "redis-server", "livekit-server")
    ]
    assert "kube-controller-manager" not in done.stdout
    assert '"password":"********"' in done.stdout
    assert "replace-Me-1234" not in done.stdout


@pytest.fixture
def stage(deployment: Deployment, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage for something that does not happen, with little patience, in the namespace of the test."""
    monkeypatch.setattr(stage_module, "_WITHIN_S", 0.3)
    monkeypatch.setattr(stage_module, "NAMESPACE", scene.namespace)
    return Stage(scene.bed, deployment.process)


def test_what_does_not_happen_is_told_with_the_object_and_the_log(
    stage: Stage, scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.number()
    scene.ready()
    with pytest.raises(DidNotHappen) as failure:
        stage.expect("pigs fly", "bpn a", lambda: None)
    stage.explain(failure.value)
    told = capsys.readouterr().out
    assert "This did not happen: pigs fly within" in told
    assert "kind: ByocPhoneNumber" in told
    log = told.partition("The end of the operator's log:")[2]
    assert f'"namespace": "{scene.namespace}"' in log


def test_a_command_that_fails_ends_the_tour_and_so_does_one_that_should_have_failed(stage: Stage) -> None:
    with pytest.raises(DidNotHappen, match="get succeeds"):
        stage.run("get", "bpn", "nobody")
    with pytest.raises(DidNotHappen, match="version is refused"):
        stage.run_refused("version")
    with pytest.raises(DidNotHappen, match="all is well"):
        stage.check("all is well", "bpn", holds=False)


def test_the_bed_for_development_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "testbed"],
        cwd=tmp_path,
        env=clean_environment() | tools.variables() | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            told = "".join(_until_running(running))
            port = int(told.partition("curl http://127.0.0.1:")[2].partition("/")[0])
            assert get(port, "/readyz").status == 200
            assert _kubectl_as_told(told, tmp_path).stdout == "namespace/voice\n"
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0
    assert get(port, "/readyz").status == 0


def _until_running(running: subprocess.Popen[str]) -> Iterator[str]:
    """What it prints, up to the line that says it runs."""
    deadline = time.monotonic() + _STARTED_WITHIN_S
    assert running.stdout is not None
    for line in running.stdout:
        yield line
        if line.startswith("# Running"):
            return
        assert time.monotonic() < deadline
    pytest.fail("it ended before it was ready")


def _kubectl_as_told(told: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Kubectl in a shell that does what was printed."""
    exports = "\n".join(line for line in told.splitlines() if line.startswith("export "))
    return subprocess.run(
        ["/bin/sh", "-c", f"{exports}\nkubectl get namespace voice -o name"],
        cwd=directory,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
