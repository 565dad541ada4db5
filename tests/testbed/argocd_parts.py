"""A headless Argo CD on a bed: Redis, repo-server, application-controller and server, all one program.

`ArgoCd.start(bed)` puts Argo CD's CRDs and settings into namespace `argocd` of the bed and starts the four; `cli` is
the `argocd` command as a person uses it. Sources are Git folders (`file://…`) and charts.
"""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from testbed import tools
from testbed.bed import Bed
from testbed.http_probe import get
from testbed.livekit_parts import Redis
from testbed.part import NotReady, Part, free_port
from testbed.parts import Parts
from testbed.process import clean_environment

NAMESPACE = "argocd"
_SERVED_WITHIN_S = 30
_CONFIG_MAPS = ("argocd-cm", "argocd-rbac-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm", "argocd-gpg-keys-cm")


class _ArgoPart(Part):
    """One of Argo CD's servers; the program looks at a variable to know which one it is."""

    health_path = "/healthz"

    def __init__(self, parent: Path, kubeconfig: Path, settings: Mapping[str, str], redis: Redis) -> None:
        super().__init__(tools.find(tools.ARGOCD), parent)
        self._kubeconfig = kubeconfig
        self._settings = settings
        self._redis = redis

    def choose_ports(self) -> None:
        self.port = free_port()
        self._metrics_port = free_port()

    def environment(self) -> Mapping[str, str]:
        return {
            **super().environment(),
            "ARGOCD_BINARY_NAME": self.name,
            "KUBECONFIG": str(self._kubeconfig),
            "TMPDIR": str(self.directory),  # else clones stay in the system's own
            **self._settings,
        }

    def is_ready(self) -> bool:
        return get(self._metrics_port, self.health_path).status == 200


class RepoServer(_ArgoPart):
    """Reads Git and renders manifests."""

    name = "argocd-repo-server"

    def arguments(self) -> list[str]:
        return [
            "--loglevel=warn",
            "--address=127.0.0.1",
            f"--port={self.port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics_port}",
            "--disable-tls",
            "--client-ca-path=",  # its default is a file, which it then wants although TLS is off
            f"--redis=127.0.0.1:{self._redis.port}",
        ]


class _OfRepoServer(_ArgoPart):
    """One that asks the repo-server."""

    def __init__(
        self, parent: Path, kubeconfig: Path, settings: Mapping[str, str], redis: Redis, repo_server: RepoServer
    ) -> None:
        super().__init__(parent, kubeconfig, settings, redis)
        self._repo_server = repo_server


class ApplicationController(_OfRepoServer):
    """Compares, syncs and judges Applications. Its metrics listen on all addresses: it has no flag for one."""

    name = "argocd-application-controller"

    def arguments(self) -> list[str]:
        return [
            "--loglevel=info",
            f"--namespace={NAMESPACE}",
            f"--repo-server=127.0.0.1:{self._repo_server.port}",
            "--repo-server-plaintext",
            f"--redis=127.0.0.1:{self._redis.port}",
            f"--metrics-port={self._metrics_port}",
            "--app-resync=30",
        ]


class ArgoServer(_OfRepoServer):
    """The API behind the `argocd` command, without accounts: whoever reaches it is an administrator."""

    name = "argocd-server"

    def arguments(self) -> list[str]:
        return [
            "--loglevel=warn",
            f"--namespace={NAMESPACE}",
            "--insecure",
            "--disable-auth",
            "--address=127.0.0.1",
            f"--port={self.port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics_port}",
            f"--repo-server=127.0.0.1:{self._repo_server.port}",
            "--repo-server-plaintext",
            f"--redis=127.0.0.1:{self._redis.port}",
            "--dex-server=http://127.0.0.1:1",
        ]

    def is_ready(self) -> bool:
        return get(self.port, "/healthz").status == 200


