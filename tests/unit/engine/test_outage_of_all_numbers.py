"""A LiveKit outage of an hour with many numbers: its cost, its messages, and the order of the runs afterwards."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import Kind
from byoc_operator.engine.sweep import LONGEST_RETRY_S
from byoc_operator.errors import Failure, Stalled, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Refuse
from operated import FINALIZER_PATCH, NAME, NAMESPACE, STATUS_PATCH, SWEEP_S, World, manifest
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")
UNAUTHORIZED = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key", server_wide=True)
SYNCED = ("True", "Synced")
HOUR_S = 3600.0


class Timed(FakeLiveKit):
    """Remembers when each call came and how many were under way. `when_probed`: called once, as a probe succeeds."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.times: list[tuple[float, str]] = []
        self.under_way = self.most = 0
        self.when_probed: Callable[[], Any] | None = None

    async def _handle(self, method: str, kind: Kind, what: str, apply: Callable[[], Any]) -> Any:
        self.times.append((asyncio.get_running_loop().time(), method))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            answer = await super()._handle(method, kind, what, apply)
        finally:
            self.under_way -= 1
        act, self.when_probed = (self.when_probed, None) if method == "probe" else (None, self.when_probed)
        if act is not None:
            act()
        return answer


def phone(index: int) -> str:
    return f"+155501{index:05}"


async def with_numbers(count: int) -> tuple[World, Timed]:
    """Many numbers in step. Requests are counted from here."""
    livekit = Timed()
    world = await World.running(livekit=livekit)
    for index in range(count):
        world.api.apply(manifest(f"n{index}", phoneNumber=phone(index)))
    await world.elapse(2)
    assert all_ready(world)
    world.forget_counts()
    return world, livekit


def all_ready(world: World) -> bool:
    return all(world.ready(raw["metadata"]["name"]) == SYNCED for raw in world.api.numbers())


def writes(world: World) -> list[str]:
    """Name or ID of each LiveKit object in a request for a change, in order."""
    return [what for method, _, what in world.livekit.calls if method not in ("list", "probe")]


async def goes_down(world: World, error: Failure = DOWN) -> None:
    """LiveKit fails, and the operator has noticed."""
    world.livekit.always = error
    await world.sweep()
    assert world.ports.guard.is_open
    world.forget_counts()


@in_virtual_time
async def test_an_hour_without_livekit_costs_nothing_but_probes() -> None:
    world, _ = await with_numbers(50)
    before = {raw["metadata"]["name"]: raw for raw in world.api.numbers()}
    await goes_down(world)
    for index in range(50, 70):
        world.api.apply(manifest(f"n{index}", phoneNumber=phone(index)))
    await world.elapse(5)
    # As LiveKit was seen before, the new ones are held (finalizer) before their first create is refused.
    assert Counter(world.api_writes()) == {FINALIZER_PATCH: 20, STATUS_PATCH: 20}
    assert {world.ready(f"n{index}") for index in range(50, 70)} == {("False", "LiveKitUnavailable")}
    assert world.api.events == []
    assert world.troubles == [f"{DOWN.reason}: {DOWN.message}"]
    assert world.engine.queue.parked == 20
    world.forget_counts()
    await world.elapse(HOUR_S)
    assert world.api_writes() == []
    assert set(world.api.requests) == {("GET", "secrets")}, "the sealing keys, once in an interval"
    assert world.api.requests["GET", "secrets"] <= HOUR_S / SWEEP_S * 1.2
    assert {method for method, _, _ in world.livekit.calls} == {"probe"}
    assert len(world.livekit.calls) <= HOUR_S / LONGEST_RETRY_S + 1
    assert [raw for raw in world.api.numbers() if before.get(raw["metadata"]["name"], raw) != raw] == []
    assert {world.ready(name) for name in before} == {SYNCED}
    assert len(world.troubles) == 1
    assert not world.engine.tasks.died.done()


@in_virtual_time
async def test_a_restart_without_livekit_asks_once_and_then_probes() -> None:
    world, _ = await with_numbers(30)
    await goes_down(world)
    await world.crash()
    world.forget_counts()
    await world.start()
    await world.elapse(HOUR_S)
    assert world.api_writes() == []
    calls = Counter(method for method, _, _ in world.livekit.calls)
    assert (calls["list"], set(calls)) == (1, {"list", "probe"})
    assert {world.ready(f"n{index}") for index in range(30)} == {SYNCED}
    assert len(world.troubles) == 2  # each process logs it once


