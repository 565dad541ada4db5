"""Plays kubelet: runs the one container of an applied Deployment as its pod template says.

Command, environment, mounted files, service account, user, read-only root and probes come from the object in the API
server and from nowhere else, so that a wrong name, key, path or right fails a test. What it does not understand it
refuses. Two liberties: pods share the host's network, so each is told free ports to serve on; and seccomp, resource
limits and scheduling are left to a real node.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]

from byoc_operator.settings import Settings
from testbed.bed import Bed
from testbed.http_probe import get
from testbed.name_files import name_files
from testbed.part import NotReady, free_port
from testbed.pod_files import environment, mounts
from testbed.pod_spec import Json, NotPlayed, checked
from testbed.process import Ending, Process
from testbed.program import Program
from testbed.sandbox import sandbox
from testbed.service_proxy import ServiceProxy

_PORT_SETTINGS = {"BYOC_HTTP_PORT": "http_port", "BYOC_ADMISSION_PORT": "admission_port"}
"""Variables that tell the operator where to serve, and the settings that have their defaults."""

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

    @contextmanager
    def service(self, namespace: str, name: str) -> Iterator[None]:
        """Make the first port of a Service reachable at its cluster IP while this is entered.

        A pod is connected to as long as its readiness probe says 200, and on its way out until it is told to end: a
        real cluster needs a moment, too, to hear that a pod is leaving.
        """
        spec = json.loads(self._bed.kubectl("get", "service", name, "-n", namespace, "-o", "json").stdout)["spec"]
        port = spec["ports"][0]

        def backend() -> int | None:
            behind = (pod for pod in self._pods if pod.namespace == namespace and pod.is_selected_by(spec["selector"]))
            ready = (pod for pod in behind if pod.exit_code is None and not pod.told_to_end)
            return next((pod.host_port(port["targetPort"]) for pod in ready if pod.probe("readiness") == 200), None)

        with ServiceProxy(spec["clusterIP"], port["port"], backend):
            yield

    def stop(self) -> None:
        """Stop every pod that still runs."""
        while self._pods:
            self._pods.pop().end()


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
        self.told_to_end = False
        self._labels: Json = template["metadata"]["labels"]
        self._spec: Json = template["spec"]
        (self._container,) = self._spec["containers"]
        # It is part of the grace period.
        self._pre_stop_s: int = (
            self._container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        )
        folder = bed.directory / "pods" / self.name
        folder.mkdir(parents=True)
        folder.parent.chmod(0o755)
        self.log = folder / "log"
        own = {"metadata": {**template["metadata"], "name": self.name, "namespace": namespace}, "spec": self._spec}
        told = dict(program.environment) | environment(bed, own)
        played = _played_ports(self._container, told)
        self._ports = dict(played.values())
        self.environment = told | {name: str(chosen) for name, (_, chosen) in played.items()}
        places = [*mounts(bed, own, folder / "volumes"), *name_files(self._spec, folder / "names")]
        walls = sandbox(program, self._spec, self.name, places)
        command = [*walls, *self._command(program)]
        self._process = Process(command, environment=self.environment, log=self.log, directory=folder)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the pod; None while it runs."""
        return self._process.exit_code

    @property
    def pid(self) -> int:
        """Process id of the container's first process, as the host sees it."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        if not children:
            raise NotReady(f"{self.name} is not running yet, or no more\n{self.log_tail()}")
        return int(children[0].pid)

    @property
    def port(self) -> int:
        """Where its port `http` is to be found."""
        return self.host_port("http")

    def host_port(self, port: str | int) -> int:
        """Where a port of the container, by name or number, is to be found on 127.0.0.1."""
        named = {each["name"]: each["containerPort"] for each in self._container["ports"]}
        return self._ports[named[port] if isinstance(port, str) else port]

    def is_selected_by(self, selector: Json) -> bool:
        """Whether it has all these labels."""
        return selector.items() <= self._labels.items()

    def probe(self, name: str) -> int:
        """Status of `startup`, `readiness` or `liveness`, asked as the Deployment says; 0 if nobody answers."""
        asked = self._container[f"{name}Probe"]["httpGet"]
        secure = asked.get("scheme") == "HTTPS"
        return get(self.host_port(asked["port"]), asked["path"], any_certificate=secure).status

    def wait_ready(self, timeout_s: float = 120) -> None:
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
        """As a deleted pod ends: what `preStop` asks for first. None if it had ended before."""
        if self.exit_code is None:
            time.sleep(self._pre_stop_s)
        return self.end()

    def end(self) -> Ending | None:
        """SIGTERM to the container's first process, SIGKILL after what is left of the grace period."""
        if self.exit_code is not None:
            return None
        started = time.monotonic()
        self.told_to_end = True
        psutil.Process(self.pid).terminate()
        exit_code = self._process.wait(self._spec["terminationGracePeriodSeconds"] - self._pre_stop_s)
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


def _played_ports(container: Json, told: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Variable of each port that the container declares, with the port's number and the one it gets here."""
    serves = {int(told.get(name, Settings.model_fields[field].default)): name for name, field in _PORT_SETTINGS.items()}
    declared = {port["name"]: port["containerPort"] for port in container["ports"]}
    if unknown := {name for name, number in declared.items() if number not in serves}:
        raise NotPlayed(f"ports {sorted(unknown)}: the container serves on {sorted(serves)}")
    asked = {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")}
    if not asked <= declared.keys() | declared.values():
        raise NotPlayed(f"the probes ask {asked}, the container serves on {declared}")
    return {serves[number]: (number, free_port()) for number in declared.values()}
