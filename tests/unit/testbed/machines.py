"""A machine of a test's own: what is on PATH, what is in the cache, what the user names."""

import subprocess
import sys
from pathlib import Path

import pytest

from testbed import tools
from testbed.tool import Tool

TESTS = Path(__file__).parents[2]
_FAKE_GO = """#!/bin/sh
[ "$1" = version ] && { echo go version go1.26.8 linux/amd64; exit; }
echo "$@" >> "$GO_CALLS"
target=$GOBIN
while [ $# -gt 0 ]; do
  case "$1" in
    -n) exit ;;
    -o) target=$2 ;;
  esac
  last=$1
  shift
done
sleep "${GO_TAKES_S:-0}"
[ -z "$GO_FAILS" ] || { echo "$last: no such package"; exit 1; }
echo '#!/bin/sh' > "$target/program"
chmod +x "$target/program"
"""


class Machine:
    """Folders that stand for a machine; the processes that `run` starts see nothing else."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.cache = folder / "cache" / "byoc-operator" / "tools"
        self.assets = folder / "assets"
        self.go_calls = folder / "go-calls"
        for each in (self.path, self.cache, self.assets):
            each.mkdir(parents=True)

    @property
    def variables(self) -> dict[str, str]:
        """The environment. `sleep` and others come from /bin, which has none of the test bed's programs."""
        return {
            "PATH": str(self.path),
            "HOME": str(self.path.parent),
            "XDG_CACHE_HOME": str(self.cache.parents[1]),
            "PYTHONPATH": str(TESTS),
            "GO_CALLS": str(self.go_calls),
            "BYOC_TESTBED_DOWNLOAD": "no",
        }

    def has(self, name: str, prints: str) -> Path:
        """Put a program on PATH that prints a version."""
        return program(self.path / name, prints)

    def names(self, name: str, prints: str) -> Path:
        """Put a program into the folder that KUBEBUILDER_ASSETS may name."""
        return program(self.assets / name, prints)

    def built(self, tool: Tool) -> Path:
        """Put a program into the cache, as if it had been built."""
        return program(self.cache / tool.label, "")

    def downloaded(self, version: str) -> Path:
        """Put programs into the cache, as if they had been downloaded; their folder."""
        folder = self.cache / f"envtest-{version}"
        folder.mkdir()
        for tool in (tools.ETCD, tools.KUBE_APISERVER, tools.KUBECTL):
            program(folder / tool.name, f"Kubernetes v{version}")
        return folder

    def has_go(self) -> None:
        """Put a Go on PATH that builds at once, and notes what it was asked for."""
        self.has("go", "")
        (self.path / "go").write_text(_FAKE_GO)
        (self.path / "sleep").symlink_to("/bin/sleep")
        (self.path / "chmod").symlink_to("/bin/chmod")

    def run(self, module: str, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a module of the test bed on this machine."""
        return subprocess.run(
            [sys.executable, "-m", module, *args],
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def program(path: Path, prints: str) -> Path:
    """A program that prints this and ends."""
    path.write_text(f"#!/bin/sh\necho '{prints}'\n")
    path.chmod(0o755)
    return path


def entered(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine, as this process sees it from now on."""
    for name in ("KUBEBUILDER_ASSETS", "LIVEKIT_SERVER_BIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in machine.variables.items():
        monkeypatch.setenv(name, value)
    return machine
