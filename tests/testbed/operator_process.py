"""The operator under test: its own process, its own service account, nothing of the developer's environment."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from testbed.bed import Bed
from testbed.http_probe import get
from testbed.part import NotReady, free_port
from testbed.process import Ending, Process, clean_environment

_POLL_S = 0.05
_LOG_TAIL_LINES = 30
_MEBIBYTE = 2**20


class OperatorProcess:
    """`python -m byoc_operator run` with PATH, HOME, LANG and the `environment` given.

    The port of its HTTP endpoints is chosen here. Starts at once; use `wait_ready`, and `stop` in the end. It logs to
    `log` (appended, so that a second start of the same operator continues the file).
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.port = free_port()
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = Process(
            [sys.executable, "-m", "byoc_operator", "run"],
            environment=clean_environment() | {"BYOC_HTTP_PORT": str(self.port)} | dict(environment),
            log=log,
            directory=log.parent,
        )

    @classmethod
    def on(
        cls,
        bed: Bed,
        kubeconfig: Path,
        *,
        livekit_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        name: str = "operator",
    ) -> "OperatorProcess":
        """The operator on a bed; `settings` are further BYOC_* variables, `name` tells replicas apart in the logs."""
        environment = {"KUBECONFIG": str(kubeconfig), "BYOC_LOG_FORMAT": "json", **bed.livekit_environment(livekit_url)}
        return cls(environment | dict(settings or {}), bed.directory / "operator" / f"{name}.log")

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exit_code

    def is_ready(self) -> bool:
        """Whether /readyz answers 200."""
        return get(self.port, "/readyz").status == 200

    def wait_ready(self, timeout_s: float = 90) -> None:
        """Wait until it is ready. Raises NotReady, at once if it ended."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if (exit_code := self.exit_code) is not None:
                raise NotReady(f"the operator ended with {exit_code}\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"the operator is not ready after {timeout_s} s\n{self._log_tail()}")
            time.sleep(_POLL_S)

    def wait_ended(self, timeout_s: float) -> int | None:
        """Exit code of an operator that ends by itself, or None if it still runs after `timeout_s`."""
        return self._process.wait(timeout_s)

    def stop(self, grace_s: float = 30) -> Ending:
        """SIGTERM as Kubernetes sends it, SIGKILL after `grace_s` (the default of a pod)."""
        return self._process.stop(grace_s)

    def kill(self) -> Ending:
        """Crash it (SIGKILL)."""
        return self._process.kill()

    def suspend(self) -> None:
        """Let it hang, as a paused virtual machine would (SIGSTOP)."""
        self._process.suspend()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._process.resume()

    def log_text(self) -> str:
        """Everything it wrote so far."""
        return self.log.read_text(errors="replace")

    def metrics(self) -> dict[str, float]:
        """Samples of /metrics by name and sorted labels: `byoc_x_total{code="200",method="List"}`.

        Raises NotReady when it does not answer.
        """
        answer = get(self.port, "/metrics")
        if answer.status != 200:
            raise NotReady(f"/metrics answered {answer.status}")
        families = text_string_to_metric_families(answer.body)
        return {_key(sample.name, sample.labels): sample.value for family in families for sample in family.samples}

    def cpu_s(self) -> float:
        """Processor time used so far, user and system."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Resident memory in MiB."""
        return float(psutil.Process(self.pid).memory_info().rss / _MEBIBYTE)

    def _log_tail(self) -> str:
        return "\n".join([str(self.log), *self.log_text().splitlines()[-_LOG_TAIL_LINES:]])


def _key(name: str, labels: Mapping[str, str]) -> str:
    listed = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{listed}}}" if listed else name
