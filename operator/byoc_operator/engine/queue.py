"""A work queue by key, with the semantics of client-go's workqueue.

One key never has two runs at once. Beyond client-go, a key has a priority, the namespaces take turns, a key can be
parked, and a sweep does not shorten a back-off.
"""

import asyncio
import math
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from .fair_queue import FairQueue
from .priority import Priority

FIRST_RETRY_S = 1.0
"""The ceiling of the first back-off of a key. It doubles with each failure, up to the limit that the failure sets."""

NOBODY = ""
"""Takes the place of a namespace if the operator itself asks for a run."""

AHEAD = 8
"""After this many runs of the highest priority, one run of another priority goes first.

Otherwise endless changes in one namespace would keep all refreshes, repairs and retries from running.
"""


@dataclass(slots=True)
class _Item:
    """The state of one key. `due`: the timer of a later run. `again`: the priority of a run asked for during a run.

    `since`: when the key began to wait. `askers`: the namespaces that asked for the waiting run, or for the one under
    way; `again_for`: those that asked during that run. Both are dictionaries, because a set has no order.
    """

    priority: Priority | None = None
    running: Priority | None = None
    again: Priority | None = None
    askers: dict[str, None] = field(default_factory=dict)
    again_for: dict[str, None] = field(default_factory=dict)
    failures: int = 0
    parked: Priority | None = None
    due: asyncio.TimerHandle | None = None
    since: float = 0.0


