"""Where LiveKit contradicts our snapshot: an object is not found, or another object is in conflict with it."""

from collections.abc import Iterable
from dataclasses import replace

from ..api.conditions import Reason
from ..api.resource import PhoneNumber
from ..errors import Conflict, Failure, Gone, Stalled, Unavailable
from .cache import Cache
from .per_object import PerObject

SOON_S = 0.2
"""The pause before the next try, which takes a new snapshot."""


class Contradictions:
    """Remembers the objects whose last run ended in a contradiction."""

    def __init__(self, cache: Cache) -> None:
        self._contradicted: PerObject[bool] = cache.per_object()

    def judged(self, number: PhoneNumber, failures: Iterable[Failure]) -> tuple[Failure, ...]:
        """The failures of a run. The first contradiction is tried again soon; a second one in a row is believed."""
        failures = tuple(failures)
        if not any(isinstance(each, Conflict | Gone) for each in failures):
            self._contradicted.drop(number)
            return failures
        believed = number in self._contradicted
        self._contradicted.put(number, True)
        return tuple(_believed(each) if believed else _tried_soon(each) for each in failures)


def _believed(failure: Failure) -> Failure:
    match failure:
        case Conflict():
            return Stalled(Reason.REJECTED_BY_LIVEKIT, failure.message)
        case Gone():
            return Unavailable(Reason.LIVEKIT_UNAVAILABLE, failure.message)
        case _:
            return failure


def _tried_soon(failure: Failure) -> Failure:
    return replace(failure, delay_s=SOON_S) if isinstance(failure, Conflict | Gone) else failure
