"""What one look has found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a look ended. UNKNOWN: what was looked at gave no answer that proves anything."""

    OK = "ok"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    `name`: a few words, the same in each run, such as "TLS of the termination host". `says`: what was found, one
    sentence. `remedy`: what to change, and where; empty if there is nothing to do.
    Texts may quote what strangers sent, so that they are printable and bounded only after `cli.terminal`.
    """

    name: str
    state: State
    says: str
    remedy: str = ""

    @property
    def warns(self) -> bool:
        """Whether all works now, and something is to be done all the same."""
        return self.state is State.OK and bool(self.remedy)


def worst(checks: tuple[Check, ...]) -> State:
    """The state of several checks together: one that is bad makes all bad. Without any check: OK."""
    states = {check.state for check in checks}
    return next((state for state in (State.BAD, State.UNKNOWN) if state in states), State.OK)
