"""Runs for many numbers after one event do not overload LiveKit; a change of one number by a user runs at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.pacing import MEMORY_S, REST_S, ROUND, AdaptiveLimit
from operated import NAMESPACE, USER, World, manifest
from virtual_time import in_virtual_time

ANSWER_S = 0.05
NUMBERS = 60
TIMED_OUT = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time", outcome_unknown=True)
LIMITED = Unavailable(Reason.LIVEKIT_RATE_LIMITED, "LiveKit asks for fewer requests")
REFUSED = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "connection refused")


def now() -> float:
    return asyncio.get_running_loop().time()


async def answers(limit: AdaptiveLimit, seconds: float, count: int = ROUND, at_once: int = 0) -> None:
    """So many answers that take so long, as many at once as the limit allows, or `at_once`."""

    async def one() -> None:
        with limit.timed("create"):
            await asyncio.sleep(seconds)

    while count > 0:
        width = min(count, at_once or limit.value)
        await asyncio.gather(*(one() for _ in range(width)))
        count -= width


async def fails(limit: AdaptiveLimit, error: Unavailable) -> None:
    with pytest.raises(Unavailable), limit.timed("create"):
        raise error


@in_virtual_time
async def test_slow_answers_halve_it_down_to_one_and_quick_ones_raise_it_step_by_step() -> None:
    limit = AdaptiveLimit(8, 8, now)
    await answers(limit, ANSWER_S, 8)
    seen = []
    for _ in range(4):
        await answers(limit, 3 * ANSWER_S, max(ROUND, limit.value))
        seen.append(limit.value)
    assert seen == [4, 2, 1, 1]
    for _ in range(9):
        await answers(limit, ANSWER_S, max(ROUND, limit.value))
        seen.append(limit.value)
    assert seen[4:] == [2, 3, 4, 5, 6, 7, 8, 8, 8]


@in_virtual_time
async def test_a_little_slower_changes_nothing_and_one_slow_answer_says_nothing() -> None:
    limit = AdaptiveLimit(4, 8, now)
    await answers(limit, ANSWER_S, 1)
    await answers(limit, 1.7 * ANSWER_S, 11, at_once=1)
    assert limit.value == 4
    await answers(limit, 40 * ANSWER_S, 1)
    await answers(limit, ANSWER_S, 4)
    assert limit.value == 5


@in_virtual_time
async def test_milliseconds_of_our_own_are_not_livekits() -> None:
    limit = AdaptiveLimit(4, 4, now)
    await answers(limit, 0.0005, 4)
    await answers(limit, 0.009, 40)
    assert limit.value == 4


@pytest.mark.parametrize(("error", "after"), [(TIMED_OUT, 4), (LIMITED, 4), (REFUSED, 8)], ids=str)
@in_virtual_time
async def test_no_answer_in_time_is_a_slow_one(error: Unavailable, after: int) -> None:
    limit = AdaptiveLimit(8, 8, now)
    for _ in range(8):
        await fails(limit, error)
    assert limit.value == after


@in_virtual_time
async def test_it_does_not_grow_while_it_is_not_used() -> None:
    limit = AdaptiveLimit(2, 8, now)
    await answers(limit, ANSWER_S, 100, at_once=1)
    assert limit.value == 3


@in_virtual_time
async def test_after_a_rest_it_begins_carefully_again() -> None:
    limit = AdaptiveLimit(2, 8, now)
    await answers(limit, ANSWER_S, 100)
    assert limit.value == 8
    await asyncio.sleep(REST_S + 1)
    await answers(limit, ANSWER_S, 1)
    assert limit.value == 2


@in_virtual_time
async def test_what_was_quick_long_ago_is_forgotten() -> None:
    """With twice as many objects every answer of LiveKit takes twice as long, and no room would help."""
    limit = AdaptiveLimit(2, 8, now)
    await answers(limit, ANSWER_S, 4)
    until = now() + 3 * MEMORY_S
    while now() < until:
        await answers(limit, 4 * ANSWER_S)
    assert limit.value > 2


class Busy(FakeLiveKit):
    """Its answers take longer the more it is asked at once; up to `room` writes take no longer than one."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.room = 100.0
        self.under_way = self.highest = 0
        self.finished: list[str] = []
        self._finished = asyncio.Event()

    async def _handle(self, method: str, kind: Kind, what: str, apply: Callable[[], Any]) -> Any:
        if method in ("list", "probe"):
            return await super()._handle(method, kind, what, apply)
        self.under_way += 1
        self.highest = max(self.highest, self.under_way)
        try:
            await asyncio.sleep(ANSWER_S * max(1.0, self.under_way / self.room))
            answer = await super()._handle(method, kind, what, apply)
        finally:
            self.under_way -= 1
        self.finished.append(what)
        self._finished.set()
        return answer

    async def has_finished(self, what: str) -> None:
        """Wait for a write of this object."""
        while what not in self.finished:
            self._finished.clear()
            await self._finished.wait()

    def begin(self, room: float) -> None:
        """Count anew, with other room."""
        self.room, self.highest = room, self.under_way
        self.finished.clear()


