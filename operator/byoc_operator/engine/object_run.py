"""One object in a run of its phone number: what the run starts from."""

from dataclasses import dataclass

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..errors import Failure


@dataclass(frozen=True, slots=True)
class ObjectRun:
    """`claimed`: why another object has the number; `outage`: why LiveKit cannot be asked; None if nothing is so."""

    number: PhoneNumber
    claimed: Verdict | None
    outage: Failure | None

    @property
    def reached(self) -> bool:
        """Whether LiveKit can be asked."""
        return self.outage is None
