"""Where LiveKit contradicts our snapshot: an object is not found, or another object is in conflict with it."""

from collections.abc import Iterable
from dataclasses import replace

from ..api.conditions import Reason
from ..errors import Conflict, Failure, Gone, Stalled, Unavailable
from .cache import Cache

SOON_S = 0.2
"""The pause before the next try, which takes a new snapshot."""


class Contradictions:
    """Remembers the objects whose last run ended in a contradiction."""

    def __init__(self, cache: Cache) -> None:
        self._contradicted: set[str] = set()
        cache.forgotten.append(self._contradicted.discard)

    def judged(self, uid: str, failures: Iterable[Failure]) -> tuple[Failure, ...]:
        """The failures of a run. The first contradiction is tried again soon; a second one in a row is believed."""
        failures = tuple(failures)
        if not any(isinstance(each, Conflict | Gone) for each in failures):
            self._contradicted.discard(uid)
            return failures
        believed = uid in self._contradicted
        self._contradicted.add(uid)
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
