"""A guard in front of a fake LiveKit, in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import InboundTrunk, OutboundTrunk
from byoc_operator.errors import Failure, Stalled, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Refuse
from byoc_operator.livekit_sip.guard import Bucket, Guard

TIMED_OUT = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time", outcome_unknown=True)
LIMITED = Unavailable(Reason.LIVEKIT_RATE_LIMITED, "LiveKit asks for fewer requests", retry_after_s=7.0)
REJECTED = Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: no such country")
UNAUTHORIZED = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key", server_wide=True)
WRONG_PATH = Stalled(Reason.LIVEKIT_MISCONFIGURED, "LiveKit has no such path", server_wide=True)
TRUNK = OutboundTrunk("ours", "{}", "sip.example.com", "TLS", ("+19876543210",))


def now() -> float:
    return asyncio.get_running_loop().time()


def guarded(
    livekit: FakeLiveKit,
    per_minute: int = 0,
    reload_key: Callable[[], bool] = lambda: False,
    may_write: Callable[[], None] = lambda: None,
) -> Guard:
    return Guard(livekit, Bucket(per_minute, now), reload_key, may_write)


async def fails(guard: Guard, error: Failure, livekit: FakeLiveKit) -> Failure:
    """Make one call that LiveKit answers with `error`; return the error that the caller gets."""
    livekit.inject(Refuse(replace(error)))
    with pytest.raises(Failure) as told:
        await guard.list_all(InboundTrunk)
    return told.value
