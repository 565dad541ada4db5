"""Which program the test bed takes: what the user names, what was made earlier, what lies on PATH and fits."""

from functools import partial
from pathlib import Path

import pytest

from testbed import making, tools
from testbed.envtest import SETUP_ENVTEST
from testbed.finding import look
from testbed.tool import Tool, ToolMissing
from unit.testbed.machines import Machine, entered


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return entered(Machine(tmp_path), monkeypatch)


KUBECTL_SAYS = "Client Version: v{}\nKustomize Version: v5.8.1"
ON_PATH: dict[tuple[str, str, Tool], bool] = {
    # kubectl: one minor version of the API server that is going to be built, on either side
    ("1.35.9", KUBECTL_SAYS, tools.KUBECTL): False,
    ("1.36.0", KUBECTL_SAYS, tools.KUBECTL): True,
    ("1.37.9", KUBECTL_SAYS, tools.KUBECTL): True,
    ("1.38.1-gke.7", KUBECTL_SAYS, tools.KUBECTL): True,
    ("1.39.0", KUBECTL_SAYS, tools.KUBECTL): False,
    ("2.37.2", KUBECTL_SAYS, tools.KUBECTL): False,
    ("", "no version", tools.KUBECTL): False,
    ("1.37.0", "Kubernetes v{}", tools.KUBE_APISERVER): True,
    ("1.36.5", "Kubernetes v{}", tools.KUBE_APISERVER): False,
    ("1.38.0", "Kubernetes v{}", tools.KUBE_APISERVER): False,
    # not newer than the API server
    ("1.35.0", "Kubernetes v{}", tools.KUBE_CONTROLLER_MANAGER): False,
    ("1.36.0", "Kubernetes v{}", tools.KUBE_CONTROLLER_MANAGER): True,
    ("1.37.0", "Kubernetes v{}", tools.KUBE_SCHEDULER): True,
    ("1.38.0", "Kubernetes v{}", tools.KUBE_SCHEDULER): False,
    ("3.3.9", "etcd Version: {}\nGit SHA: 1.2.3", tools.ETCD): False,
    ("3.4.23", "etcd Version: {}\nGit SHA: 1.2.3", tools.ETCD): True,
    ("4.0.0", "etcd Version: {}\nGit SHA: 1.2.3", tools.ETCD): False,
    ("1.13.5", "livekit-server version {}", tools.LIVEKIT_SERVER): True,
    ("1.13.9", "livekit-server version {}", tools.LIVEKIT_SERVER): False,
    ("1.13.9", "livekit-server version {}", tools.LIVEKIT_SERVER_TO_SHOW): True,
    ("1.13.1", "livekit-server version {}", tools.LIVEKIT_SERVER_TO_SHOW): False,
    ("2.0.0", "livekit-server version {}", tools.LIVEKIT_SERVER_TO_SHOW): False,
    ("4.3.1", "v{}", tools.HELM): False,  # a Helm from elsewhere may have plugins and settings of its own
}


@pytest.mark.parametrize(("version", "says", "tool"), ON_PATH)
def test_a_program_on_path_is_taken_if_its_version_fits(machine: Machine, version: str, says: str, tool: Tool) -> None:
    there = machine.has(tool.name, says.format(version))
    found = look(tool)
    assert (found is not None and found.path == there) is ON_PATH[version, says, tool]
    assert found is None or found.origin == "PATH"


@pytest.mark.parametrize(("kubectl", "taken"), [("1.33.1", True), ("1.35.0", True), ("1.36.0", False)])
def test_kubectl_fits_the_api_server_that_the_user_names(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, kubectl: str, *, taken: bool
) -> None:
    machine.names("kube-apiserver", "Kubernetes v1.34.2")
    machine.has("kubectl", KUBECTL_SAYS.format(kubectl))
    machine.built(tools.KUBECTL)  # 1.37: too new for that server
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine.assets))
    found = look(tools.KUBECTL)
    assert (found is not None) is taken


