"""Plays kubelet: runs the one container of an applied Deployment as its pod template says.

Command, environment, mounted files, service account, user, read-only root and probes come from the object in the API
server and from nowhere else, so that a wrong name, key, path or right fails a test. What it does not understand it
refuses. Two liberties: pods share the host's network, so each is told a free port to serve on; and seccomp, resource
limits and scheduling are left to a real node.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from byoc_operator.settings import Settings
from testbed import tools
from testbed.bed import Bed
from testbed.http_probe import get
from testbed.part import NotReady, free_port
from testbed.pod_files import environment, mounts
from testbed.pod_spec import Json, NotPlayed, checked
from testbed.process import Ending, Process
from testbed.program import Program, resolved_in

_PORT_VARIABLE = "BYOC_HTTP_PORT"
_POLL_S = 0.05
_LOG_TAIL_LINES = 30


class Kubelet:
    """Runs pods of Deployments on `bed`; `program` is what stands for the image."""

    def __init__(self, bed: Bed, program: Program) -> None:
        self._bed = bed
        self._program = program
        self._pods: list[Pod] = []

    def start(self, namespace: str, deployment: str, *, template: Json | None = None) -> "Pod":
        """One pod of a Deployment, not waited for; `template` takes the place of the Deployment's own.

        Raises NotPlayed for what a Deployment asks beyond what is played here, LookupError for an object it names
        and the cluster does not have.
        """
        # Made a moment after the namespace; a kubelet waits for it as well.
        self._bed.kubectl("wait", "configmap/kube-root-ca.crt", "-n", namespace, "--for=create", "--timeout=20s")
        found = json.loads(self._bed.kubectl("get", "deployment", deployment, "-n", namespace, "-o", "json").stdout)
        pod = Pod(self._bed, self._program, namespace, deployment, checked(template or found["spec"]["template"]))
        self._pods.append(pod)
        return pod

    def stop(self) -> None:
        """Stop every pod that still runs."""
        while self._pods:
            self._pods.pop().stop()


@contextmanager
def kubelet(bed: Bed, program: Program) -> Iterator[Kubelet]:
    """A kubelet whose pods end with it."""
    player = Kubelet(bed, program)
    try:
        yield player
    finally:
        player.stop()


class Pod:
    """A running pod with its log; starts at once, `wait_ready` asks its readiness probe."""

    def __init__(self, bed: Bed, program: Program, namespace: str, deployment: str, template: Json) -> None:
        self.name = f"{deployment}-{secrets.token_hex(4)}"
        self.namespace = namespace
        self.port = free_port()
        self._spec: Json = template["spec"]
        (self._container,) = self._spec["containers"]
        self._probes = _probes(self._container)
        folder = bed.directory / "pods" / self.name
        folder.mkdir(parents=True)
        folder.parent.chmod(0o755)
        self.log = folder / "log"
        own = {"metadata": {**template["metadata"], "name": self.name, "namespace": namespace}, "spec": self._spec}
        told = dict(program.environment) | environment(bed, own)
        self._check_port(told)
        self.environment = told | {_PORT_VARIABLE: str(self.port)}
        sandbox = _sandbox(program, self._spec, self.name, mounts(bed, own, folder / "volumes"))
        command = [*sandbox, *self._command(program)]
        self._process = Process(command, environment=self.environment, log=self.log, directory=folder)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exit_code

    @property
    def pid(self) -> int:
        """Process id of the container's first process, as the host sees it."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        if not children:
            raise NotReady(f"{self.name} is not running yet, or no more\n{self.log_tail()}")
        return int(children[0].pid)

    def probe(self, name: str) -> int:
        """Status of `startup`, `readiness` or `liveness`, asked as the Deployment says; 0 if nobody answers."""
        return get(self.port, self._probes[name]).status

    def wait_ready(self, timeout_s: float = 40) -> None:
        """Wait until the readiness probe says 200. Raises NotReady, at once if it ended."""
        deadline = time.monotonic() + timeout_s
        while self.probe("readiness") != 200:
            if self.exit_code is not None:
                raise NotReady(f"the pod ended with {self.exit_code}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"the pod is not ready after {timeout_s} s\n{self.log_tail()}")
            time.sleep(_POLL_S)

    def wait_ended(self, timeout_s: float) -> int | None:
        """Exit code of a pod that ends by itself, None if it still runs after `timeout_s`."""
        return self._process.wait(timeout_s)

    def stop(self) -> Ending | None:
        """SIGTERM to the container's first process, SIGKILL after the grace period; None if it had ended before."""
        if self.exit_code is not None:
            return None
        started = time.monotonic()
        psutil.Process(self.pid).terminate()
        exit_code = self._process.wait(self._spec["terminationGracePeriodSeconds"])
        if exit_code is None:
            exit_code = self._process.kill().exit_code
        return Ending(exit_code, time.monotonic() - started)

    def kill(self) -> None:
        """Crash it (SIGKILL)."""
        self._process.kill()

    def log_text(self) -> str:
        """Everything it wrote so far."""
        return self.log.read_text(errors="replace")

    def log_tail(self) -> str:
        """The end of its log."""
        return "\n".join([str(self.log), *self.log_text().splitlines()[-_LOG_TAIL_LINES:]])

    def _command(self, program: Program) -> list[str]:
        """As Kubernetes has it: `command` replaces the image's ENTRYPOINT and CMD, `args` only its CMD."""
        if command := self._container.get("command"):
            return [*command, *self._container.get("args", ())]
        return [*program.entrypoint, *self._container.get("args", program.command)]

    def _check_port(self, told: Mapping[str, str]) -> None:
        serves = int(told.get(_PORT_VARIABLE, Settings.model_fields["http_port"].default))
        asked = {_port(self._container, name) for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        if asked != {serves}:
            raise NotPlayed(f"the probes ask ports {sorted(asked)}, the container serves on {serves}")


def _probes(container: Json) -> dict[str, str]:
    return {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}


def _port(container: Json, probe: str) -> int:
    port = container[probe]["httpGet"]["port"]
    named = {each["name"]: each["containerPort"] for each in container["ports"]}
    return int(named[port] if isinstance(port, str) else port)


def _sandbox(program: Program, spec: Json, name: str, mounted: Sequence[str | Path]) -> list[str]:
    """Bubblewrap and what it is to do, up to the program's own command line."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise tools.ToolMissing("bubblewrap is missing; apt-get install bubblewrap")
    user = {**spec["securityContext"], **spec["containers"][0]["securityContext"]}
    namespaces = ["--die-with-parent", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
    return [bwrap, *namespaces, "--hostname", name, *_as_user(user, _mounted(program, mounted))]


def _mounted(program: Program, places: Sequence[str | Path]) -> list[str]:
    """The root and what is mounted below it. A Path is where something goes, inside the root."""
    known = [str(resolved_in(program.root, each) if isinstance(each, Path) else each) for each in places]
    system = ["--proc", "/proc", "--dev", "/dev"]
    if program.root is not None:
        return ["--ro-bind", str(program.root), "/", *system, *known]
    wanted = [*program.shared, *(each for each in places if isinstance(each, Path))]
    # Where bubblewrap has to make a folder to mount something below it, it makes it for root only.
    above = sorted({folder for place in wanted for folder in place.parents} - {Path("/")})
    made = [part for folder in above for part in ("--perms", "0755", "--dir", str(folder))]
    shared = [part for folder in program.shared for part in ("--ro-bind", str(folder), str(folder))]
    # The checkout last, as it may itself be below a volume such as /tmp, whose new mount would hide it.
    return [*made, *system, *known, *made, *shared, "--remount-ro", "/"]


def _as_user(user: Json, arguments: Sequence[str]) -> list[str]:
    """Give up root for the pod's user, for good. A developer without root becomes that user in a user namespace."""
    uid, gid = user["runAsUser"], user["runAsGroup"]
    if os.geteuid() != 0:
        return ["--unshare-user", "--uid", str(uid), "--gid", str(gid), *arguments, "--chdir", "/", "--"]
    # Only what it takes to change the user, and to lose even that.
    needed = [part for name in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{name}")]
    group = user.get("fsGroup")
    groups = "--clear-groups" if group is None else f"--groups={group}"
    lost = ["setpriv", f"--reuid={uid}", f"--regid={gid}", groups, "--bounding-set=-all", "--inh-caps=-all"]
    return [
        "--cap-drop",
        "ALL",
        *needed,
        *arguments,
        "--chdir",
        "/",
        "--",
        *lost,
        "--ambient-caps=-all",
        "--no-new-privs",
    ]
