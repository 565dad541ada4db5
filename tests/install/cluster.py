"""A cluster to install into, and what a user does there with helm and kubectl."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from integration.scene import BASE, fresh_number
from integration.sip import Sip
from manifests import manifest, merged
from testbed import tools
from testbed.bed import Bed
from testbed.process import clean_environment
from testbed.tool import Tool

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "byoc-operator"
NAME = "byoc-operator"
CRD = "byocphonenumbers.byoc.talkifai.dev"
_BOUND = ("clusterrole", "mutatingadmissionpolicy", "validatingadmissionpolicy")
_CLUSTER_WIDE = ",".join((*_BOUND, *(f"{kind}binding" for kind in _BOUND), "mutatingwebhookconfiguration"))
_POLL_S = 0.1

_Found = TypeVar("_Found")
Json = dict[str, Any]


class Cluster:
    """The bed with pods that become ready, helm, and a client of LiveKit that the operator knows nothing of."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.sip = Sip(bed.livekit)

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as admin; its output."""
        done = self.bed.kubectl(*args, stdin=stdin, check=check, timeout_s=90)
        return done.stdout + (done.stderr if not check else "")

    def helm(self, *args: str, tool: Tool = tools.HELM) -> str:
        """Run helm as admin; its output. Raises CalledProcessError with helm's own words in a note."""
        command = [str(tools.find(tool)), *args]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            failed = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            failed.add_note(done.stderr)
            raise failed
        return done.stdout

    def environment(self) -> dict[str, str]:
        """What a user's shell has: the kubeconfig, and nothing of the developer's own."""
        home = str(self.bed.directory)
        return clean_environment() | {"KUBECONFIG": str(self.bed.kubeconfig), "HOME": home, "HELM_NAMESPACE": "default"}

    def get(self, *what: str) -> Json:
        """An object or a list; empty if there is none."""
        found: Json = json.loads(self.kubectl("get", *what, "-o", "json", "--ignore-not-found") or "{}")
        return found

    def namespace(self, prefix: str = "byoc", labels: Mapping[str, str] | None = None) -> str:
        """A new namespace."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": dict(labels or {})}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return name

    def livekit_secret(self, namespace: str) -> None:
        """The Secret `livekit` with the API key of the bed's LiveKit."""
        keys = {"LIVEKIT_API_KEY": self.bed.livekit.key, "LIVEKIT_API_SECRET": self.bed.livekit.secret}
        metadata = {"name": "livekit", "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})

    def apply(self, *objects: Json) -> None:
        """Apply objects, given to kubectl on its standard input."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    # Numbers

    def number(self, namespace: str, name: str = "a", **changes: Any) -> str:
        """Create a number; its phone number, fresh unless given."""
        spec = merged({"phoneNumber": fresh_number(), **BASE}, changes)
        self.kubectl("create", "-f", "-", stdin=json.dumps(manifest(name, namespace, spec)))
        return str(spec["phoneNumber"])

    def ready(self, namespace: str, name: str = "a", within_s: float = 20) -> Json:
        """The number, once it is Ready."""
        self.kubectl("wait", f"bpn/{name}", "-n", namespace, "--for=condition=Ready", f"--timeout={within_s}s")
        return self.get("bpn", name, "-n", namespace)

    def reason(self, namespace: str, name: str = "a") -> str:
        """The reason of the number's Ready condition."""
        conditions = self.get("bpn", name, "-n", namespace).get("status", {}).get("conditions", ())
        return next((each["reason"] for each in conditions if each["type"] == "Ready"), "")

    # Installing

    def install(self, namespace: str, *args: str, chart: Path = CHART, tool: Tool = tools.HELM) -> None:
        """`helm install --wait` with the bed's LiveKit; `args` are more of helm's."""
        self._adopt_crd(namespace)
        values = ("--set", f"livekit.url={self.bed.livekit.url}", "--set", "sip.uri=sip.voice.example:5061")
        self.helm("install", NAME, str(chart), "-n", namespace, "--wait", "--timeout=180s", *values, *args, tool=tool)
        self.bed.wait_for_crd()

    def remove_everything(self, *, crd: bool = False) -> None:
        """Leave nothing of an installation, whatever a test left of it. Namespaces go on disappearing behind us.

        The CRD stays, without its numbers, unless told otherwise: each new one costs five seconds (`Bed.wait_for_crd`).
        """
        for release in json.loads(self.helm("list", "-A", "-o", "json")):
            self.helm("uninstall", release["name"], "-n", release["namespace"], "--wait=hookOnly")
        self.kubectl("delete", _CLUSTER_WIDE, "-l", f"app.kubernetes.io/name={NAME}")
        if self.get("crd", CRD):
            for number in self.get("bpn", "-A").get("items", ()):
                where = ("-n", number["metadata"]["namespace"])
                patch = ("--type=merge", "-p", '{"metadata": {"finalizers": null}}')
                self.kubectl("patch", "bpn", number["metadata"]["name"], *where, *patch)
            self.kubectl("delete", "bpn", "--all", "-A", "--timeout=30s")
            # Of a namespace that goes slowly: with something sealed no operator makes keys.
            self.kubectl("delete", "secrets", "-A", "-l", "byoc.talkifai.dev/sip-credentials=true", "--timeout=30s")
            if crd:
                self.kubectl("delete", "crd", CRD)
        self.sip.clear()

    def _adopt_crd(self, namespace: str) -> None:
        """Let a release in this namespace take over a CRD that an earlier one kept: helm's own words for that."""
        if self.get("crd", CRD):
            release = (f"meta.helm.sh/release-name={NAME}", f"meta.helm.sh/release-namespace={namespace}")
            self.kubectl("annotate", "crd", CRD, "--overwrite", *release)
            self.kubectl("label", "crd", CRD, "--overwrite", "app.kubernetes.io/managed-by=Helm")

    # Waiting

    def until(self, probe: Callable[[], _Found], what: str, within_s: float = 15) -> _Found:
        """Wait until the probe finds something. Raises AssertionError."""
        deadline = time.monotonic() + within_s
        while not (found := probe()):
            assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
            time.sleep(_POLL_S)
        return found
