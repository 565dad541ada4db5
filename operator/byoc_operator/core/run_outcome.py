"""How a reconcile run ends: whether its phone number is run again, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from ..api.conditions import Reason
from ..errors import Failure, OperatorError, Parked, Stalled, Unavailable, Waiting

BACK_OFF_LONGEST_S = 600.0
"""The longest pause of a back-off that names no other: a fault that lasts for hours costs six tries an hour."""

REFUSED_LONGEST_S = 60.0
"""The longest pause between two tries of what the API server refuses: nobody tells when that is over."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do by itself. `unsolved`: something failed, and only a person or a sweep can change that."""

    unsolved: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Run again after `delay_s` seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class BackOff:
    """Run again after a pause that grows from try to try up to `longest_s`, and is `at_least_s` seconds long.

    `reason`: why, None if no status tells it.
    """

    longest_s: float = BACK_OFF_LONGEST_S
    at_least_s: float = 0.0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """LiveKit is down: run again when it answers."""


RunOutcome = Done | Again | BackOff | Park


def outcome_of(error: OperatorError) -> RunOutcome:
    """What one error asks for."""
    match error:
        case Parked():
            return Park()
        case Waiting():
            return Again(error.delay_s)
        case Unavailable():
            return BackOff(error.longest_s, error.retry_after_s or 0.0, error.reason)
        case Stalled():
            return Done(unsolved=True)
        case Failure():  # the API server refuses a request, and the log tells it
            return BackOff(REFUSED_LONGEST_S, reason=error.reason)
        case _:  # an object that cannot be read
            return Done(unsolved=True)


def soonest(outcomes: Iterable[RunOutcome]) -> RunOutcome:
    """Of the ends of several objects the one that the whole run has: the one that brings the number back first.

    A parked number comes first: LiveKit answers nobody.
    """
    return min(outcomes, key=_turn, default=Done())


def first_open(*outcomes: RunOutcome) -> RunOutcome:
    """The first of several outcomes that is more than `Done()`: what a run met first decides."""
    return next((each for each in outcomes if each != Done()), Done())


def with_livekit(outcome: RunOutcome, trouble: Reason | None) -> RunOutcome:
    """The outcome, given what is wrong with LiveKit as a whole by now; None if nothing is.

    A back-off for that very trouble waits for LiveKit; a number is not parked if LiveKit answers again by now.
    """
    match outcome:
        case BackOff(reason=reason) if trouble is not None and reason is trouble:
            return Park()
        case Park() if trouble is None:
            return BackOff()
        case _:
            return outcome


def _turn(outcome: RunOutcome) -> tuple[int, float]:
    match outcome:
        case Park():
            return 0, 0.0
        case Again(delay_s):
            return 1, delay_s
        case BackOff(longest_s):
            return 2, longest_s
        case Done(unsolved):
            return 3, float(not unsolved)
        case _:
            assert_never(outcome)
