"""Settings in LiveKit that the API has no word for, under both values of BYOC_UNKNOWN_FIELDS."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from adopting import ALL, IN, OPEN, OUT, RULE, SYNCED, world_with
from byoc_operator.core.desired import Installation
from byoc_operator.core.trunk import Kind, UnknownFields
from operated import NAME, NAMESPACE, World
from virtual_time import in_virtual_time

KEEPING = replace(OPEN, keeps_unknown_fields=True)
PRESET: dict[str, Any] = {"extra": ("room_preset",), "unknown": UnknownFields(("room_preset",))}
BOTH: dict[str, Any] = {"extra": ("room_preset", "rule"), "unknown": UnknownFields(("room_preset",), ("rule",))}


async def in_step(installation: Installation, **spec: Any) -> World:
    world = await World.running(installation=installation)
    await world.apply(**spec)
    assert world.ready() == SYNCED
    await world.elapse(2)
    world.forget_counts()
    return world


async def changed(world: World, **rule: Any) -> World:
    """The world after somebody changed the rule in LiveKit and a sweep saw it."""
    world.livekit.edit(world.rules()[0].id, **rule)
    await world.sweep()
    return world


def codes(world: World) -> set[str]:
    return {each["code"] for each in world.status().get("findings", [])}


def told(world: World) -> str:
    return next(str(each["message"]) for each in world.status()["findings"] if each["code"] == "UnknownFieldsKept")


@in_virtual_time
async def test_a_setting_is_kept_and_named() -> None:
    world = await changed(await in_step(KEEPING), **PRESET)
    assert world.rules()[0].extra == ("room_preset",)
    assert (world.livekit_writes(), world.ready()) == ([], SYNCED)
    assert told(world).endswith(" (dispatchRule.room_preset)")


@in_virtual_time
async def test_a_setting_is_erased_by_default() -> None:
    world = await changed(await in_step(OPEN), **PRESET)
    assert world.rules()[0].extra == ()
    assert world.livekit_writes() == [("replace", Kind.DISPATCH_RULE)]
    assert "UnknownFieldsKept" not in codes(world)
    assert ("remainder", Kind.DISPATCH_RULE) not in world.livekit.count()


@in_virtual_time
async def test_a_replace_carries_over_what_is_there_at_that_time() -> None:
    world = await in_step(KEEPING)
    world.livekit.edit(world.rules()[0].id, **PRESET)  # no sweep has seen it
    await world.apply(inboundAgentId="sales")
    (rule,) = world.rules()
    assert (rule.agent_name, rule.extra) == ("sales", ("room_preset",))
    assert world.livekit.count()["remainder", Kind.DISPATCH_RULE] == 1


@in_virtual_time
async def test_what_says_which_calls_come_in_is_repaired_and_the_settings_beside_it_stay() -> None:
    world = await changed(await in_step(KEEPING), **BOTH)
    (rule,) = world.rules()
    assert (rule.extra, world.livekit_writes()) == (("room_preset",), [("replace", Kind.DISPATCH_RULE)])
    assert "put right in LiveKit: dispatchRule.rule" in [event["note"] for event in world.api.events]


@in_virtual_time
async def test_a_finding_goes_with_the_setting() -> None:
    world = await changed(await in_step(KEEPING), **PRESET)
    assert "UnknownFieldsKept" in codes(world)
    await changed(world, extra=(), unknown=None)
    assert "UnknownFieldsKept" not in codes(world)


@in_virtual_time
async def test_a_refresh_keeps_and_a_recreation_does_not() -> None:
    world = await changed(await in_step(KEEPING), **PRESET)
    world.api.annotate(NAMESPACE, NAME, refresh="1")
    await world.settle()
    assert world.rules()[0].extra == ("room_preset",)
    world.api.annotate(NAMESPACE, NAME, recreate="1")
    await world.settle()
    assert (world.rules()[0].extra, world.ready()) == ((), SYNCED)
    assert "UnknownFieldsKept" not in codes(world)


@in_virtual_time
async def test_an_observed_object_has_no_pending_change_for_a_setting() -> None:
    world = await changed(await in_step(KEEPING, managementPolicy="Manage"), **BOTH)
    await world.apply(managementPolicy="Observe")
    await changed(world, **BOTH)
    assert world.status()["pendingChanges"] == ["dispatchRule.rule"]
    assert told(world).endswith(" (dispatchRule.room_preset)")


@pytest.mark.parametrize("installation", [OPEN, KEEPING], ids=["Erase", "Keep"])
@in_virtual_time
async def test_an_adoption_waits_for_what_it_would_erase(installation: Installation) -> None:
    keeps = installation.keeps_unknown_fields
    world = await world_with(OUT, IN, replace(RULE, **PRESET), installation=installation)
    await world.apply(annotations={"adopt": ALL})
    assert world.ready() == (SYNCED if keeps else ("False", "ChangesPending"))
    assert world.status().get("pendingChanges") == (None if keeps else ["dispatchRule.room_preset"])
    assert world.rules()[0].extra == ("room_preset",)
    assert Counter(method for method, _ in world.livekit_writes()) == Counter({"replace": 3} if keeps else {})


@in_virtual_time
async def test_an_adoption_waits_where_a_rule_is_for_other_calls() -> None:
    world = await world_with(OUT, IN, replace(RULE, **BOTH), installation=KEEPING)
    await world.apply(annotations={"adopt": ALL})
    assert world.ready() == ("False", "ChangesPending")
    assert world.status()["pendingChanges"] == ["dispatchRule.rule"]
    world.api.annotate(NAMESPACE, NAME, adopt=f"{ALL},force")
    await world.settle()
    assert (world.ready(), world.rules()[0].extra) == (SYNCED, ("room_preset",))


@in_virtual_time
async def test_what_cannot_be_read_is_no_setting() -> None:
    world = await changed(await in_step(KEEPING), extra=("unreadable",))
    assert (world.rules()[0].extra, world.livekit_writes()) == ((), [("replace", Kind.DISPATCH_RULE)])


@in_virtual_time
async def test_the_finding_names_a_few_paths() -> None:
    many = tuple(f"field_{each}" for each in range(10))
    world = await changed(await in_step(KEEPING), extra=many, unknown=UnknownFields(many))
    assert told(world).endswith("dispatchRule.field_7, and 2 more)")
