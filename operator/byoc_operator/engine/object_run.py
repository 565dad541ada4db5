"""The facts with which a run of one object starts."""

from dataclasses import dataclass

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..errors import Failure


@dataclass(frozen=True, slots=True)
class ObjectRun:
    """`claimed`: why the object does not get the number; None if it may have it.

    `outage`: why LiveKit does not answer; None if it does.
    """

    number: PhoneNumber
    claimed: Verdict | None
    outage: Failure | None

    @property
    def reached(self) -> bool:
        """Whether LiveKit answers."""
        return self.outage is None
