"""The guard in front of LiveKit: what trips and closes the breaker, how fast calls go out, whose key they carry."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from byoc_operator.core.trunk import Kind, OutboundTrunk
from byoc_operator.errors import Conflict, OperatorError, Parked, Stalled, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Hang, LoseReply, Refuse
from byoc_operator.livekit_sip.guard import FAILURES_TO_TRIP, Bucket, Guard
from operated import NAME, NAMESPACE, World, manifest
from virtual_time import in_virtual_time

REFUSED = Unavailable("LiveKitUnavailable", "connection refused")
TIMED_OUT = Unavailable("LiveKitUnavailable", "LiveKit did not answer in time", outcome_unknown=True)
BROKEN = Unavailable("LiveKitUnavailable", "LiveKit answers 500", outcome_unknown=True)
LIMITED = Unavailable("LiveKitRateLimited", "LiveKit asks for fewer requests", retry_after_s=7.0)
REJECTED = Stalled("RejectedByLiveKit", "LiveKit refuses: no such country")
CONFLICT = Conflict("NumberConflict", "LiveKit refuses: another trunk has the number")
UNAUTHORIZED = Stalled("LiveKitUnauthorized", "LiveKit does not accept the API key", server_wide=True)
WRONG_PATH = Stalled("LiveKitMisconfigured", "LiveKit has no such path", server_wide=True)
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


async def fails(guard: Guard, error: OperatorError, livekit: FakeLiveKit) -> OperatorError:
    """One call that LiveKit answers with `error`; what the caller is told."""
    livekit.inject(Refuse(replace(error)))
    with pytest.raises(OperatorError) as told:
        await guard.list_inbound_trunks()
    return told.value


# The breaker


@pytest.mark.parametrize("sign", [REFUSED, UNAUTHORIZED, WRONG_PATH], ids=lambda each: each.message)
@in_virtual_time
async def test_a_clear_sign_trips_at_once(sign: OperatorError) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, sign, livekit)
    assert guard.is_open
    assert guard.trouble is not None
    assert (guard.trouble.reason, guard.trouble.message) == (sign.reason, sign.message)


@pytest.mark.parametrize("sign", [TIMED_OUT, BROKEN], ids=lambda each: each.message)
@in_virtual_time
async def test_an_unclear_sign_trips_after_several_in_a_row(sign: OperatorError) -> None:
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
async def test_an_answer_begins_the_count_anew(answer: OperatorError | None) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(3):
        for _ in range(FAILURES_TO_TRIP - 1):
            await fails(guard, TIMED_OUT, livekit)
        if answer is None:
            await guard.list_inbound_trunks()
        else:
            await fails(guard, answer, livekit)
    assert not guard.is_open


@pytest.mark.parametrize("answer", [REJECTED, CONFLICT, LIMITED], ids=lambda each: each.reason)
@in_virtual_time
async def test_refusals_of_one_object_and_rate_limits_never_trip(answer: OperatorError) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    for _ in range(3 * FAILURES_TO_TRIP):
        await fails(guard, answer, livekit)
    assert not guard.is_open


@pytest.mark.parametrize(("sign", "stalled"), [(REFUSED, False), (UNAUTHORIZED, True)])
@in_virtual_time
async def test_while_open_nobody_is_asked(sign: OperatorError, *, stalled: bool) -> None:
    livekit = FakeLiveKit()
    guard = guarded(livekit)
    await fails(guard, sign, livekit)
    livekit.calls.clear()
    for call in (
        guard.list_outbound_trunks(),
        guard.list_inbound_trunks(),
        guard.list_dispatch_rules(),
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
    told = await asyncio.gather(*(guard.list_inbound_trunks() for _ in range(4)), return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable, Parked, Parked, Parked]
    assert len(livekit.calls) == 1


@in_virtual_time
async def test_a_probe_that_fails_leaves_it_open_and_one_that_succeeds_closes_it() -> None:
    livekit = FakeLiveKit(always=REFUSED)
    guard = guarded(livekit)
    with pytest.raises(Unavailable):
        await guard.list_inbound_trunks()
    with pytest.raises(Unavailable):
        await guard.probe()
    assert guard.is_open
    livekit.always = None
    await guard.probe()
    assert not guard.is_open
    assert await guard.list_inbound_trunks() == []
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


# The key


class Locked(FakeLiveKit):
    """A LiveKit that knows one key; `held` is the operator's."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.accepted = self.held = self.mounted = "first"
        self.reloads = 0

    def reload(self) -> bool:
        """As `_MountedKey`: whether another key was found."""
        self.reloads += 1
        found, self.held = self.held != self.mounted, self.mounted
        return found

    async def list_inbound_trunks(self) -> list[object]:  # type: ignore[override]
        self.calls.append(("list", Kind.INBOUND_TRUNK, self.held))
        carried = self.held
        await asyncio.sleep(0.01)
        if carried != self.accepted:
            raise replace(UNAUTHORIZED)
        return []

    async def probe(self) -> None:
        await self.list_inbound_trunks()