@in_virtual_time
async def test_new_numbers_after_a_restart_without_livekit_cost_one_write_each() -> None:
    world, _ = await with_numbers(3)
    await goes_down(world)
    await world.crash()
    await world.start()
    world.forget_counts()
    for index in range(50, 70):
        world.api.apply(manifest(f"n{index}", phoneNumber=phone(index)))
    await world.elapse(HOUR_S)
    assert Counter(world.api_writes()) == {STATUS_PATCH: 20}
    assert world.api.events == []
    assert {method for method, _, _ in world.livekit.calls} == {"probe"}


@in_virtual_time
async def test_probes_come_after_one_second_and_then_ever_slower() -> None:
    world, livekit = await with_numbers(1)
    world.livekit.always = DOWN
    since = len(livekit.times)
    await world.elapse(HOUR_S)
    (first, method), *probes = livekit.times[since:]
    assert (method, {what for _, what in probes}) == ("list", {"probe"})
    asked = [first, *(at for at, _ in probes)]
    gaps = [round(later - earlier, 3) for earlier, later in itertools.pairwise(asked)]
    assert gaps[:5] == [1, 2, 4, 8, 15]
    assert set(gaps[4:]) == {LONGEST_RETRY_S}


@in_virtual_time
async def test_when_livekit_is_back_all_is_in_step_within_seconds() -> None:
    world, livekit = await with_numbers(50)
    await goes_down(world)
    for index in range(50, 70):
        world.api.apply(manifest(f"n{index}", phoneNumber=phone(index)))
    for index in range(10):
        world.api.edit(NAMESPACE, f"n{index}", friendlyName="edited")
    world.api.delete(NAMESPACE, "n11")
    await world.elapse(HOUR_S)
    assert {world.ready(f"n{index}") for index in range(10)} == {("False", "LiveKitUnavailable")}
    world.forget_counts()
    back = asyncio.Event()
    livekit.when_probed = back.set
    livekit.always = None
    await back.wait()
    await world.elapse(3)
    assert all_ready(world)
    assert not world.exists("n11")
    assert len(world.livekit.objects()) == 3 * 69
    assert Counter(method for method, _, _ in world.livekit.calls) == {
        "probe": 1,
        "list": 3,
        "create": 60,
        "replace": 20,
        "delete": 3,
    }
    assert Counter(world.api_writes()) == {STATUS_PATCH: 30, FINALIZER_PATCH: 1}
    assert world.engine.livekit.trouble is None
    assert world.event_reasons() == ["Synced"] * 20, "the new ones are Ready for the first time"


async def _many_parked(world: World, count: int) -> None:
    """Numbers that a sweep found to differ, all waiting for LiveKit."""
    for each in world.rules():
        world.livekit.drop(each.id)
    world.livekit.inject(Refuse(DOWN), "create")
    await world.ports.guard.wait_open(400)
    world.livekit.always = DOWN
    await world.elapse(60)
    assert world.engine.queue.parked >= count - 4  # some may have been repaired before


@in_virtual_time
async def test_a_change_that_comes_with_the_recovery_goes_before_the_parked() -> None:
    world, livekit = await with_numbers(25)
    await _many_parked(world, 25)
    world.forget_counts()
    livekit.when_probed = lambda: world.api.edit(NAMESPACE, "n24", friendlyName="urgent")
    livekit.always = None
    await world.elapse(20)
    assert all_ready(world)
    assert writes(world).index(world.ids("n24")[0]) <= 8  # after the runs of the four workers


@in_virtual_time
async def test_changes_of_users_during_the_outage_go_before_what_the_sweep_had_found() -> None:
    world, livekit = await with_numbers(25)
    await _many_parked(world, 25)
    world.api.edit(NAMESPACE, "n24", friendlyName="edited during the outage")
    world.api.apply(manifest("new", phoneNumber=phone(99)))
    await world.elapse(60)
    world.forget_counts()
    livekit.always = None
    await world.elapse(20)
    assert all_ready(world)
    assert writes(world).index(world.ids("n24")[0]) <= 8
    assert writes(world).index(phone(99)) <= 8


@in_virtual_time
async def test_recovery_runs_no_more_than_usual_at_once() -> None:
    world, livekit = await with_numbers(1)
    await goes_down(world)
    for index in range(50, 90):
        world.api.apply(manifest(f"n{index}", phoneNumber=phone(index)))
    await world.elapse(60)
    livekit.always, livekit.most = None, 0
    await world.elapse(20)
    assert all_ready(world)
    assert livekit.most <= 4 + 1  # the workers, and the sweep


# Deletions