class ArgoCd(Parts):
    """A running Argo CD; make it with `ArgoCd.start` and end it with `stop`, or use it in a `with`."""

    def __init__(self, bed: Bed) -> None:
        super().__init__()
        self.bed = bed
        self._program = tools.find(tools.ARGOCD)
        directory = bed.directory / "argocd"
        settings = _settings(directory)
        redis = Redis(directory, persistent=False)
        self._redis = redis
        self._repo_server = RepoServer(directory, bed.kubeconfig, settings, redis)
        self.controller = ApplicationController(directory, bed.kubeconfig, settings, redis, self._repo_server)
        self._server = ArgoServer(directory, bed.kubeconfig, settings, redis, self._repo_server)

    @classmethod
    def start(cls, bed: Bed) -> Self:
        """Install CRDs and settings, then start all parts. Raises ToolMissing or NotReady."""
        argocd = cls(bed)
        with argocd.starting():
            argocd._install()
            argocd.start_together(argocd._redis)
            argocd.start_together(argocd._repo_server, argocd.controller, argocd._server)
        return argocd

    def cli(self, *args: str, check: bool = True, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the `argocd` command against the server. Raises CalledProcessError with its own words in a note."""
        server = ["--server", f"127.0.0.1:{self._server.port}", "--plaintext", "--auth-token", "not-looked-at"]
        return run_argocd(*args, *server, home=self.bed.directory, check=check, timeout_s=timeout_s)

    def _install(self) -> None:
        crds = f"{self._program}.files/manifests/crds"
        # Server-side: one of these CRDs is too long for the annotation that a client-side apply leaves.
        self.bed.kubectl("apply", "--server-side", "-k", crds, timeout_s=60)
        self.bed.kubectl("create", "namespace", NAMESPACE)
        self._wait_served()
        self.bed.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(_objects()))

    def _wait_served(self) -> None:
        # Not `kubectl wait`: it fails at once on a CRD so new that it has no conditions.
        deadline = time.monotonic() + _SERVED_WITHIN_S
        while self.bed.kubectl("get", "applications,appprojects", "-A", check=False).returncode != 0:
            if time.monotonic() > deadline:
                raise NotReady(f"Argo CD's CRDs are not served after {_SERVED_WITHIN_S} s")


def run_argocd(*args: str, home: Path, check: bool = True, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the `argocd` command with nothing of the developer's settings; most of `argocd admin` needs no server.

    Raises CalledProcessError with its own words in a note.
    """
    done = subprocess.run(
        [str(tools.find(tools.ARGOCD)), *args],
        env=clean_environment() | {"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if check and done.returncode != 0:
        failed = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        failed.add_note(done.stdout + done.stderr)
        raise failed
    return done


def _settings(directory: Path) -> dict[str, str]:
    """Environment of all parts: folders that are `/app/config/…` in Argo CD's image, and its programs."""
    folders = {
        "ARGOCD_TLS_DATA_PATH": "tls",
        "ARGOCD_SSH_DATA_PATH": "ssh",
        "ARGOCD_GNUPGHOME": "gpg/keys",
        "ARGOCD_GPG_DATA_PATH": "gpg/source",
        "ARGOCD_PLUGINSOCKFILEPATH": "plugins",
    }
    for folder in folders.values():
        (directory / folder).mkdir(parents=True, mode=0o700)
    (directory / "ssh/ssh_known_hosts").touch()
    return {
        **{name: str(directory / folder) for name, folder in folders.items()},
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_RECONCILIATION_JITTER": "0",
        "ARGOCD_SYNC_WAVE_DELAY": "1",  # seconds between waves, 2 by default
        "PATH": f"{_programs(directory / 'bin')}:{clean_environment()['PATH']}",
    }


def _programs(folder: Path) -> Path:
    """What Argo CD's image has on its PATH."""
    folder.mkdir()
    (folder / "helm").symlink_to(tools.find(tools.HELM))
    verify = folder / "git-verify-wrapper.sh"  # called for every commit, even while signatures are not looked at
    verify.write_text("#!/bin/sh\nexit 0\n")
    verify.chmod(0o700)
    return folder


def _objects() -> list[dict[str, Any]]:
    """What Argo CD wants to find: its ConfigMaps, its Secret and a project that allows everything."""
    labels = {"app.kubernetes.io/part-of": "argocd"}  # it overlooks a ConfigMap or Secret without this label
    config_maps = [_in_argocd("v1", "ConfigMap", name, labels=labels) for name in _CONFIG_MAPS]
    secret = _in_argocd("v1", "Secret", "argocd-secret", labels=labels)
    project = _in_argocd("argoproj.io/v1alpha1", "AppProject", "default")
    anything = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    }
    return [*config_maps, secret | {"stringData": {"server.secretkey": "for-tests-only"}}, project | {"spec": anything}]


def _in_argocd(api_version: str, kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
    }
