"""Everything that runs: lists at start, workers, sweeps, and what the watches tell. Knows nothing of kopf."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ..api.names import PLURAL
from ..api.resource import PhoneNumber
from ..cluster.api import ApiRefused
from ..core.orphans import asked_to_release
from ..errors import OperatorError, Parked, Unavailable, Waiting
from .gather import Ports
from .intake import SECRETS, Intake
from .leader import Leadership
from .measure import measure
from .orphanage import Announce, Orphanage
from .queue import Lane, WorkQueue, followers
from .reconcile import Reconciler
from .report import REFUSED_LONGEST_S
from .sweep import LiveKitState, Sweeper
from .unread import Unread

log = logging.getLogger(__name__)

BUG_LONGEST_S = 600.0

RUN_LIMIT_S = 300.0
"""No run takes so long: each of its calls has a timeout of its own. One that does is ended and tried again."""

FRESH_S = 2.0
"""Who leads so soon after the lists need not look again; what happened since is listed when the watches begin."""

RIGHTS_S = 5.0
"""How often it is asked whether a missing right is back."""

STUCK_RUN_S = 120.0
STUCK_QUEUE_S = 600.0
"""From when /readyz says so. Ten thousand numbers at once take LiveKit minutes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once. `workers`: runs; `refreshes`: of them for refresh and recreate; times in seconds."""

    workers: int
    refreshes: int
    sweep_interval_s: float


class Ended(RuntimeError):
    """A task that must not end did, without an error of its own."""


class Engine:
    """Made inside a running event loop. `start`, then feed it events; `stop` ends it after what is under way."""

    def __init__(
        self,
        ports: Ports,
        pace: Pace,
        leader: Leadership,
        orphanage: Orphanage,
        say: Announce,
    ) -> None:
        self._ports = ports
        self._pace = pace
        self._queue = WorkQueue(refresh_limit=pace.refreshes, paced_limit=lambda: ports.guard.pace.value)
        self._reconciler = Reconciler(ports)
        self._sweeper = Sweeper(ports, self._queue, self._reconciler, orphanage, pace.sweep_interval_s, say)
        self._orphanage = orphanage
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()
        self._leader = leader
        self._leading = False
        self._stopping = False
        self._runs: dict[str, float] = {}
        self._intake = Intake(ports, self._add)
        self.listed, self._listed_at = False, float("-inf")
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        ports.secrets.keys.changed = self._other_keys
        orphanage.freed = self._freed
        leader.heard = self._asked_to_release
        ports.regained.refusals.begun = self._look_for_rights
        ports.regained.refusals.regained = self._may_again
        self._looks_for_rights = False
        self._measure()

    @property
    def leading(self) -> bool:
        """Whether this process works, and does not only stand by."""
        return self._leading

    @property
    def livekit(self) -> LiveKitState:
        """What the last sweep saw of LiveKit."""
        return self._sweeper.state

    @property
    def queue(self) -> WorkQueue:
        """What waits and what runs."""
        return self._queue

    async def start(self) -> None:
        """List what there is, then begin to work as soon as this process leads. Waits for the API server."""
        self._look_for_rights()
        await self._list()
        await self._ports.rights.look()
        self._spawn(self._lead(), "leader")

    async def _lead(self) -> None:
        """Work for as long as this process leads; ends, and the process with it, when it does no longer."""
        await self._leader.acquire()
        taking_over = asyncio.create_task(self._take_over(), name="take-over")
        taking_over.add_done_callback(self._failed)
        self._tasks.add(taking_over)
        await self._leader.keep()
        self._leading = False
        self._queue.stop()

    async def _take_over(self) -> None:
        """Look again at what happened while this process stood by, then work."""
        if self._ports.clock() - self._listed_at > FRESH_S:
            await self._intake.patiently(self._intake.look_again)
        await self._sweeper.look_at_keys()
        self._reconciler.claims.begin()
        self._sweeper.state.swept_at_s = self._ports.wall()
        self._leading = True
        for index in range(self._pace.workers):
            self._spawn(self._work(), f"worker {index}")
        self._spawn(self._sweeper.run(self._tell_trouble), "sweeper")

    async def stop(self, grace_s: float) -> None:
        """Take nothing more in, let what is under way end for up to `grace_s` seconds, then end."""
        self._stopping = True
        self._queue.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._queue.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ports.inventory.aclose()
        await self._ports.secrets.aclose()
        self._leading = False
        await self._leader.release()

    @property
    def unread(self) -> Unread:
        """Hears of what cannot be read."""
        return self._ports.unread

    def number_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a number; `kind` is DELETED, ADDED, MODIFIED or None."""
        self._intake.number_event(kind, raw)

    def secret_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a labelled Secret. DELETED also means: it lost its label."""
        self._intake.secret_event(kind, raw)

    def secrets_listed(self) -> None:
        """A watch of labelled Secrets begins. It tells nothing of what was before it, so they are listed."""
        self._relist(SECRETS)

    def numbers_listed(self) -> None:
        """A watch of numbers begins. It tells nothing of what was before it, so they are listed."""
        self._relist(PLURAL)

    def _relist(self, resource: str) -> None:
        """List in the background, as often as it takes: a watch goes on meanwhile."""
        if self._intake.due(resource):
            task = asyncio.create_task(self._intake.list_while_due(resource), name="list")
            task.add_done_callback(self._failed)
            self._tasks.add(task)

    def _add(self, number: PhoneNumber, lane: Lane) -> None:
        """Only the leader works; who becomes it sweeps, and so finds what happened before."""
        if self._leading:
            self._queue.add(number.phone_number, lane, number.key.namespace)

    async def _list(self) -> None:
        await self._intake.patiently(self._intake.list_all)
        self.listed, self._listed_at = True, self._ports.clock()

    def _other_keys(self) -> None:
        """There are other sealing keys than before: what could not be opened is asked for again."""
        names = self._ports.secrets.forget_unopened()
        self._add_all([number for name in names for number in self._ports.cache.users_of(*name)])

    def _add_all(self, numbers: list[PhoneNumber]) -> None:
        """All whom one change concerns."""
        for number in numbers:
            self._add(number, followers(len(numbers)))

    def _freed(self, phone: str, released: bool) -> None:  # noqa: FBT001 - `Orphanage.freed`
        """A trunk that belonged to nobody is gone: who waits for its number may have it."""
        if released:
            self._reconciler.claims.forget(phone)
        if self._leading:
            self._queue.add(phone, Lane.SWEEP)

    def _asked_to_release(self, text: str) -> None:
        """The annotation on the Lease changed, or was seen for the first time."""
        self._orphanage.asked = asked_to_release(text)
        if self._leading:
            self._spawn_once(self._release())

    async def _release(self) -> None:
        try:
            await self._orphanage.release()
        except OperatorError as exc:
            log.warning("nothing can be released just now, the next sweep tries again: %s", exc.message)
        except Exception as exc:  # noqa: BLE001 - what was asked for stays asked: it must not end one process after another
            log.error("a bug: %s while releasing what the Lease names", type(exc).__name__)  # noqa: TRY400 - as in runs

    def _look_for_rights(self) -> None:
        """A right is missing: ask from now and then whether it is back, until none is missing."""
        if not self._looks_for_rights and not self._stopping and self._ports.regained.refusals.missing():
            self._looks_for_rights = True
            task = asyncio.create_task(self._rights_are_back(), name="rights")
            task.add_done_callback(self._failed)
            self._tasks.add(task)

    async def _rights_are_back(self) -> None:
        while self._ports.regained.refusals.missing():
            await asyncio.sleep(RIGHTS_S)
            await self._ports.regained.look()
        self._looks_for_rights = False

    def _may_again(self) -> None:
        """A right is back: whatever backs off is tried at once."""
        if self._leading:
            self._queue.unpark()

    def problems(self) -> list[str]:
        """What looks as if work had come to a stop, one line each; empty: nothing does."""
        found = [] if self.listed else [self._intake.trouble]
        if self._oldest_run_s() > STUCK_RUN_S:
            found.append(f"a run has taken more than {STUCK_RUN_S:.0f} s")
        if self._leading and self._queue.oldest_s > STUCK_QUEUE_S:
            found.append(f"a number has waited for more than {STUCK_QUEUE_S:.0f} s for its run")
        found += [self._leader.problem()] if self.listed and self._leader.problem() else []
        return [*found, *self._ports.regained.refusals.problems()]

    def _oldest_run_s(self) -> float:
        now = self._ports.clock()
        return now - min(self._runs.values(), default=now)

    async def _work(self) -> None:
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
        try:
            async with asyncio.timeout(RUN_LIMIT_S):
                await self._reconciler.reconcile(phone)
        except Waiting as exc:
            self._queue.later(phone, exc.delay_s)
            return "waiting"
        except Unavailable as exc:
            trouble = self._ports.guard.trouble
            if trouble is not None and (isinstance(exc, Parked) or trouble.reason == exc.reason):
                self._queue.park(phone)
                return "parked"
            self._queue.retry(phone, exc.retry_after_s or 0.0, exc.longest_s)
            return "unavailable"
        except ApiRefused:  # `Refusals` tells it
            self._queue.retry(phone, 0.0, REFUSED_LONGEST_S)
            return "unavailable"
        except Exception as exc:  # noqa: BLE001 - a bug that one number meets must not stop the others
            # The frames only: an exception's text may hold what it was handed.
            frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
            log.error(  # noqa: TRY400 - see above
                "a bug: %s while working on %s\n%s", type(exc).__name__, phone, frames
            )
            self._queue.retry(phone, 0.0, BUG_LONGEST_S)
            return "bug"
        self._queue.done(phone)
        return "done"

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _failed(self, task: asyncio.Task[None]) -> None:
        """A task of ours that may end, but not before it is done."""
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours that ends by itself would leave an operator that looks healthy and does nothing."""
        self._tasks.discard(task)
        if self._stopping or self.died.done():
            return
        exc = None if task.cancelled() else task.exception()
        self.died.set_result(exc or Ended(f"{task.get_name()} ended"))

    def _tell_trouble(self, exc: OperatorError) -> None:
        self._spawn_once(self._say(exc.reason, exc.message))

    def _spawn_once(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="event about LiveKit, or a release")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _measure(self) -> None:
        measure(
            self._ports,
            lambda: self._leading,
            {
                "byoc_queue_depth": lambda: self._queue.depth,
                "byoc_queue_delayed": lambda: self._queue.delayed,
                "byoc_queue_parked": lambda: self._queue.parked,
                "byoc_queue_oldest_seconds": lambda: self._queue.oldest_s,
                "byoc_run_oldest_seconds": self._oldest_run_s,
                "byoc_orphans": lambda: self._orphanage.count,
                "byoc_retained_numbers": lambda: self._orphanage.retained_count,
                "byoc_livekit_up": lambda: self.livekit.up,
                "byoc_last_sweep_timestamp_seconds": lambda: self.livekit.swept_at_s,
            },
        )
