"""Limits how many low-priority runs are under way at once, by how quickly LiveKit answers.

LiveKit handles calls on the processors that also answer the operator. When its answers get slower, the limit falls,
down to one; when its answers are quick, the limit rises again. The limit works like TCP's congestion window: one more
after a round of quick answers, half after a round of slow ones (RFC 5681). Netflix's concurrency-limits also uses the
time that answers take.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from ..api.conditions import Reason
from ..errors import Unavailable

ROUND = 4
"""The least number of answers in a round: one slow answer alone proves nothing."""

SLOW = 2.0
QUICK = 1.5
"""The median answer of a round in multiples of the quickest recent answer.

Above SLOW the limit falls; below QUICK it rises; in between it stays.
"""

NOTICEABLE_S = 0.01
"""An answer in less time is quick: our own event loop causes differences of a few milliseconds."""

MEMORY_S = 60.0
"""How long the quickest answer counts, at least. It expires because every answer takes longer with more objects."""

REST_S = 30.0
"""After so long without a write the limit falls back to its start value, because what it learned is old."""


class AdaptiveLimit:
    """A limit between 1 and `most`, at first `start`; `value` is the present one. `clock`: seconds, monotonic."""

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
        """Measures one write to LiveKit. `what`: the kind of write; each kind has its own quickest answer."""
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
                self._note(float("inf"))  # LiveKit did not answer in time, or asked for fewer requests
            raise
        else:
            self._note(self._slowness(what, self._clock() - began))
        finally:
            self._under_way -= 1

    def _slowness(self, what: str, seconds: float) -> float:
        """The time of this answer in multiples of the quickest recent answer."""
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
            self.value = min(self.most, self.value + 1)  # only if the work under way came near the limit
        self._round, self._highest = [], self._under_way
