"""All errors, named by what the operator does next.

A `Failure` has a reason for the status. Its kinds: on `Stalled` a person must act; on `Waiting` the operator tries
again after a delay; on `Unavailable` the operator backs off, because the other side is down or busy. `CannotRun` ends
the process. Errors of libraries are mapped to these once, at the edge (`livekit_sip.error_map`, `cluster`), chained
with `from`. Users may see a message: it says what to do, and it never contains a credential, a request ID, a count or
a time.
"""

from dataclasses import dataclass

from .api.conditions import Reason


class OperatorError(Exception):
    """Base: `message` is for the user."""

    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class CannotRun(OperatorError):
    """The process cannot start, or cannot go on. The message is the last line that the process writes."""

    message: str


@dataclass(eq=False)
class Failure(OperatorError):
    """LiveKit or the API server did not carry out a request. `reason`: for the Ready condition."""

    reason: Reason
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass(eq=False)
class Stalled(Failure):
    """A person must act. `server_wide`: the fault concerns LiveKit as a whole, not this number."""

    server_wide: bool = False


@dataclass(eq=False)
class Waiting(Failure):
    """Try again after `delay_s` seconds: what is missing is expected soon."""

    delay_s: float = 1.0


@dataclass(eq=False)
class Gone(Waiting):
    """LiveKit does not have the object that a request names; the snapshot is out of date."""


@dataclass(eq=False)
class Occupied(Waiting):
    """LiveKit refuses a request because another object has its place: the number, or the trunk of a rule.

    `message` names the other object. The snapshot may be out of date.
    """


@dataclass(eq=False)
class Unavailable(Failure):
    """Back off and try again.

    `outcome_unknown`: the request may have been applied, or may be applied later (a timeout, a lost reply).
    `retry_after_s`: the seconds that the server asks to wait, if it does. `longest_s`: the longest back-off.
    """

    outcome_unknown: bool = False
    retry_after_s: float | None = None
    longest_s: float = 600.0


@dataclass(eq=False)
class NotLeading(Unavailable):
    """The replica no longer holds the Lease. Nothing was sent to LiveKit, and no status changes because of it."""


@dataclass(eq=False)
class Parked(Unavailable):
    """LiveKit is known to be down, so no request was sent. The number is parked until LiveKit answers.

    `stalled`: the outage needs a person to act.
    """

    stalled: bool = False
