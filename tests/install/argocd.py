"""Argo CD as a person uses it: Git folders, Applications, and the state that Argo CD sees them in."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from integration.sip import Sip
from testbed.argocd_parts import NAMESPACE, ArgoCd
from testbed.bed import Bed
from testbed.livekit_proxy import LiveKitProxy
from testbed.process import clean_environment

ROOT = Path(__file__).parents[2]
KIND = "ByocPhoneNumber"
SERVICE_NAME = "byoc-operator-admission.byoc-system.svc"
_POLL_S = 0.1

Json = dict[str, Any]
_Found = TypeVar("_Found")


class GitFolder:
    """A Git repository as Argo CD's source; `commit` replaces its content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(self, objects: Sequence[Json]) -> None:
        (self.path / "phones.yaml").write_text(yaml.safe_dump_all(objects))
        self.commit_files()

    def commit_files(self) -> None:
        """Commit what stands in the folder."""
        self._git("add", "--all")
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        self._git(*author, "commit", "--quiet", "--message=A change")

    def _git(self, *args: str) -> None:
        environment = clean_environment() | {"HOME": str(self.path.parent), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *args], cwd=self.path, env=environment, check=True, timeout=30)  # noqa: S607 - from PATH


class Platform:
    """The bed with operator and Argo CD, and LiveKit as it is."""

    def __init__(self, argocd: ArgoCd, proxy: LiveKitProxy, folder: Path, webhook_port: int) -> None:
        self.argocd = argocd
        self.bed = argocd.bed
        self.proxy = proxy
        self.sip = Sip(argocd.bed.livekit)
        self.webhook_port = webhook_port
        """Where the operator seals, on 127.0.0.1."""
        self._folder = folder

    @contextmanager
    def application(
        self,
        name: str,
        objects: Sequence[Json],
        *,
        automated: bool = False,
        options: Sequence[str] = (),
        compared: str = "",
    ) -> Iterator["Application"]:
        """An Application with a Git folder and a namespace of its own name; it is gone in the end, with all of it.

        `options`: of the sync; `compared`: options of the comparison.
        """
        application = Application(self, name, self.git_folder(name))
        application.create(objects, automated=automated, options=options, compared=compared)
        try:
            yield application
        finally:
            application.delete()

    def git_folder(self, name: str) -> GitFolder:
        """A new Git repository."""
        return GitFolder(self._folder / name)

    def found(self, kind: str, name: str, namespace: str) -> Json | None:
        done = self.bed.kubectl("get", kind, name, "-n", namespace, "-o", "json", check=False)
        found: Json | None = json.loads(done.stdout) if done.returncode == 0 else None
        return found


class Application:
    """One Application: what Git says, what Argo CD thinks of it, what a person does with it."""

    def __init__(self, platform: Platform, name: str, git: GitFolder) -> None:
        self.platform = platform
        self.name = name
        self.git = git

    def create(self, objects: Sequence[Json], *, automated: bool, options: Sequence[str], compared: str) -> None:
        self.git.commit(objects)
        policy = {"automated": {"prune": True, "selfHeal": True}} if automated else {}
        application = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
                "annotations": {"argocd.argoproj.io/compare-options": compared} if compared else {},
            },
            "spec": {
                "project": "default",
                "source": {"repoURL": self.git.url, "targetRevision": "main", "path": "."},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true", *options], **policy},
            },
        }
        self.platform.bed.kubectl("create", "-f", "-", stdin=json.dumps(application))

    def look_again(self) -> None:
        """Have Git read now, not in a few minutes."""
        wish = "argocd.argoproj.io/refresh=hard"
        self.platform.bed.kubectl("annotate", "application", self.name, "-n", NAMESPACE, "--overwrite", wish)
        self.until(lambda: "argocd.argoproj.io/refresh" not in self.get()["metadata"].get("annotations", {}), "read")

    def sync(self) -> None:
        """Begin a sync."""
        self.platform.argocd.cli("app", "sync", self.name, "--async")

    def act(self, action: str, number: str) -> None:
        """Press the button of an action of ours."""
        chosen = ("--kind", KIND, "--resource-name", number)
        self.platform.argocd.cli("app", "actions", "run", self.name, action, *chosen)

    def delete(self) -> None:
        """Delete it with all that it manages, and wait until it is gone; nothing happens if it is."""
        self.platform.bed.kubectl(
            "delete", "application", self.name, "-n", NAMESPACE, "--ignore-not-found", timeout_s=60
        )

    def abandon(self) -> None:
        """Delete it and leave what it managed: the operator of this module needs its rights for the other tests."""
        nothing = '{"metadata": {"finalizers": null}}'
        self.platform.bed.kubectl("patch", "application", self.name, "-n", NAMESPACE, "--type=merge", "-p", nothing)
        self.delete()

    def get(self) -> Json:
        found = self.platform.found("application", self.name, NAMESPACE)
        assert found is not None
        return found

    def state(self) -> tuple[str, str]:
        """Sync status and health."""
        status = self.get().get("status", {})
        return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")

    def operation(self) -> tuple[str, str]:
        """Phase and message of the last sync."""
        state = self.get().get("status", {}).get("operationState", {})
        return state.get("phase", ""), state.get("message", "")

    def number(self, name: str) -> Json:
        found = self.platform.found(KIND, name, self.name)
        assert found is not None
        return found

    def until(self, probe: Callable[[], _Found], what: str, within_s: float = 40) -> _Found:
        """What the probe finds, once it finds something."""
        deadline = time.monotonic() + within_s
        while not (found := probe()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:.0f} s: {what}\n{json.dumps(self.get().get('status'), indent=1)}")
            time.sleep(_POLL_S)
        return found

    def reaches(self, sync: str, health: str) -> None:
        self.until(lambda: self.state() == (sync, health), f"{self.name} is {sync} and {health}")


def merge_customizations(bed: Bed) -> None:
    snippet = ROOT / "deploy/argocd/argocd-cm.yaml"
    bed.kubectl("apply", "--server-side", "--field-manager=byoc-operator", "-f", str(snippet))


def in_wave(wave: int, thing: Json) -> Json:
    """The object with Argo CD's annotation for its place in the order; its namespace is the Application's."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "namespace"}
    return thing | {"metadata": metadata | {"annotations": {"argocd.argoproj.io/sync-wave": str(wave)}}}


def secret() -> Json:
    credentials = {"username": "user", "password": "a-password-1234"}
    labels = {"byoc.talkifai.dev/sip-credentials": "true"}
    metadata = {"name": "carrier", "labels": labels}
    return in_wave(0, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": credentials})


def number(name: str, phone: str, friendly_name: str = "Before") -> Json:
    spec = {
        "phoneNumber": phone,
        "terminationUri": "sip.example.com",
        "friendlyName": friendly_name,
        "inboundAgentId": "agent_support",
        "sipPasswordSecretRef": {"name": "carrier"},
    }
    return in_wave(
        1, {"apiVersion": "byoc.talkifai.dev/v1alpha1", "kind": KIND, "metadata": {"name": name}, "spec": spec}
    )


def config_map(name: str) -> Json:
    return in_wave(
        2, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"needs": "numbers"}}
    )
