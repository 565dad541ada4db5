"""Workers: each takes one phone number after the other out of the queue and runs it."""

import asyncio
import logging
import traceback
from typing import assert_never

from ..core.run_outcome import Again, BackOff, Done, Park, RunOutcome
from .ports import WorkerPorts
from .queue import WorkQueue
from .reconcile import Reconciler
from .throttled import count_wait

log = logging.getLogger(__name__)

BUG_LONGEST_S = 600.0

RUN_LIMIT_S = 300.0
"""No run takes so long, because each of its calls has a timeout. A run that takes longer is ended and tried again."""


class Worker:
    """Runs phone numbers. `work` may be called several times: that many runs are under way at once."""

    def __init__(self, ports: WorkerPorts, queue: WorkQueue, reconciler: Reconciler) -> None:
        self._ports = ports
        self._queue = queue
        self._reconciler = reconciler
        self._runs: dict[str, float] = {}

    @property
    def oldest_s(self) -> float:
        """How long the longest run under way has taken so far, in seconds."""
        now = self._ports.clock()
        return now - min(self._runs.values(), default=now)

    async def work(self) -> None:
        """Run one phone number after the other, until cancelled."""
        while True:
            phone = await self._queue.get()
            started = self._runs[phone] = self._ports.clock()
            try:
                result = await self._run(phone)
            finally:
                del self._runs[phone]
            self._ports.metrics.reconciles.labels(result).inc()
            self._ports.metrics.reconcile_seconds.observe(self._ports.clock() - started)

    async def _run(self, phone: str) -> str:
        """Run the number, and tell the queue when it is due again; how the run ended, as the metric calls it."""
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
        """How the run ends; None if it meets a bug, which must not stop the runs of other numbers."""
        try:
            async with asyncio.timeout(RUN_LIMIT_S):
                return await self._reconciler.reconcile(phone)
        except Exception as exc:  # noqa: BLE001 - see above
            # The frames only: an exception's text may hold what it was handed.
            frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
            log.error(  # noqa: TRY400 - see above
                "a bug: %s while working on %s\n%s", type(exc).__name__, phone, frames
            )
            return None
