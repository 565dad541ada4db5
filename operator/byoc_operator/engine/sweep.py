"""The sweep: compares one snapshot of LiveKit with every number in memory, and queues the numbers that differ.

The same code serves the start of the operator, the detection of drift, and the recovery after a LiveKit outage.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import Failure
from .bugs import Bugs
from .orphan_search import OrphanSearch
from .ports import SweepPorts
from .priority import Priority
from .queue import WorkQueue
from .secret_look import SecretLook
from .throttled import count_wait_of

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 15.0
"""While LiveKit does not answer, the sweeper asks again after 1 s, then after twice as long each time, up to 15 s."""

COMPARED_PER_TURN = 50
"""How many numbers are compared before other tasks get a turn; a comparison takes about 0.1 ms."""

JITTER = 0.1
"""The part of the interval that is random, so that several installations do not sweep at the same time for ever."""


class Judge(Protocol):
    """Tells what a run would do."""

    def in_step(self, phone: str) -> bool:
        """Whether a run of this phone number would change nothing."""
        ...

    async def tidy(self) -> None:
        """Forget numbers that no object names any more."""
        ...


@dataclass(slots=True)
class LiveKitState:
    """LiveKit in the last sweep. `trouble`: why the sweep failed; None if it did not. `asked`: a sweep has ended.

    `swept_at_s`: when the last successful sweep ended, or the first one began, in epoch seconds.
    """

    trouble: Failure | None = None
    asked: bool = False
    swept_at_s: float | None = None

    @property
    def up(self) -> bool | None:
        """Whether LiveKit answered the last sweep; None before the first one ends."""
        return self.trouble is None if self.asked else None


class Sweeper:
    """Sweeps at start and then every `interval_s` seconds, until cancelled."""

    def __init__(
        self,
        ports: SweepPorts,
        queue: WorkQueue,
        judge: Judge,
        orphans: OrphanSearch,
        interval_s: float,
    ) -> None:
        self._orphans = orphans
        self._ports = ports
        self._guard = ports.guard
        self._queue = queue
        self._judge = judge
        self.interval_s = interval_s
        self._failures = 0
        self._bugs = Bugs(ports.metrics)
        self.secrets = SecretLook(ports, queue, self._bugs)
        self.state = LiveKitState()

    async def run(self, told: Callable[[Failure], None]) -> None:
        """Sweep for ever. `told` is called when LiveKit as a whole begins to fail, or fails with another reason.

        While the guard blocks calls to LiveKit, only this task asks whether LiveKit answers again.
        """
        while True:
            try:
                if self._guard.is_open:
                    await self._guard.probe()
                    self._queue.unpark()
                await self.sweep()
            except Failure as exc:
                self._failed(self._guard.trouble or exc, told)
                if self._failures == 1:
                    self._queue_unseen()
                await asyncio.sleep(self._retry_s())
                continue
            self._answered()
            # S311: nothing secret hangs on when a sweep runs
            await self._guard.wait_open(self.interval_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            if self._guard.trouble:
                self._failed(self._guard.trouble, told)
                await asyncio.sleep(self._retry_s())

    async def sweep(self) -> None:
        """Carry out one sweep. Raises `Failure` if LiveKit fails."""
        self._ports.carriers.reload()
        await self._ports.inventory.refresh()
        await self._part("secrets", self.secrets.look())
        different = 0
        for count, phone in enumerate(self._ports.cache.phones()):
            if count % COMPARED_PER_TURN == 0:
                await asyncio.sleep(0)
            if not self._queue.running(phone) and not self._seems_in_step(phone):
                different += 1
                self._queue.add(phone, Priority.SWEEP)
        log.debug("swept %d numbers, %d differ", len(self._ports.cache), different)
        await self._part("claims", self._judge.tidy())
        await self._part("orphans", self._orphans.look())
        self._bugs.round_ended()

    async def _part(self, part: str, work: Coroutine[Any, Any, object]) -> None:
        """Carry out a part of the sweep. A bug in it does not end the other parts. Raises `Failure`."""
        try:
            await work
        except Failure:
            raise
        except Exception as exc:  # noqa: BLE001 - see above
            self._bugs.met(part, exc, f"while looking at {part}")

    def _seems_in_step(self, phone: str) -> bool:
        try:
            return self._judge.in_step(phone)
        except Exception as exc:  # noqa: BLE001 - a bug with one number must not stop the sweep
            self._bugs.met("numbers", exc, f"while comparing {phone}")
            return False

    def _queue_unseen(self) -> None:
        """Queue what needs a run although LiveKit does not answer: deletions, and numbers that are not in step."""
        for number in self._ports.cache.all():
            if not number.was_in_step or (number.deleting and number.has_finalizer):
                self._queue.add(number.phone_number, Priority.SWEEP)

    def _failed(self, exc: Failure, told: Callable[[Failure], None]) -> None:
        self._failures += 1
        before = self.state.trouble
        self.state = LiveKitState(trouble=exc, asked=True, swept_at_s=self.state.swept_at_s)
        self._ports.metrics.sweeps.labels("failed").inc()
        count_wait_of(self._ports.metrics, exc)
        if before is None or before.reason != exc.reason:
            log.error("LiveKit: %s: %s", exc.reason, exc.message)
            told(exc)

    def _answered(self) -> None:
        if self.state.trouble is not None:
            log.info("LiveKit answers again")
        self._failures = 0
        self.state = LiveKitState(asked=True, swept_at_s=self._ports.wall())
        self._ports.metrics.sweeps.labels("done").inc()

    def _retry_s(self) -> float:
        return min(LONGEST_RETRY_S, self.interval_s, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10))