@in_virtual_time
async def test_force_orphan_lets_go_at_once_where_the_outage_is_known() -> None:
    world, _ = await with_numbers(2)
    ids = world.ids("n0")
    await goes_down(world)
    world.api.annotate(NAMESPACE, "n0", force_orphan="true")
    await world.settle()
    assert world.exists("n0")
    world.api.delete(NAMESPACE, "n0")
    await world.settle()
    assert not world.exists("n0")
    assert {method for method, _, _ in world.livekit.calls} <= {"probe"}
    (event,) = world.api.events
    assert event["reason"] == "Orphaned"
    assert [each for each in ids if each not in event["note"]] == []
    assert len(world.livekit.objects()) == 6


@in_virtual_time
async def test_force_orphan_lets_go_after_a_restart_without_livekit_and_names_the_ids() -> None:
    world, _ = await with_numbers(1)
    ids = world.ids("n0")
    await goes_down(world)
    await world.crash()
    await world.start()
    world.api.delete(NAMESPACE, "n0")
    await world.elapse(30)
    assert world.exists("n0")
    world.api.annotate(NAMESPACE, "n0", force_orphan="true")
    await world.settle()
    assert not world.exists("n0")
    (event,) = world.api.events
    assert [each for each in ids if each not in event["note"]] == []


@in_virtual_time
async def test_observers_leave_during_an_outage_and_others_wait_without_writes() -> None:
    world, _ = await with_numbers(4)
    world.api.edit(NAMESPACE, "n0", managementPolicy="Observe")
    await world.settle()
    await goes_down(world)
    for index in range(4):
        world.api.delete(NAMESPACE, f"n{index}")
    await world.settle()
    assert [world.exists(f"n{index}") for index in range(4)] == [False, True, True, True]
    assert Counter(world.api_writes()) == {FINALIZER_PATCH: 1, STATUS_PATCH: 3}
    world.forget_counts()
    await world.elapse(HOUR_S)
    assert world.api_writes() == []
    world.livekit.always = None
    await world.elapse(20)
    assert world.api.numbers() == []
    assert len(world.livekit.objects()) == 3  # the observer's


@in_virtual_time
async def test_an_edit_during_an_outage_that_is_taken_back_leaves_no_trace() -> None:
    world, livekit = await with_numbers(1)
    await goes_down(world)
    world.api.edit(NAMESPACE, "n0", terminationUri="sip2.example.com")
    await world.elapse(60)
    assert world.ready("n0") == ("False", "LiveKitUnavailable")
    world.api.edit(NAMESPACE, "n0", terminationUri="sip.example.com")
    await world.elapse(60)
    livekit.always = None
    world.forget_counts()
    await world.elapse(20)
    assert (world.ready("n0"), writes(world)) == (SYNCED, [])


# The key


@in_virtual_time
async def test_a_wrong_key_stalls_who_wants_something_until_it_is_right() -> None:
    world, livekit = await with_numbers(5)
    await goes_down(world, UNAUTHORIZED)
    world.api.apply(manifest(phoneNumber=phone(70)))
    await world.elapse(HOUR_S)
    assert world.ready() == ("False", "LiveKitUnauthorized")
    assert world.conditions()["Stalled"] == ("True", "LiveKitUnauthorized")
    assert {world.ready(f"n{index}") for index in range(5)} == {SYNCED}
    assert Counter(world.api_writes()) == {FINALIZER_PATCH: 1, STATUS_PATCH: 1}
    assert world.troubles == [f"{UNAUTHORIZED.reason}: {UNAUTHORIZED.message}"]
    livekit.always = None
    await world.elapse(LONGEST_RETRY_S + 2)
    assert world.ready() == SYNCED
    assert "Stalled" not in world.conditions()
    assert world.event_reasons() == ["Synced"]


@in_virtual_time
async def test_another_kind_of_trouble_is_told_too() -> None:
    world, livekit = await with_numbers(1)
    await goes_down(world, DOWN)
    world.api.apply(manifest(phoneNumber=phone(70)))
    await world.elapse(100)
    livekit.always = UNAUTHORIZED
    await world.elapse(100)
    assert [each.partition(":")[0] for each in world.troubles] == ["LiveKitUnavailable", "LiveKitUnauthorized"]
    assert world.engine.livekit.trouble is not None
    assert world.engine.livekit.trouble.reason == "LiveKitUnauthorized"
    livekit.always = None
    await world.elapse(20)
    assert world.ready() == SYNCED


@in_virtual_time
async def test_a_sick_livekit_that_comes_and_goes_writes_no_status_of_a_ready_number() -> None:
    world, livekit = await with_numbers(20)
    for _ in range(5):
        livekit.always = DOWN
        await world.elapse(400)
        livekit.always = None
        await world.elapse(100)
    assert world.api_writes() == []
    assert writes(world) == []
    assert all_ready(world)
    assert NAME not in {raw["metadata"]["name"] for raw in world.api.numbers()}
