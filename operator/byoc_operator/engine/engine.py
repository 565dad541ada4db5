"""Everything that runs: lists at start, workers, sweeps, and what the watches tell. Knows nothing of kopf."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.conditions import Reason
from ..core.resource import Key, PhoneNumber
from ..errors import OperatorError, Parked, Unavailable, Waiting
from .gather import Ports
from .leader import Leadership
from .orphanage import Announce, Orphanage
from .queue import Lane, WorkQueue, followers
from .reconcile import Reconciler
from .sweep import LiveKitState, Sweeper

log = logging.getLogger(__name__)

LIST_RETRY_S = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Pauses between attempts to list at start; the last one repeats."""

BUG_LONGEST_S = 600.0

_REASONS = frozenset(Reason)

RUN_LIMIT_S = 300.0
"""No run takes so long: each of its calls has a timeout of its own. One that does is ended and tried again."""

STUCK_RUN_S = 120.0
STUCK_QUEUE_S = 600.0
"""From when /readyz says so. Ten thousand numbers at once take LiveKit minutes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once. `workers`: runs; `refreshes`: of them for refresh and recreate; times in seconds."""

    workers: int
    refreshes: int
    sweep_interval_s: float


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
        self._sweeper = Sweeper(ports, self._queue, self._reconciler.in_step, orphanage, pace.sweep_interval_s, say)
        self._orphanage = orphanage
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()
        self._leader = leader
        self._leading = False
        self._runs: dict[str, float] = {}
        self.listed = False
        self.trouble = "the lists of numbers and Secrets are not read yet"
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        ports.secrets.keys.changed = self._other_keys
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
        await self._list()
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
        await self._patiently(self._look_again)
        await self._sweeper.look_at_keys()
        self._leading = True
        for index in range(self._pace.workers):
            self._spawn(self._work(), f"worker {index}")
        self._spawn(self._sweeper.run(self._tell_trouble), "sweeper")

    async def stop(self, grace_s: float) -> None:
        """Take nothing more in, let what is under way end for up to `grace_s` seconds, then end."""
        self._queue.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._queue.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._ports.inventory.aclose()
        await self._ports.secrets.aclose()
        await self._leader.release()

    def number_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a number; `kind` is DELETED, ADDED, MODIFIED or None."""
        cache = self._ports.cache
        if kind == "DELETED":
            metadata = raw["metadata"]
            known = cache.gone(Key(metadata["namespace"], metadata["name"]), metadata["uid"])
            if known is not None:
                self._add(known, Lane.USER)  # somebody else may have waited for the number
            return
        sighting = cache.seen(raw)
        if sighting is not None and sighting.wakes:
            self._add(sighting.number, _lane(sighting.number))

    def secret_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a labelled Secret. DELETED also means: it lost its label."""
        metadata = raw["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        secrets = self._ports.secrets
        if kind == "DELETED":
            secrets.forget(namespace, name)
        elif not secrets.seen(raw):
            return
        self._add_all(self._ports.cache.users_of(namespace, name))

    def secrets_listed(self) -> None:
        """The watch of labelled Secrets began with a LIST: what vanished before, the next sweep finds out."""
        self._ports.secrets.begun_anew()

    def _add(self, number: PhoneNumber, lane: Lane) -> None:
        """Only the leader works; who becomes it sweeps, and so finds what happened before."""
        if self._leading:
            self._queue.add(number.phone_number, lane, number.key.namespace)

    async def _list(self) -> None:
        await self._patiently(self._list_all)
        self.listed, self.trouble = True, ""

    def _other_keys(self) -> None:
        """There are other sealing keys than before: what could not be opened is asked for again."""
        names = self._ports.secrets.forget_unopened()
        self._add_all([number for name in names for number in self._ports.cache.users_of(*name)])

    def _add_all(self, numbers: list[PhoneNumber]) -> None:
        """All whom one change concerns."""
        for number in numbers:
            self._add(number, followers(len(numbers)))

    async def _list_all(self) -> None:
        await self._ports.secrets.keys.load()  # first: what is listed then can be opened
        async for secret in self._ports.secrets.labelled():
            self._ports.secrets.seen(secret)
        async for raw in self._ports.numbers.all():
            self._ports.cache.seen(raw)

    async def _look_again(self) -> None:
        """Take in all numbers, and forget those that vanished: of what a broken watch missed kopf tells nothing."""
        listed: set[Key] = set()
        async for raw in self._ports.numbers.all():
            listed.add(Key(raw["metadata"]["namespace"], raw["metadata"]["name"]))
            self._ports.cache.seen(raw)
        for number in list(self._ports.cache.all()):
            if number.key not in listed and await self._ports.numbers.get(number.key) is None:
                self._ports.cache.gone(number.key, number.uid)

    async def _patiently(self, look: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Until it goes well: without the lists there is nothing to do, and the API server will come back."""
        attempt = 0
        while True:
            try:
                await look()
            except OperatorError as exc:
                self.trouble = exc.message
                log.warning("cannot list yet: %s", exc.message)
                await asyncio.sleep(LIST_RETRY_S[min(attempt, len(LIST_RETRY_S) - 1)])
                attempt += 1
            else:
                return

    def problems(self) -> list[str]:
        """What looks as if work had come to a stop, one line each; empty: nothing does."""
        found = [] if self.listed else [self.trouble]
        if self._oldest_run_s() > STUCK_RUN_S:
            found.append(f"a run has taken more than {STUCK_RUN_S:.0f} s")
        if self._leading and self._queue.oldest_s > STUCK_QUEUE_S:
            found.append(f"a number has waited for more than {STUCK_QUEUE_S:.0f} s for its run")
        return found

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
        """A task of ours that may end, but not with an exception."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours that ends by itself would leave an operator that looks healthy and does nothing."""
        self._tasks.discard(task)
        if task.cancelled() or self.died.done():
            return
        self.died.set_result(task.exception() or RuntimeError(f"{task.get_name()} ended"))

    def _tell_trouble(self, exc: OperatorError) -> None:
        self._spawn_once(self._say(exc.reason, exc.message))

    def _spawn_once(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="event about LiveKit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _measure(self) -> None:
        metrics, queue = self._ports.metrics, self._queue
        metrics.gauge("byoc_queue_depth", "Phone numbers that could run now.", lambda: queue.depth)
        metrics.gauge("byoc_queue_delayed", "Phone numbers in back-off.", lambda: queue.delayed)
        metrics.gauge("byoc_queue_parked", "Phone numbers that wait for LiveKit to answer.", lambda: queue.parked)
        metrics.gauge(
            "byoc_paced_limit", "Most runs at once of what can wait for LiveKit.", lambda: self._ports.guard.pace.value
        )
        metrics.gauge("byoc_queue_oldest_seconds", "Wait of the oldest that could run.", lambda: queue.oldest_s)
        metrics.gauge("byoc_run_oldest_seconds", "Duration of the longest run under way.", self._oldest_run_s)
        metrics.gauge("byoc_leading", "1 if this replica works, 0 if it stands by.", lambda: self._leading)
        metrics.gauge("byoc_livekit_objects", "SIP objects in LiveKit, whoever's.", lambda: self._ports.inventory.size)
        metrics.gauge(
            "byoc_orphans", "LiveKit objects with our mark that belong to no number.", lambda: self._orphanage.count
        )
        metrics.by_reason(self._reasons)

    def _reasons(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for number in self._ports.cache.all():
            reason = number.ready_reason if number.ready_reason in _REASONS else "Unseen"
            counts[reason] = counts.get(reason, 0) + 1
        return counts


def _lane(number: PhoneNumber) -> Lane:
    """A refresh or recreate of an otherwise unchanged number waits for what users changed."""
    asked = number.refresh_due or number.wishes.recreate not in ("", number.answered("lastHandledRecreate"))
    unchanged = number.status.get("observedGeneration") == number.generation and not number.deleting
    return Lane.REFRESH if asked and unchanged else Lane.USER
