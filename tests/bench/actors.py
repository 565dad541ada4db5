"""The two programs that are measured, the operator and the bare client, each with its own process and account."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Protocol

from bench.bare import CALLS, WATCHING
from bench.install import BARE, OPERATOR, SYSTEM, user
from bench.meters import cpu_s
from bench.watcher import NotReached
from testbed.bed import Bed
from testbed.operator_process import OperatorProcess
from testbed.process import Process, clean_environment

INSTALLATION = "00000000-0000-0000-0000-000000000000"
_SETTINGS = {"BYOC_SIP_URI": "sip.example.com", "BYOC_INSTALLATION_ID": INSTALLATION}
_READY_WITHIN_S = 60.0
_TESTS = Path(__file__).parents[1]


class Actor(Protocol):
    """Something that brings numbers into step. `calls`: to LiveKit so far."""

    @property
    def pid(self) -> int: ...

    @property
    def user(self) -> str: ...

    def calls(self) -> int: ...

    def stop(self) -> None: ...


class Operator:
    """The operator with its defaults, but for what tests cannot leave open. Not ready yet when it is made."""

    user = user(OPERATOR)

    def __init__(self, bed: Bed, sweep_interval_s: float | None = None) -> None:
        settings = _SETTINGS | ({"BYOC_SWEEP_INTERVAL_SECONDS": str(sweep_interval_s)} if sweep_interval_s else {})
        self.started_at = time.time()
        self.process = OperatorProcess.on(bed, bed.service_account_kubeconfig(SYSTEM, OPERATOR), settings=settings)
        self.pid = self.process.pid

    async def ready(self) -> float:
        """Seconds from the start until it was ready."""
        await asyncio.to_thread(self.process.wait_ready, _READY_WITHIN_S)
        return time.time() - self.started_at

    def calls(self) -> int:
        """By its own counter."""
        return round(self.total("byoc_livekit_requests_total"))

    def total(self, metric: str) -> float:
        """Sum of a metric over all its labels."""
        samples = self.process.metrics().items()
        return sum(value for name, value in samples if name.partition("{")[0] == metric)

    def last_sweep_at(self) -> float:
        """Epoch seconds at which the last sweep ended; 0 before the first."""
        return self.process.metrics()["byoc_last_sweep_timestamp_seconds"]

    def stop(self) -> None:
        """End it as Kubernetes does."""
        self.process.stop()


class BareClient:
    """`bench.bare` on one namespace."""

    user = user(BARE)

    def __init__(self, bed: Bed, namespace: str) -> None:
        self._log = bed.directory / f"{namespace}.log"
        environment = {
            "KUBECONFIG": str(bed.service_account_kubeconfig(SYSTEM, BARE)),
            "BENCH_NAMESPACE": namespace,
            "PYTHONPATH": str(_TESTS),
            **bed.livekit_environment(),
        }
        self._process = Process(
            [sys.executable, "-m", "bench.bare"],
            environment=clean_environment() | environment,
            log=self._log,
            directory=bed.directory,
        )
        self.pid = self._process.pid

    async def ready(self) -> None:
        """Wait until it watches. Raises NotReached."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while WATCHING not in self._log.read_text():
            if self._process.exit_code is not None or time.monotonic() > deadline:
                raise NotReached(f"the bare client does not watch; see {self._log}")
            await asyncio.sleep(0.05)

    def calls(self) -> int:
        """By what it printed last."""
        counts = [line.split()[1] for line in self._log.read_text().splitlines() if line.startswith(CALLS)]
        return int(counts[-1]) if counts else 0

    def stop(self) -> None:
        """End it."""
        self._process.stop()


_QUIET_CPU_S = 0.03
_QUIET_STEP_S = 0.5


async def quiet(actor: Actor, within_s: float) -> None:
    """Wait until it has used next to no processor time for a second. Raises NotReached."""
    deadline = time.monotonic() + within_s
    calm = 0
    before_s = cpu_s(actor.pid)
    while calm < 2:
        if time.monotonic() > deadline:
            raise NotReached(f"process {actor.pid} is still busy after {within_s:.0f} s")
        await asyncio.sleep(_QUIET_STEP_S)
        now_s = cpu_s(actor.pid)
        calm = calm + 1 if now_s - before_s < _QUIET_CPU_S else 0
        before_s = now_s
