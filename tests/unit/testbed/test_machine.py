"""What `make test` says and installs before anything else, on a machine that has nothing."""

import ast
import importlib.metadata
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import machine as asked
from testbed import tools
from unit.testbed.machines import TESTS, Machine, entered

pytestmark = pytest.mark.slow

_FAKE_APT = """#!/bin/sh
[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1
echo "$@" >> "$APT_CALLS"
[ "$1" = install ] || exit
while [ $# -gt 0 ]; do
  case "$1" in
    bubblewrap) name=bwrap ;;
    util-linux) name=setpriv ;;
    golang-go) name=go ;;
    *) name=$1 ;;
  esac
  [ -n "$APT_FAILS" ] || { echo '#!/bin/sh' > "$BIN/$name"; echo 'echo go version go1.24.4' >> "$BIN/$name"; }
  chmod +x "$BIN/$name"
  shift
done
"""
PACKAGES = ["bash", "make", "git", "util-linux", "bubblewrap", "buildah", "mmdebstrap"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Debian with Python and Redis only; its apt-get notes what it was asked for, and its sudo asks nobody."""
    machine = Machine(tmp_path)
    for name, text in {
        "apt-get": _FAKE_APT,
        "sudo": '#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\nunset DEBIAN_FRONTEND\n"$@"\n',
        "apt-cache": '#!/bin/sh\necho "  Candidate: $GO_CANDIDATE"\n',
    }.items():
        machine.has(name, "").write_text(text)
    (machine.path / "chmod").symlink_to("/bin/chmod")
    (machine.path / "env").symlink_to("/usr/bin/env")
    machine.has("redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64")
    return machine


def variables(machine: Machine, **more: str) -> dict[str, str]:
    calls = {"APT_CALLS": str(machine.path / "apt-calls"), "BIN": str(machine.path), "APT_FAILS": ""}
    return {**calls, "GO_CANDIDATE": "2:1.24~2", **more}


def apt_calls(machine: Machine) -> list[str]:
    calls = machine.path / "apt-calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_what_is_missing_is_told_and_installed(machine: Machine) -> None:
    done = machine.run("testbed.machine", "test", "--install", **variables(machine))
    assert "Missing: buildah, which builds the image (Debian package buildah)" in done.stderr
    assert "Missing: Go is missing. Programs have to be built: install Go 1.21 or newer" in done.stderr
    assert apt_calls(machine) == [
        "update -q",
        f"install -yq --no-install-recommends {' '.join(PACKAGES)} golang-go",
    ]
    rights = asked.lack_of_rights("test")
    assert done.returncode == (asked.MISSING if rights else 0), done.stderr
    assert apt_calls(machine)[2:] == []


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [((), {}), (("--install",), {"BYOC_TESTBED_INSTALL": "no"}), (("--install",), {"APT_FAILS": "yes"})],
)
def test_what_may_not_or_cannot_be_installed_is_told_with_the_command(
    machine: Machine, arguments: tuple[str, ...], changes: dict[str, str]
) -> None:
    if changes.get("APT_FAILS"):
        (machine.path / "chmod").unlink()
    done = machine.run("testbed.machine", "test", *arguments, **variables(machine, **changes))
    assert done.returncode == asked.MISSING
    command = f"apt-get install -yq --no-install-recommends {' '.join(PACKAGES)} golang-go"
    assert f"Install with: sudo apt-get update && sudo {command}" in done.stderr
    assert bool(apt_calls(machine)) == ("APT_FAILS" in changes)


def test_a_machine_without_apt_is_told_what_to_install(machine: Machine) -> None:
    (machine.path / "apt-get").unlink()
    done = machine.run("testbed.machine", "test", "--install", **variables(machine))
    assert done.returncode == asked.MISSING
    assert "Missing: bwrap, which runs a pod as a container (Debian package bubblewrap)" in done.stderr


@pytest.mark.parametrize("candidate", ["2:1.19~1", "(none)"])
def test_a_go_that_is_too_old_is_not_installed(machine: Machine, candidate: str) -> None:
    done = machine.run("testbed.machine", "test", "--install", **variables(machine, GO_CANDIDATE=candidate))
    assert done.returncode == asked.MISSING
    assert "golang-go" not in apt_calls(machine)[1]
    assert "Missing: Go is missing. Programs have to be built: install Go 1.21 or newer" in done.stderr


def test_the_tour_needs_no_more_than_python_redis_and_a_go(machine: Machine) -> None:
    machine.has("go", "go version go1.24.4 linux/amd64")
    done = machine.run("testbed.machine", "demo", **variables(machine))
    assert (done.returncode, done.stderr) == (0, "")


def test_no_go_is_needed_where_all_is_built(machine: Machine) -> None:
    for tool in tools.SHOWING:
        machine.built(tool)
    done = machine.run("testbed.machine", "demo", **variables(machine))
    assert (done.returncode, done.stderr) == (0, "")
    (machine.cache / tools.KUBECTL.label).unlink()
    assert machine.run("testbed.machine", "demo", **variables(machine)).returncode == asked.MISSING


@pytest.mark.parametrize(("version", "told"), [("7.0.15", []), ("5.0.14", ["redis-server"]), (None, ["redis-server"])])
def test_a_python_without_a_packaged_redis_needs_debians(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str | None, told: list[str]
) -> None:
    entered(machine, monkeypatch)
    (machine.path / "redis-server").unlink()
    if version:
        machine.has("redis-server", f"Redis server v={version} sha=00000000:0 bits=64")
    monkeypatch.setattr(asked, "_NO_WHEEL", (3, 0))
    monkeypatch.setattr(importlib.metadata, "distribution", _no_distribution)
    assert [need.package for need in asked.missing("demo")] == told


def _no_distribution(name: str) -> None:
    raise importlib.metadata.PackageNotFoundError(name)


def test_a_wrong_variable_is_told_at_once(machine: Machine) -> None:
    done = machine.run("testbed.machine", "demo", **variables(machine, KUBEBUILDER_ASSETS="/nowhere"))
    assert done.returncode == asked.MISSING
    assert "Missing: KUBEBUILDER_ASSETS names /nowhere, which is no folder" in done.stderr


@pytest.mark.parametrize("target", ["demo", "dev", "test"])
def test_a_target_asks_the_machine_before_anything_else(target: str) -> None:
    told = subprocess.run(
        ["make", "--dry-run", "--always-make", target],  # noqa: S607 - from PATH
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    asking = told.index(f"-m testbed.machine {target}")
    assert asking < told.index("-m venv .venv") < told.index("-m pip install")
    assert "-m pytest" not in told[:asking]


STARTERS = {
    *("subprocess.run", "subprocess.Popen", "subprocess.check_output", "subprocess.check_call", "subprocess.call"),
    *("Process", "shutil.which", "_needed"),
}
OF_EVERY_DEBIAN = {"/bin/bash", "/bin/sh", "sudo", "apt-cache", "apt-get", "ldd"}
"""Of essential packages, and what `testbed.machine` itself asks for with care."""


def _started(tree: ast.AST) -> Iterator[str]:
    """Names of the programs that a function starts or looks for, as far as it spells them."""
    lists = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.List | ast.Tuple)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        if ast.unparse(node.func) not in STARTERS:
            continue
        command = node.args[0]
        command = lists.get(command.id, command) if isinstance(command, ast.Name) else command
        command = command.elts[0] if isinstance(command, ast.List | ast.Tuple) and command.elts else command
        if isinstance(command, ast.Constant) and isinstance(command.value, str):
            yield command.value


def test_the_list_has_every_command_that_the_tests_start() -> None:
    paths = [path for path in TESTS.rglob("*.py") if path.parts[-2:-1] != ("kept",)]
    functions = [
        (node, path)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    started = {name: str(path) for node, path in functions for name in _started(node)}
    known = {need.name for need in asked.COMMANDS} | {"go"} | OF_EVERY_DEBIAN
    assert {name: where for name, where in started.items() if name not in known} == {}
    assert {"bwrap", "buildah", "git", "go"} <= set(started)
