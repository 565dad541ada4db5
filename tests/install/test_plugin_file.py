"""The file of `kubectl byoc` works with a Python that has none of our packages."""

import json
import os
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
    """The file for this machine and this Python, made by the module behind `make plugin`."""
    path = tmp_path_factory.mktemp("plugin") / "kubectl-byoc"
    command = [sys.executable, "-m", "plugin_file", "-o", str(path), "--minor", str(sys.version_info.minor)]
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
