"""Workers: each takes one phone number after the other out of the queue and runs it."""

import asyncio
import itertools
import logging
import traceback
from typing import assert_never

from ..core.run_outcome import Again, BackOff, Done, Park, RunOutcome
from ..telemetry.logs import RUN
from .ports import WorkerPorts
from .queue import WorkQueue
from .reconcile import Reconciler
from .throttled import count_wait

log = logging.getLogger(__name__)

BUG_LONGEST_S = 600.0

RUN_LIMIT_S = 300.0
"""A run that takes longer is cancelled and tried again. Each call has a timeout, so that no run should take so long."""


class Worker:
    """Runs phone numbers. Each call of `work` is one worker, with one run at a time."""

    def __init__(self, ports: WorkerPorts, queue: WorkQueue, reconciler: Reconciler) -> None:
        self._ports = ports
        self._queue = queue
        self._reconciler = reconciler
        self._runs: dict[str, float] = {}
        self._count = itertools.count(1)

    @property
    def oldest_s(self) -> float:
        """For how many seconds the oldest run has been under way; 0 if there is none."""
        now = self._ports.clock()
        return now - min(self._runs.values(), default=now)

    async def work(self) -> None:
        """Run one phone number after the other, until cancelled."""
        while True:
            phone = await self._queue.get()
            started = self._runs[phone] = self._ports.clock()
            RUN.set(next(self._count))
            try:
                result = await self._run(phone)
            finally:
                RUN.set(0)
                del self._runs[phone]
            self._ports.metrics.reconciles.labels(result).inc()
            self._ports.metrics.reconcile_seconds.observe(self._ports.clock() - started)

    async def _run(self, phone: str) -> str:
        """Run the number and tell the queue when it is due again. Returns the metric's label for the end of the run."""
        outcome = await self._outcome(phone)
        match outcome:
            case Done():
                self._queue.done(phone)
                return "done"
            case Again(delay_s):
                self._queue.later(phone, delay_s)
                return "waiting"
            case BackOff(longest_s, at_least_s, reason):
                count_wait(self._ports.metrics, reason, at_least_s)
                self._queue.retry(phone, at_least_s, longest_s)
                return "unavailable"
            case Park():
                self._queue.park(phone)
                return "parked"
            case None:
                self._queue.retry(phone, 0.0, BUG_LONGEST_S)
                return "bug"
            case _:
                assert_never(outcome)

    async def _outcome(self, phone: str) -> RunOutcome | None:
        """The outcome of the run; None after a bug, which must not stop the runs of other numbers."""
        try:
            async with asyncio.timeout(RUN_LIMIT_S):
                return await self._reconciler.reconcile(phone)
        except Exception as exc:  # noqa: BLE001 - see above
            # The frames only: the text of an exception may contain a credential.
            frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
            log.error(  # noqa: TRY400 - see above
                "a bug: %s while working on %s\n%s", type(exc).__name__, phone, frames
            )
            return None
