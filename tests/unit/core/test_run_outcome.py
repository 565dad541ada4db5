import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.answers import ApiRefused
from byoc_operator.cluster.reading import Unreadable
from byoc_operator.core.run_outcome import (
    BACK_OFF_LONGEST_S,
    REFUSED_LONGEST_S,
    Again,
    BackOff,
    Done,
    Park,
    RunOutcome,
    first_open,
    outcome_of,
    soonest,
    with_livekit,
)
from byoc_operator.errors import Gone, NotLeading, Occupied, OperatorError, Parked, Stalled, Unavailable, Waiting

DOWN = Reason.LIVEKIT_UNAVAILABLE
UNSOLVED = Done(unsolved=True)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Stalled(Reason.REJECTED_BY_LIVEKIT, "no"), UNSOLVED),
        (Stalled(Reason.LIVEKIT_UNAUTHORIZED, "no", server_wide=True), UNSOLVED),
        (Unreadable("no JSON"), UNSOLVED),
        (Waiting(Reason.PENDING, "soon", delay_s=3.0), Again(3.0)),
        (Gone(Reason.PENDING, "gone"), Again(1.0)),
        (Occupied(Reason.NUMBER_CONFLICT, "taken", delay_s=0.2), Again(0.2)),
        (Unavailable(DOWN, "down"), BackOff(BACK_OFF_LONGEST_S, 0.0, DOWN)),
        (
            Unavailable(Reason.LIVEKIT_RATE_LIMITED, "slow", retry_after_s=7.0),
            BackOff(600.0, 7.0, Reason.LIVEKIT_RATE_LIMITED),
        ),
        (Unavailable(Reason.KUBERNETES_REFUSED, "no", longest_s=60.0), BackOff(60.0, 0.0, Reason.KUBERNETES_REFUSED)),
        (NotLeading(Reason.PENDING, "another leads"), BackOff(600.0, 0.0, Reason.PENDING)),
        (Parked(DOWN, "down"), Park()),
        (Parked(Reason.LIVEKIT_UNAUTHORIZED, "no", stalled=True), Park()),
        (ApiRefused(Reason.KUBERNETES_REFUSED, "no", 401), BackOff(REFUSED_LONGEST_S, 0.0, Reason.KUBERNETES_REFUSED)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_kind_of_error_asks_for_one_end(error: OperatorError, outcome: RunOutcome) -> None:
    assert outcome_of(error) == outcome


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        ([], Done()),
        ([Done(), Done()], Done()),
        ([Done(), UNSOLVED], UNSOLVED),
        ([Again(2.0), Again(0.5), Done()], Again(0.5)),
        ([BackOff(600.0), BackOff(30.0)], BackOff(30.0)),
        ([BackOff(600.0, reason=DOWN), BackOff(600.0)], BackOff(600.0, reason=DOWN)),
        ([BackOff(30.0), Again(900.0)], Again(900.0)),
        ([Again(0.0), Park(), BackOff(30.0)], Park()),
        ([UNSOLVED, BackOff(30.0)], BackOff(30.0)),
    ],
)
def test_of_several_objects_the_one_that_is_due_first_decides(outcomes: list[RunOutcome], whole: RunOutcome) -> None:
    assert soonest(outcomes) == whole


@pytest.mark.parametrize(
    ("outcomes", "first"),
    [
        ([], Done()),
        ([Done(), Done()], Done()),
        ([Done(), BackOff(30.0), Again(1.0)], BackOff(30.0)),
        ([UNSOLVED, Again(1.0)], UNSOLVED),
    ],
)
def test_of_one_object_what_was_met_first_decides(outcomes: list[RunOutcome], first: RunOutcome) -> None:
    assert first_open(*outcomes) == first


@pytest.mark.parametrize(
    ("outcome", "trouble", "end"),
    [
        (BackOff(600.0, reason=DOWN), DOWN, Park()),
        (BackOff(600.0, reason=DOWN), Reason.LIVEKIT_UNAUTHORIZED, BackOff(600.0, reason=DOWN)),
        (BackOff(600.0, reason=DOWN), None, BackOff(600.0, reason=DOWN)),
        (BackOff(30.0), None, BackOff(30.0)),
        (BackOff(30.0), DOWN, BackOff(30.0)),
        (Park(), DOWN, Park()),
        (Park(), None, BackOff()),
        (Again(1.0), DOWN, Again(1.0)),
        (Done(), DOWN, Done()),
    ],
)
def test_a_number_waits_for_livekit_only_while_livekit_is_in_that_trouble(
    outcome: RunOutcome, trouble: Reason | None, end: RunOutcome
) -> None:
    assert with_livekit(outcome, trouble) == end
