"""How fast calls to LiveKit go out."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from byoc_operator.core.trunk import InboundTrunk
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Refuse
from byoc_operator.livekit_sip.guard import Bucket, Guard
from guarding import LIMITED, fails, guarded, now
from virtual_time import in_virtual_time


async def sent_at(guard: Guard, calls: int) -> list[float]:
    """When each of several calls, all wanted now, was let through, in the order in which they were wanted."""
    began, sent = now(), [0.0] * calls

    async def call(index: int) -> None:
        await guard.list_all(InboundTrunk)
        sent[index] = round(now() - began, 6)

    await asyncio.gather(*(call(index) for index in range(calls)))
    return sent


@pytest.mark.parametrize("per_minute", [30, 60, 900])
@in_virtual_time
async def test_calls_keep_to_the_rate_and_to_their_order(per_minute: int) -> None:
    sent = await sent_at(guarded(FakeLiveKit(), per_minute), 3 * per_minute)
    assert sent == sorted(sent)
    burst = max(1, per_minute // 60)
    assert sum(at == 0 for at in sent) == burst
    for start in (0.0, 17.3, 60.0):
        assert sum(start <= at < start + 60 for at in sent) <= per_minute + burst
    assert sent[-1] == pytest.approx((3 * per_minute - burst) * 60 / per_minute)


@in_virtual_time
async def test_a_long_rest_saves_up_no_more_than_one_burst() -> None:
    guard = guarded(FakeLiveKit(), 120)
    await sent_at(guard, 10)
    await asyncio.sleep(3600)
    assert (await sent_at(guard, 4))[:4] == [0.0, 0.0, 0.5, 1.0]


@in_virtual_time
async def test_without_a_limit_nobody_waits() -> None:
    assert set(await sent_at(guarded(FakeLiveKit()), 1000)) == {0.0}


@in_virtual_time
async def test_a_pause_that_livekit_asks_for_is_kept_by_all() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, LIMITED, livekit)
    assert await sent_at(guard, 5) == [7.0] * 5
    assert set(await sent_at(guard, 5)) == {0.0}


@in_virtual_time
async def test_a_rate_limit_without_a_time_pauses_for_a_second() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, replace(LIMITED, retry_after_s=None), livekit)
    assert await sent_at(guard, 2) == [1.0, 1.0]


@in_virtual_time
async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    bucket, began = Bucket(0, now), now()
    bucket.pause(10)
    bucket.pause(2)
    await bucket.take()
    assert now() == began + 10


@in_virtual_time
async def test_after_a_pause_no_more_than_a_burst_goes_out_at_once() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit, 60)
    await fails(guard, LIMITED, livekit)
    sent = await sent_at(guard, 6)
    assert sent[0] == 7.0
    assert all(later - earlier >= 0.99 for earlier, later in itertools.pairwise(sent))


@in_virtual_time
async def test_a_pause_holds_those_who_wait_already() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit, 60)
    livekit.inject(Refuse(replace(LIMITED)))
    began = now()
    told = await asyncio.gather(*(guard.list_all(InboundTrunk) for _ in range(3)), return_exceptions=True)
    assert isinstance(told[0], Unavailable)
    assert now() - began >= 7.0 + 0.99
