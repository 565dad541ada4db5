"""Threads that end the process when nothing inside the event loop can do it any more.

One takes the signals, so that neither a blocked loop nor kopf, which has handlers of its own for them, stands between
a signal and the end. The other one counts time, in its own ticks: a process that was suspended (SIGSTOP, a laptop
asleep) has not ticked meanwhile, and has missed nothing. `vitals` is the other half, inside the loop; each ends the
process when the other one is gone.
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
"""A loop that has not turned for so long is blocked: nothing of ours takes a second."""

ENDING_TICKS = 27
"""What is under way may go on for 20 s; a pod is killed 30 s after it was told to end."""

FINISHING_TICKS = 3
"""For what is left once all is put away: tasks and threads that nobody needs any more."""

BLOCKED_CPU_S = 60.0
"""The kernel ends a process that computed for so long while its loop did not turn: C code that keeps Python's lock
keeps these threads from running, too."""

TELLING_S = 2.0
"""For the last line. Whoever reads our log may have stopped to, and may be why we are blocked."""

ENDED = 70
"""The exit code of a process that had to be ended by the thread (EX_SOFTWARE of sysexits.h)."""

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Watchdog:
    """`end` gets the exit code and does not return. `failure`: why the process must end, the first cause."""

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
        """Whether the process was told to end, by a signal or by a failure."""
        return self._left is not None

    def start(self) -> None:
        """Begin to take signals. To be called by the main thread, before there are others."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _exit_on(signal.SIGPROF)
        faulthandler.register(signal.SIGPROF, chain=True)  # the frames first, then what is set above
        # Not one thread with `sigtimedwait`: in CPython it gives a signal that never was when SIGCONT interrupts it.
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
        """The loop turns."""
        self._beats += 1
        if self._threads:
            signal.setitimer(signal.ITIMER_PROF, BLOCKED_CPU_S)

    def fail(self, why: str) -> None:
        """The process must end, with what it can still put away; from any thread."""
        if not self.failure:
            self.failure = why
            log.error("ending: %s", why)
        self._begin_to_end(ENDING_TICKS)

    def put_away(self) -> None:
        """All that matters is put away: no more beats are to come, and the process ends within a moment."""
        self._loop = None
        if self._threads:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._begin_to_end(FINISHING_TICKS)

    def runs(self) -> bool:
        """Whether both threads are there and one ticks; to be asked once a beat. If not, whoever asks must `tick`."""
        self._lost_ticks = 0 if self._ticks != self._seen_ticks else self._lost_ticks + 1
        self._seen_ticks = self._ticks
        if not self._threads:
            return True  # not begun
        return all(thread.is_alive() for thread in self._threads) and self._lost_ticks < BLOCKED_TICKS

    def tick(self) -> None:
        """A second of this process's own time is over."""
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
        """The first signal asks to end, the second one ends."""
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
        with contextlib.suppress(RuntimeError):  # no thread can be started: then without a line
            telling = threading.Thread(target=log.critical, args=("ended: %s", why), daemon=True)
            telling.start()
            telling.join(TELLING_S)
        self._end(code)


def _exit_on(number: signal.Signals) -> None:
    """Have C's `_exit` as the handler of a signal, which takes the signal's number as the exit code.

    A handler in Python would wait for Python's lock. The default action does not end a container's first process.
    """
    c = ctypes.CDLL(None)
    c.signal.argtypes, c.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    c.signal(number, ctypes.cast(c["_exit"], ctypes.c_void_p))


def _where() -> str:
    """Where the main thread is, without any value."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - the documented way
    if frame is None:
        return "its thread has ended"
    calls = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=3, lookup_lines=False)
    return "in " + " < ".join(f"{call.name} ({os.path.basename(call.filename)}:{call.lineno})" for call in calls)  # noqa: PTH119