async def sharing(numbers: int = NUMBERS) -> tuple[World, Busy]:
    """Numbers in step that use one Secret, and one that uses its own."""
    livekit = Busy()
    world = World(livekit=livekit, workers=12, most_at_once=8)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "first-password"})
    world.api.put_secret(NAMESPACE, "own", {"username": USER, "password": "first-password"})
    await world.start()
    for index in range(numbers):
        world.api.apply(manifest(f"n{index}", phoneNumber=f"+1555010{index:04}"))
    world.api.apply(manifest("alone", sipPasswordSecretRef={"name": "own", "key": "password"}))
    await world.settle()
    assert {world.ready(f"n{index}") for index in range(numbers)} == {("True", "Synced")}
    await asyncio.sleep(REST_S + 1)
    livekit.begin(100.0)
    return world, livekit


def rotate(world: World, password: str, name: str = "sip") -> None:
    world.api.put_secret(NAMESPACE, name, {"username": USER, "password": password})


def passwords(world: World) -> set[str | None]:
    return {world.livekit.stored_password(world.ids(f"n{index}")[0]) for index in range(NUMBERS)}


@in_virtual_time
async def test_a_shared_secret_leaves_a_busy_livekit_room_and_all_get_the_password() -> None:
    world, livekit = await sharing()
    rotate(world, "second-password")
    await world.settle()
    assert livekit.highest > 4, "a quick LiveKit is asked more at once"
    assert world.ports.guard.pace.value > 4
    livekit.begin(room=1.0)
    for turn in range(3):
        rotate(world, f"busy-password-{turn}")
        await world.settle(within_s=60)
    assert world.ports.guard.pace.value <= 2
    assert passwords(world) == {"busy-password-2"}
    livekit.begin(room=1.0)
    rotate(world, "still-busy-password")
    await world.settle(within_s=60)
    assert livekit.highest <= 2, "a busy one is asked one or two at once"
    livekit.begin(room=100.0)
    for turn in range(3):
        rotate(world, f"quick-password-{turn}")
        await world.settle()
    assert world.ports.guard.pace.value == 8
    assert (passwords(world), livekit.highest) == ({"quick-password-2"}, 8)


@pytest.mark.parametrize("change", ["its spec", "its own Secret"])
@in_virtual_time
async def test_one_persons_edit_of_one_number_does_not_wait_behind_the_many(change: str) -> None:
    world, livekit = await sharing()
    livekit.begin(room=1.0)
    rotate(world, "second-password")
    await asyncio.sleep(0.3)
    assert world.engine.queue.depth > NUMBERS // 2
    asked_at, outbound = now(), world.ids("alone")[0]
    if change == "its spec":
        world.api.edit(NAMESPACE, "alone", friendlyName="edited")
    else:
        rotate(world, "own-password", "own")
    await livekit.has_finished(outbound)
    # At most the runs that were under way are before it: no more than a few answers.
    assert now() - asked_at < 5 * ANSWER_S
    assert world.engine.queue.depth > NUMBERS // 3
    await world.settle(within_s=60)
    assert passwords(world) == {"second-password"}


@in_virtual_time
async def test_a_restart_after_many_edits_and_repairs_are_paced_too() -> None:
    world, livekit = await sharing()
    await world.crash()
    for index in range(NUMBERS):
        world.api.edit(NAMESPACE, f"n{index}", friendlyName="edited meanwhile")
    livekit.begin(room=1.0)
    await world.start(settle=False)
    await world.settle(within_s=60)
    assert livekit.highest <= 3
    assert {trunk.name for trunk in world.outbound()} == {"edited meanwhile", "+19876543210"}
    for trunk in world.outbound():
        livekit.edit(trunk.id, name="drifted")
    livekit.begin(room=1.0)
    await world.sweep()
    await world.settle(within_s=60)
    assert livekit.highest <= 3
    assert "drifted" not in {trunk.name for trunk in world.outbound()}
