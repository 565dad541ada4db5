"""What trips and closes the breaker in front of LiveKit, and who is not delayed."""

import asyncio
from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.errors import Failure, Occupied, Parked, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Hang, LoseReply, Refuse
from byoc_operator.livekit_sip.guard import FAILURES_TO_TRIP
from guarding import LIMITED, REJECTED, TIMED_OUT, TRUNK, UNAUTHORIZED, WRONG_PATH, fails, guarded, now
from operated import NAME, NAMESPACE, World, manifest
from virtual_time import in_virtual_time

REFUSED = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "connection refused")
BROKEN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit answers 500", outcome_unknown=True)
CONFLICT = Occupied(Reason.NUMBER_CONFLICT, "LiveKit refuses: another trunk has the number")


# The breaker


@pytest.mark.parametrize("sign", [REFUSED, UNAUTHORIZED, WRONG_PATH], ids=lambda each: each.message)
@in_virtual_time
async def test_a_clear_sign_trips_at_once(sign: Failure) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, sign, livekit)
    assert guard.is_open
    assert guard.trouble is not None
    assert (guard.trouble.reason, guard.trouble.message) == (sign.reason, sign.message)


@pytest.mark.parametrize("sign", [TIMED_OUT, BROKEN], ids=lambda each: each.message)
@in_virtual_time
async def test_an_unclear_sign_trips_after_several_in_a_row(sign: Failure) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(FAILURES_TO_TRIP - 1):
        await fails(guard, sign, livekit)
        assert not guard.is_open
    await fails(guard, sign, livekit)
    assert (guard.is_open, FAILURES_TO_TRIP) == (True, 6)


@in_virtual_time
async def test_lost_connections_and_timeouts_count_together() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(3):
        await fails(guard, TIMED_OUT, livekit)
        livekit.inject(LoseReply(), "create")
        with pytest.raises(Unavailable):
            await guard.create(TRUNK)
    assert guard.is_open


@pytest.mark.parametrize("answer", [None, REJECTED, CONFLICT], ids=["a result", "a refusal", "a conflict"])
@in_virtual_time
async def test_an_answer_begins_the_count_anew(answer: Failure | None) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(3):
        for _ in range(FAILURES_TO_TRIP - 1):
            await fails(guard, TIMED_OUT, livekit)
        if answer is None:
            await guard.list_all(InboundTrunk)
        else:
            await fails(guard, answer, livekit)
    assert not guard.is_open


@pytest.mark.parametrize("answer", [REJECTED, CONFLICT, LIMITED], ids=lambda each: each.reason)
@in_virtual_time
async def test_refusals_of_one_object_and_rate_limits_never_trip(answer: Failure) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(3 * FAILURES_TO_TRIP):
        await fails(guard, answer, livekit)
    assert not guard.is_open


@pytest.mark.parametrize(("sign", "stalled"), [(REFUSED, False), (UNAUTHORIZED, True)])
@in_virtual_time
async def test_while_open_nobody_is_asked(sign: Failure, *, stalled: bool) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, sign, livekit)
    livekit.calls.clear()
    for call in (
        guard.list_all(OutboundTrunk),
        guard.list_all(InboundTrunk),
        guard.list_all(DispatchRule),
        guard.create(TRUNK),
        guard.replace(replace(TRUNK, id="ST_1")),
        guard.delete(Kind.INBOUND_TRUNK, "ST_1"),
        guard.set_metadata(Kind.INBOUND_TRUNK, "ST_1", "{}"),
    ):
        with pytest.raises(Parked) as told:
            await call
        assert (told.value.reason, told.value.message, told.value.stalled) == (sign.reason, sign.message, stalled)
    assert livekit.calls == []


@in_virtual_time
async def test_who_waits_for_its_turn_when_the_breaker_trips_is_not_sent() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit, per_minute=60)
    livekit.inject(Refuse(replace(REFUSED)))
    told = await asyncio.gather(*(guard.list_all(InboundTrunk) for _ in range(4)), return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable, Parked, Parked, Parked]
    assert len(livekit.calls) == 1


@in_virtual_time
async def test_a_probe_that_fails_leaves_it_open_and_one_that_succeeds_closes_it() -> None:
    livekit = FakeLiveKit(always=REFUSED)
    guard = guarded(livekit)
    with pytest.raises(Unavailable):
        await guard.list_all(InboundTrunk)
    with pytest.raises(Unavailable):
        await guard.probe()
    assert guard.is_open
    livekit.always = None
    await guard.probe()
    assert not guard.is_open
    assert await guard.list_all(InboundTrunk) == []
    assert [method for method, _, _ in livekit.calls] == ["list", "probe", "probe", "list"]


@in_virtual_time
async def test_after_a_probe_the_count_begins_anew() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(FAILURES_TO_TRIP):
        await fails(guard, TIMED_OUT, livekit)
    await guard.probe()
    await fails(guard, TIMED_OUT, livekit)
    assert not guard.is_open


@in_virtual_time
async def test_whoever_waits_for_the_breaker_to_trip_is_called() -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    waiting, began = asyncio.create_task(guard.wait_open(300)), now()
    await asyncio.sleep(10)
    await fails(guard, REFUSED, livekit)
    await waiting
    assert now() == began + 10
    await guard.probe()
    await guard.wait_open(300)
    assert now() == pytest.approx(began + 310)


# In the whole


@pytest.mark.parametrize("method", ["list", "create", "replace"])
@in_virtual_time
async def test_a_hanging_call_delays_no_other_number(method: str) -> None:
    world, released = await World.in_step(), asyncio.Event()
    world.livekit.inject(Hang(released), method)
    if method == "list":
        await asyncio.sleep(400)  # the next sweep hangs in its first list
    if method == "create":
        world.api.apply(manifest("hangs", phoneNumber="+15550100009"))
    if method == "replace":
        world.api.edit(NAMESPACE, NAME, friendlyName="hangs")
    await asyncio.sleep(0.1)
    for index in range(10):
        world.api.apply(manifest(f"n{index}", phoneNumber=f"+1555010000{index}" if index < 9 else "+15550100010"))
    await asyncio.sleep(0.5)
    assert {world.ready(f"n{index}") for index in range(10)} == {("True", "Synced")}
    released.set()
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert not world.engine.tasks.died.done()
