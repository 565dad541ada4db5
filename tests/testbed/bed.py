"""Everything together: a cluster without nodes and a LiveKit, ready in seconds."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from testbed import tools
from testbed.audit import AuditEntry, read_audit_log
from testbed.kube_parts import ApiServer, ControllerManager, Etcd
from testbed.livekit_parts import LiveKit, Redis
from testbed.part import NotReady, Part
from testbed.parts import Parts
from testbed.process import clean_environment
from testbed.tool import Tool

_POLL_S = 0.1


class Bed(Parts):
    """A running test bed; make it with `Bed.start` and end it with `stop`, or use it in a `with`."""

    def __init__(self, directory: Path, needed: Sequence[Tool] = tools.RUNNING) -> None:
        super().__init__()
        programs = {tool.name: tool for tool in needed}
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = directory / "kubeconfig"
        self.etcd = Etcd(directory)
        self.redis = Redis(directory)
        self.api_server = ApiServer(directory, self.etcd)
        self.livekit = LiveKit(directory, self.redis, programs[tools.LIVEKIT_SERVER.name])
        self._controllers: list[Part] = []
        if tools.KUBE_CONTROLLER_MANAGER in needed:
            self._controllers.append(ControllerManager(directory, self.api_server, self.kubeconfig))
        self._kubectl = tools.find(tools.KUBECTL)

    @classmethod
    def start(cls, directory: Path, needed: Sequence[Tool] = tools.RUNNING) -> Self:
        """Start all parts below `directory`, which must not hold an earlier bed. Raises ToolMissing or NotReady.

        `needed`: the programs of a purpose, out of `tools`; without the controller-manager among them, there is none.
        """
        bed = cls(directory.resolve(), needed)
        with bed.starting():
            bed.start_together(bed.etcd, bed.redis)
            bed.start_together(bed.api_server, bed.livekit)
            bed.api_server.write_admin_kubeconfig(bed.kubeconfig)
            for controllers in bed._controllers:
                bed.start_together(controllers)
        return bed

    @property
    def api_url(self) -> str:
        """Base address of the Kubernetes API."""
        return self.api_server.url

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True, timeout_s: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as admin. Raises CalledProcessError with kubectl's own words in a note."""
        environment = clean_environment() | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.directory)}
        done = subprocess.run(
            [str(self._kubectl), *args],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            env=environment,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            failed = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
            failed.add_note(done.stderr)
            raise failed
        return done

    def wait_for_crd(self, timeout_s: float = 30) -> None:
        """Wait until numbers can be written: an API server knows a new CRD before it serves it.

        Where a mutating policy matches them, creates are answered 503 for up to five seconds: that often the API server
        looks for new kinds on behalf of its policies, whatever `failurePolicy` says. Raises NotReady.
        """
        deadline = time.monotonic() + timeout_s
        number = {"apiVersion": "byoc.talkifai.dev/v1alpha1", "kind": "ByocPhoneNumber", "metadata": {"name": "probe"}}
        spec = {"phoneNumber": "+12025550100", "terminationUri": "sip.carrier.example"}
        probe = json.dumps({**number, "spec": spec})
        create = ("create", "--dry-run=server", "-n", "default", "-f", "-")
        while (done := self.kubectl(*create, stdin=probe, check=False)).returncode != 0:
            if time.monotonic() > deadline:
                raise NotReady(f"the CRD is not served after {timeout_s} s: {done.stderr}")
            time.sleep(_POLL_S)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Kubeconfig of an existing service account, with a token for a day."""
        token = self.kubectl("create", "token", name, f"--namespace={namespace}", "--duration=24h").stdout.strip()
        path = self.directory / "kubeconfigs" / f"{namespace}.{name}"
        return self.api_server.write_kubeconfig(path, name, token)

    def requests_by(self, user: str) -> list[AuditEntry]:
        """Finished requests of `user` since the start, e.g. `system:serviceaccount:NAMESPACE:NAME`."""
        return read_audit_log(self.api_server.audit_log, user)

    def writes_by(self, user: str) -> list[AuditEntry]:
        """Those of `requests_by` that asked for a change."""
        return [entry for entry in self.requests_by(user) if entry.is_write]

    def livekit_environment(self, url: str | None = None) -> dict[str, str]:
        """What a LiveKit client reads from its environment; `url` puts something in between, such as a proxy."""
        return {
            "LIVEKIT_URL": url or self.livekit.url,
            "LIVEKIT_API_KEY": self.livekit.key,
            "LIVEKIT_API_SECRET": self.livekit.secret,
        }