def test_what_the_user_names_comes_before_what_was_built_and_that_before_path(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    origins = []
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine.assets))
    for put in (
        partial(machine.has, "etcd", "etcd Version: 3.5.1"),
        partial(machine.downloaded, "1.37.0"),
        partial(machine.built, tools.ETCD),
        partial(machine.names, "etcd", "etcd Version: 3.6.1"),
    ):
        put()
        found = look(tools.ETCD)
        assert found is not None
        origins.append(found.origin)
    assert origins == ["PATH", "downloaded earlier", "built earlier", "KUBEBUILDER_ASSETS"]


def test_the_newest_download_of_the_minor_version_is_taken(machine: Machine) -> None:
    for version in ("1.37.9", "1.37.10", "1.36.11"):
        machine.downloaded(version)
    found = look(tools.KUBE_APISERVER)
    assert found is not None
    assert found.path == machine.cache / "envtest-1.37.10" / "kube-apiserver"


def test_a_livekit_of_ones_own_counts_whatever_it_says(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    own = machine.names("my-livekit", "a development version")
    machine.built(tools.LIVEKIT_SERVER)
    monkeypatch.setenv("LIVEKIT_SERVER_BIN", str(own))
    found = look(tools.LIVEKIT_SERVER)
    assert found is not None
    assert (found.path, found.version) == (own, None)


@pytest.mark.parametrize(
    ("variable", "names", "tool", "told"),
    [
        ("LIVEKIT_SERVER_BIN", "nothing-here", tools.LIVEKIT_SERVER, "names .*nothing-here, which is no program"),
        ("KUBEBUILDER_ASSETS", "nothing-here", tools.ETCD, "names .*nothing-here, which is no folder"),
        ("KUBEBUILDER_ASSETS", ".", tools.KUBE_APISERVER, r"has kube-apiserver 1\.31\.14 .* allowed is 1\.32 or newer"),
    ],
)
def test_a_variable_that_names_the_wrong_thing_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, variable: str, names: str, tool: Tool, told: str
) -> None:
    machine.names("kube-apiserver", "Kubernetes v1.31.14")
    monkeypatch.setenv(variable, str(machine.assets / names))
    with pytest.raises(ToolMissing, match=told):
        look(tool)


@pytest.mark.parametrize("beside", ["Kubernetes v1.34.2", None])
def test_a_folder_whose_programs_do_not_fit_each_other_is_told(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, beside: str | None
) -> None:
    machine.names("kubectl", KUBECTL_SAYS.format("1.32.4"))
    if beside:
        machine.names("kube-apiserver", beside)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine.assets))
    server = r"1\.34\.2" if beside else r"1\.37\.2"
    told = rf"has kubectl 1\.32\.4 .* must be within one minor version of kube-apiserver, which is {server} here"
    with pytest.raises(ToolMissing, match=told):
        look(tools.KUBECTL)


def test_nothing_is_built_that_does_not_fit_what_the_user_names(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.names("kube-apiserver", "Kubernetes v1.36.1")
    machine.has_go()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine.assets))
    with pytest.raises(ToolMissing, match=r"not newer than kube-apiserver.* 1\.36\.1 here .*unset KUBEBUILDER_ASSETS"):
        making.make(tools.KUBE_CONTROLLER_MANAGER)
    assert not machine.go_calls.exists()


def test_each_purpose_needs_what_it_runs_and_no_more() -> None:
    names = {purpose: {tool.name for tool in needed} for purpose, needed in tools.PURPOSES.items()}
    assert names["demo"] == {"etcd", "kube-apiserver", "kubectl", "redis-server", "livekit-server"}
    assert names["dev"] - names["demo"] == {"kube-controller-manager"}
    catalogue = {each for each in vars(tools).values() if isinstance(each, Tool)}
    assert set(tools.PURPOSES["test"]) == catalogue - {tools.LIVEKIT_SERVER_TO_SHOW} | {SETUP_ENVTEST}
