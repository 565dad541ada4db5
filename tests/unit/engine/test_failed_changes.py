"""When a run whose changes failed in LiveKit comes again."""

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.run_outcome import Again, BackOff, Done, Park, RunOutcome
from byoc_operator.engine.apply import Applied
from byoc_operator.errors import Failure, Occupied, Parked, Stalled, Unavailable

REFUSED = Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: no such country")
CONTRADICTED = Occupied(Reason.NUMBER_CONFLICT, "LiveKit refuses: the number is taken", delay_s=0.2)
DOWN = Parked(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached")
LOST = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "The connection to LiveKit was lost")


@pytest.mark.parametrize(
    ("failures", "outcome"),
    [
        ((), Done()),
        ((REFUSED,), Done(unsolved=True)),
        ((REFUSED, CONTRADICTED), Again(0.2)),
        ((REFUSED, DOWN), Park()),
        ((REFUSED, LOST), BackOff(reason=Reason.LIVEKIT_UNAVAILABLE)),
        ((CONTRADICTED, LOST), Again(0.2)),
        ((CONTRADICTED, DOWN), Again(0.2)),
    ],
)
def test_the_first_failure_that_needs_no_person_says_when(failures: tuple[Failure, ...], outcome: RunOutcome) -> None:
    assert Applied(failures=failures).outcome == outcome
