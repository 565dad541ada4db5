"""Faults that a test can inject into the fake LiveKit. Each fault hits one call."""

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
    """The call fails at once as if it had timed out, and the fake applies it later.

    The fake applies it just before the `after_calls`-th call that follows; None: when the test calls
    `FakeLiveKit.apply_late`. If the fake refuses the call then, nothing happens.
    """

    after_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """The call waits for `until` and is then applied as usual."""

    until: asyncio.Event


Fault = Refuse | LoseReply | ApplyLate | Hang


def lost_reply() -> Unavailable:
    """The error of a call that may or may not have been applied."""
    return Unavailable(Reason.LIVEKIT_UNAVAILABLE, "The connection to LiveKit was lost.", outcome_unknown=True)
