"""What a test can make the fake LiveKit do wrong, once, to the next call that fits."""

import asyncio
from dataclasses import dataclass

from ..api.conditions import Reason
from ..errors import Failure, Unavailable


@dataclass(frozen=True, slots=True)
class Refuse:
    """The call fails with `error` and changes nothing."""

    error: Failure


@dataclass(frozen=True, slots=True)
class LoseReply:
    """The call is applied, then fails as if the connection had been lost."""


@dataclass(frozen=True, slots=True)
class ApplyLate:
    """The call fails at once as if it had timed out, and is applied later.

    Just before the `after_calls`-th call that follows; None: when the test says `FakeLiveKit.apply_late`.
    What the server would then refuse is dropped, as nobody hears of it.
    """

    after_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """The call waits for `until`, then goes on as usual."""

    until: asyncio.Event


Fault = Refuse | LoseReply | ApplyLate | Hang


def lost_reply() -> Unavailable:
    """The error of a call that may or may not have been applied."""
    return Unavailable(Reason.LIVEKIT_UNAVAILABLE, "The connection to LiveKit was lost.", outcome_unknown=True)
