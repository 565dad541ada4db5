"""Handles answers of LiveKit that contradict the snapshot: an object is not found, or is in conflict with another one.

On a conflict or not-found, the run starts over with a fresh snapshot. If the same object meets a second one in a row,
a conflict becomes a refusal by LiveKit, and a not-found backs off.
"""

from collections.abc import Iterable
from dataclasses import replace

from ..api.conditions import Reason
from ..api.resource import PhoneNumber
from ..errors import Failure, Gone, Occupied, Stalled, Unavailable
from .cache import Cache
from .per_object import PerObject

SOON_S = 0.2
"""The pause before the next run, which takes a new snapshot."""


class Contradictions:
    """Remembers the objects whose last run ended in a contradiction."""

    def __init__(self, cache: Cache) -> None:
        self._contradicted: PerObject[bool] = cache.per_object()

    def judged(self, number: PhoneNumber, failures: Iterable[Failure]) -> tuple[Failure, ...]:
        """The failures of a run. A first contradiction is tried again after `SOON_S`, a second one is final for now."""
        failures = tuple(failures)
        if not any(isinstance(each, Occupied | Gone) for each in failures):
            self._contradicted.drop(number)
            return failures
        second = number in self._contradicted
        self._contradicted.put(number, True)
        return tuple(_final(each) if second else _tried_soon(each) for each in failures)


def _final(failure: Failure) -> Failure:
    match failure:
        case Occupied():
            return Stalled(Reason.REJECTED_BY_LIVEKIT, failure.message)
        case Gone():
            return Unavailable(Reason.LIVEKIT_UNAVAILABLE, failure.message)
        case _:
            return failure


def _tried_soon(failure: Failure) -> Failure:
    return replace(failure, delay_s=SOON_S) if isinstance(failure, Occupied | Gone) else failure
