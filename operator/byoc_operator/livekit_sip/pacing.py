"""How much that can wait goes to LiveKit at once, told by how quickly LiveKit answers.

LiveKit takes calls on the same processors that answer us. While its answers get slower, work that one event brings to
many numbers leaves it more room, down to one at a time; while they are quick, there is more at once again. It works as
TCP's congestion window: one more after a round of quick answers, half after a round of slow ones (RFC 5681, and
Netflix's concurrency-limits, which also goes by the time that answers take).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from ..api.conditions import Reason
from ..errors import Unavailable

ROUND = 4
"""Answers that are judged together, at least: one slow answer alone says nothing."""

SLOW = 2.0
QUICK = 1.5
"""How many times the quickest answer of late a round's answer takes, in the middle. Between the two nothing changes."""

NOTICEABLE_S = 0.01
"""Below this an answer is quick: differences of so few milliseconds are our own event loop's."""

MEMORY_S = 60.0
"""How long the quickest answer counts, at least; then another one does: with more objects every answer takes longer."""

REST_S = 30.0
"""After so long without a write what was learned is old, and it begins carefully again."""


class AdaptiveLimit:
    """A number between 1 and `most`, at first `start`. `clock`: seconds, monotonic."""

    def __init__(self, start: int = 2, most: int = 8, clock: Callable[[], float] = time.monotonic) -> None:
        self.value = self._start = max(1, min(start, most))
        self.most = most
        self._clock = clock
        self._round: list[float] = []
        self._under_way = self._highest = 0
        self._quickest: dict[str, float] = {}
        self._quickest_before: dict[str, float] = {}
        self._window_began = self._last = clock()

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """One write to LiveKit; `what`: its kind, as some take longer than others."""
        began = self._clock()
        if began - self._last > REST_S:
            self.value, self._round = min(self.value, self._start), []
        self._last = began
        self._under_way += 1
        self._highest = max(self._highest, self._under_way)
        try:
            yield
        except Unavailable as exc:
            if exc.outcome_unknown or exc.reason == Reason.LIVEKIT_RATE_LIMITED:
                self._note(float("inf"))  # no answer in time, or one that says it is too much
            raise
        else:
            self._note(self._slowness(what, self._clock() - began))
        finally:
            self._under_way -= 1

    def _slowness(self, what: str, seconds: float) -> float:
        """How many times the quickest answer of late this one takes."""
        self._last = now = self._clock()
        if now - self._window_began > MEMORY_S:
            self._quickest_before, self._quickest, self._window_began = self._quickest, {}, now
        self._quickest[what] = min(seconds, self._quickest.get(what, seconds))
        quickest = min(self._quickest[what], self._quickest_before.get(what, seconds))
        return seconds / max(quickest, NOTICEABLE_S)

    def _note(self, slowness: float) -> None:
        self._round.append(slowness)
        if len(self._round) < max(ROUND, self.value):
            return
        typical = median(self._round)
        if typical > SLOW:
            self.value = max(1, self.value // 2)
        elif typical < QUICK and 2 * self._highest >= self.value:
            self.value = min(self.most, self.value + 1)  # not when it was never put to use
        self._round, self._highest = [], self._under_way
