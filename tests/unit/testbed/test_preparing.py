"""`python -m testbed.prepare`, with a Go that builds at once: what is told, what is built, what fails."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from terminals import on_terminal
from testbed import tools
from unit.testbed.machines import Machine

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a Go, etcd, kubectl and Redis."""
    machine = Machine(tmp_path)
    machine.has_go()
    machine.has("etcd", "etcd Version: 3.5.1")
    machine.has("kubectl", "Client Version: v1.36.4")
    machine.has("redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64")
    return machine


def test_it_tells_what_is_where_and_builds_the_rest_once(machine: Machine) -> None:
    done = machine.run("testbed.prepare", "demo")
    assert done.returncode == 0, done.stderr
    told = [line.split()[:3] for line in done.stdout.splitlines()]
    assert told[:4] == [
        ["etcd", "3.5.1", "PATH:"],
        ["kube-apiserver", "1.37.2", "missing"],
        ["kubectl", "1.36.4", "PATH:"],
        ["redis-server", "7.0.15", "PATH:"],
    ]
    assert told[4] == ["livekit-server", "1.13.5", "missing"]
    assert "To build, once: kube-apiserver, livekit-server; about 8:00 min on two idle cores." in done.stderr
    assert {path.name for path in machine.cache.glob("*[0-9]")} == {"kube-apiserver-1.37.2", "livekit-server-1.13.5"}

    machine.go_calls.unlink()
    again = machine.run("testbed.prepare", "demo")
    assert (again.returncode, again.stderr, machine.go_calls.exists()) == (0, "", False)
    assert again.stdout.count("built earlier: ~/cache/byoc-operator/tools/") == 2


def test_the_next_modules_are_downloaded_while_a_program_compiles(machine: Machine) -> None:
    machine.run("testbed.prepare", "demo", GO_TAKES_S="1")
    calls = machine.go_calls.read_text().splitlines()
    (loading,) = [call for call in calls if " -n " in call]
    assert loading.startswith("install ")
    assert loading.endswith(" -n github.com/livekit/livekit-server/cmd/server@v1.13.5")
    compiled = [call.split()[-1] for call in calls if " -n " not in call]
    assert compiled == ["k8s.io/kubernetes/cmd/kube-apiserver", "github.com/livekit/livekit-server/cmd/server@v1.13.5"]


def test_in_a_pipe_a_build_is_two_lines(machine: Machine) -> None:
    machine.built(tools.KUBE_APISERVER)
    told = machine.run("testbed.prepare", "demo", GO_TAKES_S="1").stderr.splitlines()
    assert told[1:] == [
        "building livekit-server-1.13.5 (about 2:00 min)",
        "building livekit-server-1.13.5: done after 1 s",
    ]


def test_on_a_terminal_a_build_is_one_line_that_is_rewritten(machine: Machine) -> None:
    machine.built(tools.KUBE_APISERVER)
    command = [sys.executable, "-m", "testbed.prepare", "demo"]
    code, shown = on_terminal(command, machine.variables | {"GO_TAKES_S": "2.3"}, 100)
    assert code == 0
    _, _, building = shown.partition("two idle cores.")
    rewritten = [part for part in building.split("\r") if "building livekit-server-1.13.5" in part]
    assert {"1", "2"} <= set(re.findall(r"1\.13\.5: (\d) s of about 2:00 min \[\.{20}]", building)), shown
    assert rewritten[-1].startswith("\x1b[Kbuilding livekit-server-1.13.5: done after 2 s")
    assert building.count("\n") == len(["the line before", "the end"])


def test_the_line_is_never_longer_than_the_terminal_is_wide(machine: Machine) -> None:
    machine.built(tools.KUBE_APISERVER)
    command = [sys.executable, "-m", "testbed.prepare", "demo"]
    _, shown = on_terminal(command, machine.variables | {"GO_TAKES_S": "0.8"}, 40)
    lines = [part for part in shown.split("\r\x1b[K") if re.search(r": \d+ s of", part)]
    assert {len(line) for line in lines} == {39}, shown


def test_beside_the_python_packages_only_builds_are_made(machine: Machine) -> None:
    (machine.path / "redis-server").unlink()
    done = machine.run("testbed.prepare", "demo", "--builds-only")
    assert (done.returncode, done.stdout) == (0, "")
    assert {path.name for path in machine.cache.glob("*[0-9]")} == {"kube-apiserver-1.37.2", "livekit-server-1.13.5"}
    again = machine.run("testbed.prepare", "demo", "--builds-only")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_no_package_is_needed_to_ask_the_machine_and_to_build(machine: Machine) -> None:
    program = (
        "import sys; sys.path = [path for path in sys.path if 'site-packages' not in path]\n"
        "from testbed import machine, prepare\n"
        "sys.argv[1:] = ['demo', '--builds-only']\n"
        "prepare.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=machine.variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "building livekit-server-1.13.5: done" in done.stderr


def test_a_terminal_that_cannot_rewrite_gets_lines(machine: Machine) -> None:
    machine.built(tools.KUBE_APISERVER)
    command = ["/usr/bin/env", "TERM=dumb", sys.executable, "-m", "testbed.prepare", "demo"]
    _, shown = on_terminal(command, machine.variables, 100)
    assert "building livekit-server-1.13.5 (about 2:00 min)\r\n" in shown


def test_a_build_that_fails_is_told_with_its_log_and_the_others_are_built(machine: Machine) -> None:
    (machine.path / "go").write_text((machine.path / "go").read_text().replace('"$GO_FAILS"', '"${last##*apiserver}"'))
    done = machine.run("testbed.prepare", "demo")
    assert done.returncode == 1
    assert (machine.cache / "kube-apiserver-1.37.2").exists()
    assert "livekit-server is missing and its build failed" in done.stderr
    assert "livekit-server/cmd/server@v1.13.5: no such package" in done.stderr


@pytest.mark.parametrize("says", ["go version go1.19.8 linux/amd64", "gccgo", None])
def test_without_a_go_that_can_build_nothing_is_tried(machine: Machine, says: str | None) -> None:
    (machine.path / "go").unlink()
    if says:
        machine.has("go", says)
    done = machine.run("testbed.prepare", "demo")
    assert done.returncode == 1
    wrong = {None: "Go is missing", "gccgo": "go tells no version of Go, but: 'gccgo'"}.get(says, "go is Go 1.19")
    assert f"{wrong}; install Go 1.21 or newer" in done.stderr
    assert "building" not in done.stderr


def test_another_livekit_on_path_does_for_the_tour_but_not_for_the_tests(machine: Machine) -> None:
    machine.has("livekit-server", "livekit-server version 1.14.0")
    machine.run("testbed.prepare", "demo")
    assert {path.name for path in machine.cache.glob("*[0-9]")} == {"kube-apiserver-1.37.2"}
    machine.run("testbed.prepare", "test")
    assert (machine.cache / "livekit-server-1.13.5").exists()
