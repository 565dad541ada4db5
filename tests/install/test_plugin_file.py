"""The file of `kubectl byoc` works with a Python that has none of our packages."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from byoc_operator.generate.version import project_version
from install.cluster import ROOT, Cluster

USER = "your_sip_username"
PASSWORD = "a-password-1234"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file for this machine and this Python."""
    path = tmp_path_factory.mktemp("plugin") / "kubectl-byoc"
    command = ["make", "-s", "plugin", f"PLUGIN={path}", f"PLUGIN_FLAGS=--minor {sys.version_info.minor}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=600)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home; what the file unpacks at its first start goes there."""
    return tmp_path_factory.mktemp("home")


def run(plugin: Path, home: Path, *args: str, stdin: str = "", **variables: str) -> str:
    """The output of the command under a Python without site-packages."""
    bare = [sys._base_executable, "-I", "-S", str(plugin), *args]  # type: ignore[attr-defined]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **variables}
    done = subprocess.run(bare, env=environment, input=stdin, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_tells_its_version_and_its_commands(plugin: Path, home: Path) -> None:
    assert project_version(ROOT) in run(plugin, home, "--version")
    assert "doctor" in run(plugin, home, "--help")


@pytest.mark.parametrize("command", ["status", "doctor", "plan", "import", "dial", "seal", "support-bundle", "refresh"])
def test_each_command_loads_what_it_needs(plugin: Path, home: Path, command: str) -> None:
    assert "--kubeconfig" in run(plugin, home, command, "--help")


def test_it_reads_a_cluster_and_seals_for_it(
    plugin: Path, home: Path, cluster: Cluster, place: str, voice: str
) -> None:
    cluster.install(place)
    cluster.number(voice)
    known = {"KUBECONFIG": str(cluster.bed.kubeconfig)}
    listed = json.loads(run(plugin, home, "status", "-n", voice, "-o", "json", **known))
    assert [each["name"] for each in listed["items"]] == ["a"]
    keys = {"metadata": {"name": "byoc-sealing-keys", "namespace": place}, "stringData": {"keys": "A" * 43 + "="}}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", **keys})
    sealed = run(
        plugin, home, "seal", "sip", "-n", voice, "--operator-namespace", place, stdin=f"{USER}\n{PASSWORD}\n", **known
    )
    assert "fernet:" in sealed
    assert PASSWORD not in sealed


def test_help_starts_in_less_than_three_tenths_of_a_second_of_processor_time(plugin: Path, home: Path) -> None:
    run(plugin, home, "--help")  # unpacks itself
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(plugin, home, "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.3
