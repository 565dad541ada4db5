"""Threads that end the process when the event loop cannot do it any more.

One thread takes the signals, so that neither a blocked loop nor kopf's own signal handlers delay the end. The other
thread counts time in ticks of its own: while a process is suspended (SIGSTOP, a sleeping laptop) it does not tick, so
that no deadline passes. `vitals` is the other half, inside the loop; each half ends the process if the other one
fails.
"""

import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)

TICK_S = 1.0

BLOCKED_TICKS = 30
"""After how many ticks without a beat the event loop counts as blocked. No step of ours takes a second."""

ENDING_TICKS = 27
"""How many ticks the end may take. Runs may go on for 20 s; Kubernetes kills a pod 30 s after SIGTERM."""

FINISHING_TICKS = 3
"""How many ticks the remaining tasks and threads may take after all work is done."""

BLOCKED_CPU_S = 60.0
"""After this much CPU time without a beat, the kernel ends the process.

C code that holds Python's global interpreter lock keeps these threads from running, too.
"""

TELLING_S = 2.0
"""How long the last log line may take. A full log pipe may be the reason why the process is blocked."""

ENDED = 70
"""The exit code if the watchdog ends the process (EX_SOFTWARE of sysexits.h)."""

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Watchdog:
    """`end`: ends the process with an exit code and does not return. `failure`: the first reason to end the process."""

    def __init__(self, end: Callable[[int], object] = os._exit) -> None:
        self.failure = ""
        self._end = end
        self._threads: list[threading.Thread] = []
        self._ticks = self._seen_ticks = self._lost_ticks = 0
        self._beats = self._seen_beats = self._lost_beats = 0
        self._left: int | None = None
        self._signals = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] | None = None

    @property
    def ending(self) -> bool:
        """Whether the process is to end, after a signal or a failure."""
        return self._left is not None

    def start(self) -> None:
        """Begin to take signals. Call this in the main thread, before there are other threads."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _exit_on(signal.SIGPROF)
        faulthandler.register(signal.SIGPROF, chain=True)  # prints the frames, then exits as set above
        # Not one thread with `sigtimedwait`: if SIGCONT interrupts it, CPython returns a signal that was not sent.
        self._threads = [
            threading.Thread(target=each, name=f"watchdog: {each.__name__}", daemon=True)
            for each in (self._take_signals, self._count_time)
        ]
        for thread in self._threads:
            thread.start()

    def follow(self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
        """Expect beats of this loop from now on; `stop` is called in it when the process is to end."""
        self._loop, self._stop = loop, stop
        if self.ending:
            stop()

    def beat(self) -> None:
        """Note that the event loop runs."""
        self._beats += 1
        if self._threads:
            signal.setitimer(signal.ITIMER_PROF, BLOCKED_CPU_S)

    def fail(self, why: str) -> None:
        """Begin to end the process, and let it finish its work. May be called in any thread."""
        if not self.failure:
            self.failure = why
            log.error("ending: %s", why)
        self._begin_to_end(ENDING_TICKS)

    def finish(self) -> None:
        """Note that all work is done: expect no more beats, and end the process within `FINISHING_TICKS`."""
        self._loop = None
        if self._threads:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._begin_to_end(FINISHING_TICKS)

    def runs(self) -> bool:
        """Whether both threads run and ticks are counted. Call this once a beat; if it is False, call `tick`, too."""
        self._lost_ticks = 0 if self._ticks != self._seen_ticks else self._lost_ticks + 1
        self._seen_ticks = self._ticks
        if not self._threads:
            return True  # not started yet
        return all(thread.is_alive() for thread in self._threads) and self._lost_ticks < BLOCKED_TICKS

    def tick(self) -> None:
        """Count one second in which the process was not suspended."""
        self._lost_beats = 0 if self._beats != self._seen_beats else self._lost_beats + 1
        self._seen_beats = self._beats
        if self._loop is not None and self._lost_beats >= BLOCKED_TICKS:
            self._end_now(ENDED, f"the event loop has not turned for {BLOCKED_TICKS} s, {_where()}")
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._end_now(ENDED, f"not ended in time after {self.failure or 'it was told to'}")

    def signalled(self, number: int) -> None:
        """Handle a signal: the first one begins the end, the second one ends the process at once."""
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals > 1:
            self._end_now(128 + number, f"a second signal, {name}")
        log.info("%s: ending", name)
        self._begin_to_end(ENDING_TICKS)

    def _take_signals(self) -> None:
        while True:
            number = signal.sigwait(SIGNALS)
            self.signalled(number)

    def _count_time(self) -> None:
        while True:
            time.sleep(TICK_S)
            self._ticks += 1
            self.tick()

    def _begin_to_end(self, within_ticks: int) -> None:
        self._left = within_ticks if self._left is None else min(self._left, within_ticks)
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(stop)

    def _end_now(self, code: int, why: str) -> None:
        with contextlib.suppress(RuntimeError):  # if no thread can be started, end without a log line
            telling = threading.Thread(target=log.critical, args=("ended: %s", why), daemon=True)
            telling.start()
            telling.join(TELLING_S)
        self._end(code)


def _exit_on(number: signal.Signals) -> None:
    """Set C's `_exit` as the handler of a signal. The exit code is then the number of the signal.

    A handler in Python would wait for the global interpreter lock. The default action does not end the first process of
    a container.
    """
    c = ctypes.CDLL(None)
    c.signal.argtypes, c.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    c.signal(number, ctypes.cast(c["_exit"], ctypes.c_void_p))


def _where() -> str:
    """The innermost calls of the main thread, without values."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - the documented way
    if frame is None:
        return "its thread has ended"
    calls = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=3, lookup_lines=False)
    return "in " + " < ".join(f"{call.name} ({os.path.basename(call.filename)}:{call.lineno})" for call in calls)  # noqa: PTH119
