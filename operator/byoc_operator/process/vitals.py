"""Checks once a second, inside the event loop, the parts that the process needs.

If a part fails, `/healthz` reports the failure at once, the runs under way end, and the process ends. The `watchdog`
is the other half, outside the loop.
"""

import asyncio
import logging
import ssl
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from .watchdog import Watchdog

log = logging.getLogger(__name__)

BEAT_S = 1.0

THREADS_BEATS = 60
"""For how many beats all threads of the loop may be busy. Each piece of their work takes some milliseconds."""

TOLD_AT_MOST = 100
"""How many different bugs are logged at most, because a client may be able to cause new ones."""


class Vital(NamedTuple):
    """A check. `problem`: returns what is wrong, or an empty text; `beats`: how many beats in a row it may be wrong."""

    problem: Callable[[], str]
    beats: int = 0


class Vitals:
    """Runs the checks, in the event loop in which it is made. `unhandled`: how many errors nothing caught."""

    def __init__(self, watchdog: Watchdog) -> None:
        self.unhandled = 0
        self._watchdog = watchdog
        self._loop = asyncio.get_running_loop()
        self._vitals: list[Vital] = [Vital(self._threads, THREADS_BEATS)]
        self._lasting: dict[Vital, int] = {}
        self._asked: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """Begin to beat, and to count the errors that nothing catches."""
        self._loop.set_exception_handler(self._uncaught)
        self._beat()

    def end(self) -> None:
        """Stop beating."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, *vitals: Vital) -> None:
        """Add checks."""
        self._vitals += vitals

    def _beat(self) -> None:
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        self._watchdog.beat()
        if not self._watchdog.runs():
            self._watchdog.fail("a thread of the watchdog has ended")
            self._watchdog.tick()  # the thread that should call it has ended
        if self._watchdog.ending:
            return
        try:
            self._look()
        except Exception as exc:  # noqa: BLE001 - a check that raises must not count as passed
            self._watchdog.fail(f"a look at what is vital failed: {type(exc).__name__}")

    def _look(self) -> None:
        for vital in self._vitals:
            problem = vital.problem()
            lasting = self._lasting[vital] = self._lasting.get(vital, 0) + 1 if problem else 0
            if lasting > vital.beats:
                self._watchdog.fail(problem)

    def _threads(self) -> str:
        """A problem if no thread of the loop is free."""
        if self._asked is not None and not self._asked.done():
            return f"no thread has been free for {THREADS_BEATS} s"
        self._asked = self._loop.run_in_executor(None, _nothing)
        return ""

    def _uncaught(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count an error in a callback or in a task that nothing awaits, and log it without its text."""
        exc = context.get("exception")
        if isinstance(exc, (OSError, ssl.SSLError)) and ("transport" in context or "protocol" in context):
            return  # a peer that closed the connection, or that does not speak TLS
        self.unhandled += 1
        task = context.get("task") or context.get("future")
        where = task.get_name() if isinstance(task, asyncio.Task) else "a callback"
        if isinstance(exc, MemoryError):
            self._watchdog.fail(f"out of memory in {where}")
        frames = "" if exc is None else "".join(traceback.format_tb(exc.__traceback__)[-4:])
        kind = context.get("message", "") if exc is None else type(exc).__name__
        if (kind, frames) in self._told or len(self._told) >= TOLD_AT_MOST:
            return
        self._told.add((kind, frames))
        level = logging.DEBUG if self._watchdog.ending else logging.ERROR
        log.log(level, "a bug: %s in %s, which nobody caught\n%s", kind, where, frames)


def _nothing() -> None:
    """The work by which a thread shows that it is free."""
