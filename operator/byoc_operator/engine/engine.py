"""Everything that runs: lists at start, workers, sweeps, and what the watches tell. Knows nothing of kopf."""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.conditions import Reason
from ..core.resource import Key, PhoneNumber
from ..errors import OperatorError, Unavailable, Waiting
from .gather import Ports
from .queue import Lane, WorkQueue
from .reconcile import Reconciler
from .sweep import LiveKitState, Sweeper

log = logging.getLogger(__name__)

LIST_RETRY_S = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Pauses between attempts to list at start; the last one repeats."""

BUG_LONGEST_S = 600.0

_REASONS = frozenset(Reason)


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once. `workers`: runs; `refreshes`: of them for refresh and recreate; times in seconds."""

    workers: int
    refreshes: int
    sweep_interval_s: float


class Engine:
    """Made inside a running event loop. `start`, then feed it events; `stop` ends it after what is under way."""

    def __init__(
        self, ports: Ports, pace: Pace, on_livekit_trouble: Callable[[OperatorError], Coroutine[Any, Any, None]]
    ) -> None:
        self._ports = ports
        self._pace = pace
        self._queue = WorkQueue(refresh_limit=pace.refreshes)
        self._reconciler = Reconciler(ports)
        self._sweeper = Sweeper(ports, self._queue, self._reconciler.in_step, pace.sweep_interval_s)
        self._on_livekit_trouble = on_livekit_trouble
        self._tasks: set[asyncio.Task[None]] = set()
        self.listed = False
        self.trouble = "the lists of numbers and Secrets are not read yet"
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._measure()

    @property
    def livekit(self) -> LiveKitState:
        """What the last sweep saw of LiveKit."""
        return self._sweeper.state

    @property
    def queue(self) -> WorkQueue:
        """What waits and what runs."""
        return self._queue

    async def start(self) -> None:
        """List what there is, then begin to work. Waits for the API server as long as it takes."""
        await self._list()
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

    def number_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a number; `kind` is DELETED, ADDED, MODIFIED or None."""
        cache = self._ports.cache
        if kind == "DELETED":
            metadata = raw["metadata"]
            known = cache.gone(Key(metadata["namespace"], metadata["name"]), metadata["uid"])
            if known is not None:
                self._queue.add(known.phone_number, Lane.USER)  # somebody else may have waited for the number
            return
        sighting = cache.seen(raw)
        if sighting is not None and sighting.wakes:
            self._queue.add(sighting.number.phone_number, _lane(sighting.number))

    def secret_event(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """A watch told of a labelled Secret. DELETED also means: it lost its label."""
        metadata = raw["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        secrets = self._ports.secrets
        if kind == "DELETED":
            secrets.forget(namespace, name)
        elif not secrets.seen(raw):
            return
        for number in self._ports.cache.users_of(namespace, name):
            self._queue.add(number.phone_number, Lane.USER)

    async def _list(self) -> None:
        attempt = 0
        while True:
            try:
                async for secret in self._ports.secrets.labelled():
                    self._ports.secrets.seen(secret)
                async for raw in self._ports.numbers.all():
                    self._ports.cache.seen(raw)
            except OperatorError as exc:
                self.trouble = exc.message
                log.warning("cannot list yet: %s", exc.message)
                await asyncio.sleep(LIST_RETRY_S[min(attempt, len(LIST_RETRY_S) - 1)])
                attempt += 1
                continue
            self.listed, self.trouble = True, ""
            return

    async def _work(self) -> None:
        while True:
            phone = await self._queue.get()
            started = time.monotonic()
            result = await self._run(phone)
            self._ports.metrics.reconciles.labels(result).inc()
            self._ports.metrics.reconcile_seconds.observe(time.monotonic() - started)

    async def _run(self, phone: str) -> str:
        try:
            await self._reconciler.reconcile(phone)
        except Waiting as exc:
            self._queue.later(phone, exc.delay_s)
            return "waiting"
        except Unavailable as exc:
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

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of ours that ends by itself would leave an operator that looks healthy and does nothing."""
        self._tasks.discard(task)
        if task.cancelled() or self.died.done():
            return
        self.died.set_result(task.exception() or RuntimeError(f"{task.get_name()} ended"))

    def _tell_trouble(self, exc: OperatorError) -> None:
        self._spawn_once(self._on_livekit_trouble(exc))

    def _spawn_once(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="event about LiveKit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _measure(self) -> None:
        metrics, queue = self._ports.metrics, self._queue
        metrics.gauge("byoc_queue_depth", "Phone numbers that could run now.", lambda: queue.depth)
        metrics.gauge("byoc_queue_delayed", "Phone numbers in back-off.", lambda: queue.delayed)
        metrics.gauge("byoc_queue_oldest_seconds", "Wait of the oldest that could run.", lambda: queue.oldest_s)
        metrics.gauge("byoc_livekit_objects", "SIP objects in LiveKit, whoever's.", lambda: self._ports.inventory.size)
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
