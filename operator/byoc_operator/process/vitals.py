"""What the process cannot live without, looked at by the event loop itself, once a second.

The other half is the `watchdog` outside the loop. What is found here fails the process: `/healthz` says so at once,
what is under way is put away, and the process ends.
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
"""How long the loop's threads may all be busy. They read files and answer what takes some milliseconds."""

TOLD_AT_MOST = 100
"""How many different bugs are logged: what nobody catches may depend on what somebody sends."""


class Vital(NamedTuple):
    """`problem` tells what is wrong, or nothing; `beats`: for how many beats in a row that may be."""

    problem: Callable[[], str]
    beats: int = 0


class Vitals:
    """Made inside the loop that it looks after. `unhandled`: how many errors nobody caught."""

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
        """Beat from now on, and hear of errors that nobody catches."""
        self._loop.set_exception_handler(self._uncaught)
        self._beat()

    def end(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def add(self, *vitals: Vital) -> None:
        """Look at these, too."""
        self._vitals += vitals

    def _beat(self) -> None:
        self._timer = self._loop.call_later(BEAT_S, self._beat)
        self._watchdog.beat()
        if not self._watchdog.runs():
            self._watchdog.fail("a thread of the watchdog has ended")
            self._watchdog.tick()  # nobody else does
        if self._watchdog.ending:
            return
        try:
            self._look()
        except Exception as exc:  # noqa: BLE001 - who cannot look must not say that all is well
            self._watchdog.fail(f"a look at what is vital failed: {type(exc).__name__}")

    def _look(self) -> None:
        for vital in self._vitals:
            problem = vital.problem()
            lasting = self._lasting[vital] = self._lasting.get(vital, 0) + 1 if problem else 0
            if lasting > vital.beats:
                self._watchdog.fail(problem)

    def _threads(self) -> str:
        """Whether one of the loop's threads answers."""
        if self._asked is not None and not self._asked.done():
            return f"no thread has been free for {THREADS_BEATS} s"
        self._asked = self._loop.run_in_executor(None, _nothing)
        return ""

    def _uncaught(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error in a callback, or in a task that nobody waits for. Its text may hold values and is not told."""
        exc = context.get("exception")
        if isinstance(exc, (OSError, ssl.SSLError)) and ("transport" in context or "protocol" in context):
            return  # a peer that went, or that speaks no TLS
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
    """What a free thread can do at once."""