@in_virtual_time
async def test_a_refused_key_is_read_again_and_the_call_made_once_more() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = livekit.mounted = "second"
    assert await guard.list_inbound_trunks() == []
    assert [held for _, _, held in livekit.calls] == ["first", "second"]
    assert (guard.is_open, livekit.reloads) == (False, 1)


@in_virtual_time
async def test_a_refused_key_that_is_still_the_mounted_one_trips() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = "second"
    with pytest.raises(Stalled):
        await guard.list_inbound_trunks()
    assert guard.is_open
    assert len(livekit.calls) == 1
    livekit.mounted = "second"
    await guard.probe()
    assert not guard.is_open


@in_virtual_time
async def test_a_new_key_that_is_refused_too_trips_after_one_retry() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted, livekit.mounted = "third", "second"
    with pytest.raises(Stalled):
        await guard.list_inbound_trunks()
    assert guard.is_open
    assert [held for _, _, held in livekit.calls] == ["first", "second"]


@in_virtual_time
async def test_several_calls_refused_at_once_all_go_out_with_the_new_key() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = livekit.mounted = "second"
    told = await asyncio.gather(*(guard.list_inbound_trunks() for _ in range(5)), return_exceptions=True)
    assert told == [[]] * 5
    assert not guard.is_open


@in_virtual_time
async def test_other_refusals_read_no_key() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    for error in (WRONG_PATH, REJECTED, TIMED_OUT):
        livekit.inject(Refuse(replace(error)), "create")
        with pytest.raises(OperatorError):
            await guard.create(TRUNK)
        await guard.probe()
    assert livekit.reloads == 0


# The pace


async def sent_at(guard: Guard, calls: int) -> list[float]:
    """When each of several calls, all wanted now, was let through, in the order in which they were wanted."""
    began, sent = now(), [0.0] * calls

    async def call(index: int) -> None:
        await guard.list_inbound_trunks()
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
    told = await asyncio.gather(*(guard.list_inbound_trunks() for _ in range(3)), return_exceptions=True)
    assert isinstance(told[0], Unavailable)
    assert now() - began >= 7.0 + 0.99


# Who may write


@in_virtual_time
async def test_who_does_not_lead_may_look_but_not_write() -> None:
    def refuse() -> None:
        raise Unavailable("Pending", "another replica leads")

    livekit = FakeLiveKit()
    id_ = livekit.put(TRUNK)
    guard = guarded(livekit, may_write=refuse)
    assert [each.id for each in await guard.list_outbound_trunks()] == [id_]
    await guard.list_inbound_trunks()
    await guard.list_dispatch_rules()
    await guard.probe()
    livekit.calls.clear()
    for call in (
        guard.create(TRUNK),
        guard.replace(replace(TRUNK, id=id_)),
        guard.delete(Kind.OUTBOUND_TRUNK, id_),
        guard.set_metadata(Kind.OUTBOUND_TRUNK, id_, "x"),
    ):
        with pytest.raises(Unavailable):
            await call
    assert livekit.calls == []
    assert [each.metadata for each in livekit.objects() if isinstance(each, OutboundTrunk)] == ["{}"]
    assert not guard.is_open


@in_virtual_time
async def test_leadership_lost_while_waiting_for_a_turn_stops_the_write() -> None:
    leads = True

    def check() -> None:
        if not leads:
            raise Unavailable("Pending", "another replica leads")

    livekit = FakeLiveKit()
    guard = guarded(livekit, per_minute=60, may_write=check)
    await guard.list_inbound_trunks()
    writing = asyncio.create_task(guard.create(TRUNK))
    await asyncio.sleep(0.5)
    leads = False
    with pytest.raises(Unavailable):
        await writing
    assert livekit.objects() == []


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
