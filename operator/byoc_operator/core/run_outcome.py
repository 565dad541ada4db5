"""How a reconcile run ends: whether its phone number runs again, and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from ..api.conditions import Reason
from ..errors import Failure, OperatorError, Parked, Stalled, Unavailable, Waiting

BACK_OFF_LONGEST_S = 600.0
"""The longest pause of a back-off, unless another is given: a fault of many hours then costs six tries an hour."""

REFUSED_LONGEST_S = 60.0
"""The longest pause between two tries of a write that the API server refuses: no watch tells when to try again."""


@dataclass(frozen=True, slots=True)
class Done:
    """The number needs no further run. `unsolved`: something failed, and only a person or a sweep can change that."""

    unsolved: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Run again after `delay_s` seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class BackOff:
    """Run again after a pause that grows with each try.

    `longest_s` and `at_least_s`: its bounds in seconds. `reason`: the reason in the status, None if there is none.
    """

    longest_s: float = BACK_OFF_LONGEST_S
    at_least_s: float = 0.0
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """LiveKit is down: run again when LiveKit answers."""


RunOutcome = Done | Again | BackOff | Park


def outcome_of(error: OperatorError) -> RunOutcome:
    """The outcome of a run, or of a step of a run, that this error ended."""
    match error:
        case Parked():
            return Park()
        case Waiting():
            return Again(error.delay_s)
        case Unavailable():
            return BackOff(error.longest_s, error.retry_after_s or 0.0, error.reason)
        case Stalled():
            return Done(unsolved=True)
        case Failure():  # the API server refuses a request; the log has the cause
            return BackOff(REFUSED_LONGEST_S, reason=error.reason)
        case _:  # an object that cannot be read
            return Done(unsolved=True)


def soonest(outcomes: Iterable[RunOutcome]) -> RunOutcome:
    """The outcome of a run with several objects: the one after which the number runs again first.

    `Park` comes first, because LiveKit answers no object. Without outcomes: `Done()`.
    """
    return min(outcomes, key=_order, default=Done())


def first_open(*outcomes: RunOutcome) -> RunOutcome:
    """The first outcome other than `Done()`; the outcomes are in the order of the steps of a run."""
    return next((each for each in outcomes if each != Done()), Done())


def with_livekit(outcome: RunOutcome, trouble: Reason | None) -> RunOutcome:
    """The outcome after a look at LiveKit as a whole. `trouble`: what is wrong with it now, None for nothing.

    A back-off with the same reason becomes `Park`. `Park` becomes a back-off if LiveKit answers again.
    """
    match outcome:
        case BackOff(reason=reason) if trouble is not None and reason is trouble:
            return Park()
        case Park() if trouble is None:
            return BackOff()
        case _:
            return outcome


def _order(outcome: RunOutcome) -> tuple[int, float]:
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
