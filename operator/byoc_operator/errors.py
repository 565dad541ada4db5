"""What can go wrong, named by what we do next.

A `Failure` has a reason that a status can tell. Its kinds: `Stalled` a person must act; `Waiting` something will come
by itself, look again after a delay; `Unavailable` the other side is down or busy, back off. `CannotRun` ends the
process. Library errors are turned into these once, at the edge (`livekit_sip.error_map`, `cluster`), chained with
`from`. A message may be shown to users: it says what to do and never holds a credential, a request ID, a count or a
time.
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
    """The process cannot start, or cannot go on. The message is the line that the process ends with."""

    message: str


@dataclass(eq=False)
class Failure(OperatorError):
    """LiveKit or the API server did not do what was asked. `reason`: the one that a status tells."""

    reason: Reason
    message: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


@dataclass(eq=False)
class Stalled(Failure):
    """A person must act. `server_wide`: LiveKit as a whole is at fault, not this number."""

    server_wide: bool = False


@dataclass(eq=False)
class Waiting(Failure):
    """Look again after `delay_s` seconds: what is missing is expected to come."""

    delay_s: float = 1.0


@dataclass(eq=False)
class Gone(Waiting):
    """The LiveKit object that was to be replaced no longer exists; our snapshot is out of date."""


@dataclass(eq=False)
class Conflict(Waiting):
    """LiveKit refuses because of another object (its words are in `message`); our snapshot may be out of date."""


@dataclass(eq=False)
class Unavailable(Failure):
    """Back off and try again.

    `outcome_unknown`: the request may have been applied, or may still be (a timeout, a lost reply).
    `retry_after_s`: what the server asked for, in seconds, if it did. `longest_s`: the back-off grows no longer.
    """

    outcome_unknown: bool = False
    retry_after_s: float | None = None
    longest_s: float = 600.0


@dataclass(eq=False)
class NotLeading(Unavailable):
    """Another replica leads by now: nothing was sent, and it is no news about any number."""


@dataclass(eq=False)
class Parked(Unavailable):
    """LiveKit is known to be down and was not asked: wait to be called, not for a time.

    `stalled`: what is known is such that a person must act.
    """

    stalled: bool = False
