"""What a number costs: writes to the API server and calls to LiveKit."""

import pytest

from byoc_operator.api.resource import PhoneNumber
from byoc_operator.core.claims import Allocation
from byoc_operator.engine.claims import Claims
from operated import (
    CREATES,
    DELETES,
    FINALIZER_PATCH,
    NAME,
    NAMESPACE,
    STATUS_PATCH,
    World,
    manifest,
)
from virtual_time import in_virtual_time


@in_virtual_time
async def test_a_created_number_costs_two_writes_and_three_calls() -> None:
    world = await World.running()
    world.forget_counts()
    await world.apply()
    assert world.api_writes() == [FINALIZER_PATCH, STATUS_PATCH]
    assert [(method, kind) for method, kind, _ in world.livekit.calls] == CREATES
    assert world.event_reasons() == ["Synced"]


@in_virtual_time
async def test_for_a_number_without_aliases_nobody_looks_up_an_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    look_up = Claims._of_alias

    def seen(self: Claims, phone: str, number: PhoneNumber) -> Allocation:
        looked_up.append(number.key.name)
        return look_up(self, phone, number)

    monkeypatch.setattr(Claims, "_of_alias", seen)
    world = await World.in_step()
    await world.apply("aliased", phoneNumber="+15550100001", inbound={"aliases": ["100"]})
    await world.sweep()
    assert set(looked_up) == {"aliased"}


@in_virtual_time
async def test_aliases_cost_no_further_write_and_no_further_call() -> None:
    world = await World.running()
    world.forget_counts()
    await world.apply(inbound={"aliases": ["100", "200"]})
    assert world.api_writes() == [FINALIZER_PATCH, STATUS_PATCH]
    assert [(method, kind) for method, kind, _ in world.livekit.calls] == CREATES


@in_virtual_time
async def test_a_number_that_comes_with_the_finalizer_costs_one_write() -> None:
    world = await World.running()
    world.forget_counts()
    number = manifest()
    number["metadata"]["finalizers"] = ["byoc.talkifai.dev/finalizer"]
    world.api.apply(number)
    await world.settle()
    assert world.api_writes() == [STATUS_PATCH]


@in_virtual_time
async def test_a_deleted_number_costs_one_write_and_three_calls() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert world.api_writes() == [FINALIZER_PATCH]
    assert [(method, kind) for method, kind, _ in world.livekit.calls] == DELETES


@in_virtual_time
async def test_restart_and_sweep_cost_three_lists_and_no_write() -> None:
    world = await World.in_step()
    for index in range(20):
        await world.apply(f"n{index}", phoneNumber=f"+155501000{index:02}")
    world.forget_counts()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    assert len(world.livekit.calls) == 3
    assert world.api.requests["GET", "secrets"] == 2  # the sealing keys and the list
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    assert len(world.livekit.calls) == 6


@in_virtual_time
async def test_foreign_annotations_wake_nobody() -> None:
    world = await World.in_step()
    world.api.apply(manifest(annotations={"unknown": "x"}))
    await world.settle()
    assert (world.api_writes(), world.livekit.calls) == ([], [])