@dataclass(slots=True)
class WorkQueue:
    """Keys waiting for a run. `refresh_limit`: how many runs of priority REFRESH at once.

    `jitter(a, b)`: a random number between a and b. `paced_limit`: how many runs of all priorities but USER at once.
    """

    refresh_limit: int = 2
    jitter: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic
    paced_limit: Callable[[], float] = lambda: math.inf
    _items: dict[str, _Item] = field(default_factory=dict)
    _waiting: dict[Priority, OrderedDict[str, None]] = field(
        default_factory=lambda: {priority: OrderedDict() for priority in Priority}
    )
    _fair: dict[Priority, FairQueue] = field(default_factory=dict)
    _at_once: Counter[Priority] = field(default_factory=Counter)
    _ahead: int = 0
    _stopped: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Add the fair queues of the priorities in which namespaces take turns."""
        self._fair |= {Priority.USER: FairQueue(), Priority.FOLLOW: FairQueue()}

    def add(self, key: str, priority: Priority, asker: str = NOBODY) -> None:
        """Ask for a run on behalf of the namespace `asker`. A user's change ends a back-off; a sweep does not.

        If several namespaces ask for a key, the key waits in the queue of each and runs once, at the first turn.
        Otherwise a namespace could delay a number of another namespace by asking for it after thousands of its own.
        """
        item = self._items.setdefault(key, _Item())
        if priority is Priority.SWEEP and item.due is not None and item.failures:
            return
        if priority is not Priority.SWEEP:
            item.failures = 0
        item.parked = None
        self._cancel_timer(item)
        if asker != NOBODY:
            self._note(key, item, asker)
        self._enqueue(key, item, priority)

    async def get(self) -> str:
        """Wait for the next key to run. After the run, `done`, `later`, `retry` or `park` must be called."""
        while True:
            key = self._pop()
            if key is not None:
                return key
            self._wake.clear()
            await self._wake.wait()

    def done(self, key: str) -> None:
        """End a run that succeeded, and forget the failures of the key."""
        self._finish(key).failures = 0
        self._settle(key)

    def later(self, key: str, delay_s: float) -> None:
        """End a run that has to wait; the next one is in `delay_s`, or at once if it was asked for during the run."""
        priority = Priority.FOLLOW if self._items[key].running is Priority.FOLLOW else Priority.USER
        item = self._finish(key)
        item.failures = 0
        self._schedule(key, item, delay_s, priority)

    def retry(self, key: str, at_least_s: float, at_most_s: float) -> float:
        """End a run that failed; the next one follows a back-off with full jitter. Returns the back-off in seconds."""
        item = self._finish(key)
        item.askers.clear()  # the next run has the priority SWEEP, which has no turns of namespaces
        ceiling_s = min(at_most_s, FIRST_RETRY_S * 2 ** min(item.failures, 20))
        item.failures += 1
        delay_s = max(at_least_s, self.jitter(0.0, ceiling_s))
        self._schedule(key, item, delay_s)
        return delay_s

    def park(self, key: str) -> None:
        """End a run that needs LiveKit; the next one follows `unpark`, a user's change or a sweep."""
        priority = self._items[key].running
        item = self._finish(key)
        if item.again is not None and item.again is not Priority.SWEEP:
            self._settle(key)
            return
        item.again, item.parked = None, priority

    def unpark(self) -> None:
        """Queue the parked keys with their priority, and the keys in back-off as SWEEP: the cause may be gone."""
        for key, item in self._items.items():
            priority = Priority.SWEEP if item.due is not None and item.failures else item.parked
            if priority is not None:
                item.parked = None
                item.failures = 0
                self._cancel_timer(item)
                self._enqueue(key, item, priority)

    def running(self, key: str) -> bool:
        """Whether a run of the key is under way."""
        item = self._items.get(key)
        return item is not None and item.running is not None

    @property
    def depth(self) -> int:
        """How many keys could run now."""
        return sum(len(priority) for priority in self._waiting.values())

    @property
    def delayed(self) -> int:
        """How many keys wait for a time."""
        return sum(1 for item in self._items.values() if item.due is not None)

    @property
    def parked(self) -> int:
        """How many keys wait until LiveKit answers again."""
        return sum(1 for item in self._items.values() if item.parked is not None)

    @property
    def active(self) -> int:
        """How many runs are under way."""
        return sum(1 for item in self._items.values() if item.running is not None)

    @property
    def oldest_s(self) -> float:
        """For how many seconds the oldest of the keys that could run now has waited."""
        heads = [self._items[next(iter(priority))].since for priority in self._waiting.values() if priority]
        return self.clock() - min(heads) if heads else 0.0

    async def drained(self) -> None:
        """Wait until no run is under way."""
        while self.active:
            self._wake.clear()
            await self._wake.wait()

    def stop(self) -> None:
        """Accept no more keys, and drop the waiting ones and all timers. Runs under way go on."""
        self._stopped = True
        for item in self._items.values():
            self._cancel_timer(item)
            item.priority = item.again = None
        for priority in self._waiting.values():
            priority.clear()
        for fair in self._fair.values():
            fair.clear()

    def _note(self, key: str, item: _Item, asker: str) -> None:
        """Remember which namespace asked. A waiting key joins the queue of this namespace, too."""
        if item.running is not None:
            item.again_for[asker] = None
            return
        item.askers[asker] = None
        if item.priority in self._fair:
            self._fair[item.priority].add(asker, key)

    def _enqueue(self, key: str, item: _Item, priority: Priority) -> None:
        if self._stopped:
            return
        if item.running is not None:
            item.again = priority if item.again is None else min(item.again, priority)
            return
        if item.priority is None:
            item.since = self.clock()
        elif item.priority <= priority:
            return
        else:
            self._take_out(key, item, item.priority)
        item.priority = priority
        self._waiting[priority][key] = None
        if priority in self._fair:
            item.askers = item.askers or {NOBODY: None}
            for asker in item.askers:
                self._fair[priority].add(asker, key)
        self._wake.set()

    def _take_out(self, key: str, item: _Item, priority: Priority) -> None:
        del self._waiting[priority][key]
        if priority in self._fair:
            self._fair[priority].drop(key, item.askers)

    def _pop(self) -> str | None:
        priority = self._next_priority()
        if priority is None:
            return None
        key = self._fair[priority].next() if priority in self._fair else next(iter(self._waiting[priority]))
        item = self._items[key]
        self._take_out(key, item, priority)
        item.priority, item.running = None, priority
        self._at_once[priority] += 1
        return key

    def _next_priority(self) -> Priority | None:
        """The highest priority with a key that may run; after `AHEAD` runs, the other priority that waits longest."""
        ready = [priority for priority, keys in self._waiting.items() if keys and self._has_room(priority)]
        if len(ready) <= 1:
            self._ahead = 0
            return next(iter(ready), None)
        if self._ahead < AHEAD:
            self._ahead += 1
            return ready[0]
        self._ahead = 0
        return min(ready[1:], key=lambda priority: self._items[next(iter(self._waiting[priority]))].since)

    def _has_room(self, priority: Priority) -> bool:
        """Whether one more run of this priority may begin."""
        if priority is Priority.USER:
            return True
        if priority is Priority.REFRESH and self._at_once[priority] >= self.refresh_limit:
            return False
        return self._at_once.total() - self._at_once[Priority.USER] < self.paced_limit()

    def _finish(self, key: str) -> _Item:
        item = self._items[key]
        if item.running is not None:
            self._at_once[item.running] -= 1
        item.running = None
        self._wake.set()
        return item

    def _settle(self, key: str) -> None:
        item = self._items[key]
        if item.again is not None:
            priority, item.again = item.again, None
            item.askers, item.again_for = item.again_for, {}
            self._enqueue(key, item, priority)
        elif item.priority is None and item.due is None and not item.failures and item.parked is None:
            del self._items[key]

    def _schedule(self, key: str, item: _Item, delay_s: float, priority: Priority = Priority.USER) -> None:
        if self._stopped:
            return
        if item.again is not None and item.again is not Priority.SWEEP:
            self._settle(key)
            return
        item.again = None

        def run() -> None:
            item.due = None
            self._enqueue(key, item, Priority.SWEEP if item.failures else priority)

        item.due = asyncio.get_running_loop().call_later(delay_s, run)

    def _cancel_timer(self, item: _Item) -> None:
        if item.due is not None:
            item.due.cancel()
            item.due = None
