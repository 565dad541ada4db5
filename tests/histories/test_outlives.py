"""What outlives an object in LiveKit: each cell of the table in docs/outlives.md, over three sweeps and a restart."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.names import LEFT_ALONE
from byoc_operator.cluster.api import ApiRefused
from byoc_operator.cluster.fake import Fail
from byoc_operator.core.orphans import MAX_LEFT_ALONE, MORE, as_left_alone, left_alone
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Unavailable
from operated import LEASE, NAME, NAMESPACE, PASSWORD, STATUS_PATCH, SYSTEM, USER, World, manifest
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
DOWN = Unavailable("LiveKitUnavailable", "LiveKit cannot be reached; the operator tries again by itself.")
REPORT, DELETE = False, True

Step = Callable[[World], Awaitable[None]]


def edit(**fields: Any) -> Step:
    async def step(world: World) -> None:
        world.api.edit(NAMESPACE, NAME, **fields)
        await world.settle()

    return step


def annotate(**wishes: str | None) -> Step:
    async def step(world: World) -> None:
        world.api.annotate(NAMESPACE, NAME, **wishes)
        await world.settle()

    return step


def wait(seconds: float) -> Step:
    async def step(world: World) -> None:
        await world.elapse(seconds)

    return step


def settings(**changes: Any) -> Step:
    """Started again with other settings."""

    async def step(world: World) -> None:
        await world.crash()
        world.installation = replace(world.installation, **changes)
        await world.start()

    return step


async def delete(world: World) -> None:
    world.api.delete(NAMESPACE, NAME)
    await world.settle()


async def strip(world: World) -> None:
    """Somebody takes our finalizer away, faster than we can put it back, and the object."""
    world.deafen()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.restart()


async def strip_unseen(world: World) -> None:
    """The same while the operator listens."""
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()


async def down(world: World) -> None:
    world.livekit.always = DOWN


async def up(world: World) -> None:
    world.livekit.always = None
    await world.elapse(60)


async def restart(world: World) -> None:
    await world.restart()


async def again(world: World) -> None:
    await world.apply()


def away(*edits: Callable[[World], object]) -> Step:
    """Done while no operator runs."""

    async def step(world: World) -> None:
        await world.crash()
        for each in edits:
            each(world)
        await world.start()

    return step


def _observes(world: World) -> None:
    world.api.edit(NAMESPACE, NAME, managementPolicy="Observe")


def _deletes(world: World) -> None:
    world.api.delete(NAMESPACE, NAME)


async def wipe(world: World) -> None:
    world.api.wipe_status(NAMESPACE, NAME)
    await world.settle()


def _stripped(world: World) -> None:
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)


async def elsewhere(world: World) -> None:
    """The object goes while another installation works on the same LiveKit."""
    await world.crash()
    _stripped(world)
    world.installation = replace(world.installation, ids=("cluster-b",))
    await world.start()


async def unwatch(world: World) -> None:
    """`BYOC_NAMESPACES` names another namespace only."""
    await world.crash()
    _stripped(world)
    world.namespaces = ("other",)
    await world.start()


OBSERVE, MANAGE = edit(managementPolicy="Observe"), edit(managementPolicy="Manage")
RETAIN = edit(deletionPolicy="Retain")
PAUSE, FORCE = annotate(paused="true"), annotate(force_orphan="true")
INVALID = edit(terminationUri="not a host")

GOES: dict[str, tuple[Step, ...]] = {
    "Manage": (delete,),
    "paused": (PAUSE, delete),
    "InvalidSpec": (INVALID, delete),
    "Retain that is denied": (settings(retained_at_most=0), RETAIN, delete),
    "force-orphan, and LiveKit answers": (FORCE, delete),
    "Observe, then Manage again": (OBSERVE, MANAGE, delete),
    "Observe, gone, applied again with Manage": (OBSERVE, delete, again, wait(600), delete),
}
"""With the object."""

STAYS: dict[str, tuple[Step, ...]] = {
    "Retain": (RETAIN, delete),
    "Retain and paused": (RETAIN, PAUSE, delete),
    "Retain while paused": (PAUSE, RETAIN, delete),
    "Retain and InvalidSpec": (RETAIN, INVALID, delete),
    "Retain, denied later": (RETAIN, delete, settings(retained_at_most=0)),
    "Retain, its finalizer taken by hand": (RETAIN, strip),
    "Retain that LiveKit was not told of, force-orphan": (down, RETAIN, delete, FORCE, up),
    "Retain with a limit, force-orphan": (settings(retained_at_most=3), RETAIN, down, delete, FORCE, up),
    "Retain, then Observe with Delete": (RETAIN, edit(managementPolicy="Observe", deletionPolicy="Delete"), delete),
    "Observe": (OBSERVE, delete),
    "Observe and Retain": (edit(managementPolicy="Observe", deletionPolicy="Retain"), delete),
    "Observe and Retain that is denied": (settings(retained_at_most=0), RETAIN, OBSERVE, delete),
    "Observe and paused": (OBSERVE, PAUSE, delete),
    "Observe and InvalidSpec": (OBSERVE, INVALID, delete),
    "Observe in one edit with a wrong field": (edit(managementPolicy="Observe", terminationUri="no host"), delete),
    "Observe and force-orphan while LiveKit is away": (OBSERVE, FORCE, down, delete, up),
    "Observe, deleted while LiveKit is away": (down, OBSERVE, delete, up),
    "Observe, deleted while LiveKit was never seen": (OBSERVE, down, restart, delete, up),
    "Observe at once before a deletion": (away(_observes, _deletes),),
    "Observe, deleted while the operator is away": (OBSERVE, away(_deletes)),
    "Observe, its finalizer taken by hand": (OBSERVE, strip),
    "Observe, its finalizer taken before our eyes": (OBSERVE, strip_unseen),
    "Observe over a restart, its finalizer taken by hand": (OBSERVE, restart, wait(400), strip),
    "Observe, its status wiped": (OBSERVE, wipe, delete),
    "Observe, gone, observed again": (OBSERVE, delete, again, wait(5), OBSERVE, delete),
    "Observe under an older installation ID": (settings(ids=("cluster-b", "cluster-a")), OBSERVE, delete),
    "a namespace that is no longer watched": (unwatch,),
    "another installation's": (elsewhere,),
}
"""Whatever BYOC_ORPHANS says."""

ORPHANS: dict[str, tuple[Step, ...]] = {
    "a finalizer taken by hand": (strip,),
    "a finalizer taken by hand while paused": (PAUSE, strip),
    "force-orphan": (down, delete, FORCE, up),
    "Observe once, Manage again, its finalizer taken by hand": (OBSERVE, MANAGE, wait(400), strip),
    "Retain with a limit, its finalizer taken by hand": (settings(retained_at_most=3), RETAIN, strip),
}
"""Reported, and deleted with BYOC_ORPHANS=Delete."""


async def played(steps: tuple[Step, ...], *, deletes: bool) -> tuple[World, set[str]]:
    """The steps, then three sweeps before a restart and three after it; and the IDs that there were first."""
    world = World(deletes_orphans=deletes)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.start()
    await world.apply()
    assert world.ready() == SYNCED
    ids = set(world.ids())
    for step in steps:
        await step(world)
    assert not world.exists()
    for _ in range(3):
        await world.sweep()
    await world.restart()
    for _ in range(3):
        await world.sweep()
    return world, ids


def told_of_orphans(world: World) -> bool:
    return any(each.startswith("OrphansFound") for each in world.troubles)


def left(world: World) -> set[str]:
    return {each.id for each in world.livekit.objects()}


SETTING = pytest.mark.parametrize("deletes", [REPORT, DELETE], ids=["Report", "Delete"])


@SETTING
@pytest.mark.parametrize("steps", GOES.values(), ids=GOES)
@in_virtual_time
async def test_what_goes_with_the_object(steps: tuple[Step, ...], *, deletes: bool) -> None:
    world, _ = await played(steps, deletes=deletes)
    assert (left(world), told_of_orphans(world)) == (set(), False)


@SETTING
@pytest.mark.parametrize("steps", STAYS.values(), ids=STAYS)
@in_virtual_time
async def test_what_stays_and_is_offered_to_nobody(steps: tuple[Step, ...], *, deletes: bool) -> None:
    world, ids = await played(steps, deletes=deletes)
    assert (ids <= left(world), told_of_orphans(world)) == (True, False)


@SETTING
@pytest.mark.parametrize("steps", ORPHANS.values(), ids=ORPHANS)
@in_virtual_time
async def test_what_is_an_orphan(steps: tuple[Step, ...], *, deletes: bool) -> None:
    world, ids = await played(steps, deletes=deletes)
    assert (left(world), told_of_orphans(world)) == (set() if deletes else ids, True)


# What is remembered on the Lease


def remembered(world: World) -> str:
    lease = world.api.lease(SYSTEM, LEASE)
    return "" if lease is None else str(lease["metadata"].get("annotations", {}).get(LEFT_ALONE, ""))


@in_virtual_time
async def test_to_observe_costs_the_lease_once_and_livekit_nothing() -> None:
    world = await World.in_step()
    ids = set(world.ids())
    await OBSERVE(world)
    assert (world.api_writes(), world.livekit_writes()) == (["POST leases", STATUS_PATCH], [])
    assert set(remembered(world).split(",")) == ids
    world.forget_counts()
    await world.sweep()
    await world.restart()
    await world.sweep()
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == (["PATCH byocphonenumbers"], [])


@in_virtual_time
async def test_who_never_managed_has_nothing_remembered() -> None:
    world = await World.running()
    await world.apply(managementPolicy="Observe")
    await world.sweep()
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    assert (world.api.lease(SYSTEM, LEASE), world.livekit_writes()) == (None, [])


@in_virtual_time
async def test_what_is_managed_again_is_forgotten() -> None:
    world = await World.in_step()
    await OBSERVE(world)
    await MANAGE(world)
    await world.sweep()
    await world.sweep()
    assert remembered(world) == ""


@in_virtual_time
async def test_many_that_turn_to_observe_at_once_share_their_writes() -> None:
    world = await World.running()
    names = [f"n{count}" for count in range(40)]
    for count, name in enumerate(names):
        world.api.apply(manifest(name, phoneNumber=f"+155501000{count:02}"))
    await world.elapse(30)
    world.forget_counts()
    for name in names:
        world.api.edit(NAMESPACE, name, managementPolicy="Observe")
    await world.elapse(30)
    leases = [each for each in world.api_writes() if "leases" in each]
    assert len(left_alone(remembered(world))) == 120
    assert len(leases) <= 40
    world.api._objects["leases", SYSTEM, LEASE]["metadata"]["annotations"]["example.com/note"] = "kept"
    for name in names:
        world.api.delete(NAMESPACE, name)
    await world.sweep()
    assert world.api.numbers() == []
    lease = world.api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["metadata"]["annotations"]["example.com/note"] == "kept"


@in_virtual_time
async def test_what_observe_left_keeps_its_number_is_counted_and_can_be_released() -> None:
    world = await World.in_step()
    await OBSERVE(world)
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    await world.sweep()
    await world.sweep()
    assert (world.engine._orphanage.retained_count, world.engine._orphanage.count) == (1, 0)
    await world.apply("rival")
    assert world.ready("rival") == ("False", "NumberClaimed")
    assert "left on purpose (Observe" in world.message("rival")
    world.engine._asked_to_release(",".join(each.id for each in world.outbound() + world.inbound()))
    await world.elapse(30)
    assert world.ready("rival") == SYNCED


@in_virtual_time
async def test_a_lease_that_refuses_holds_no_deletion_and_deletes_no_orphan() -> None:
    world, _ = await played((strip,), deletes=REPORT)
    forbidden = ApiRefused("KubernetesRefused", "no right to get the Lease", status=403)
    await world.crash()
    world.deletes_orphans = True
    for _ in range(20):
        world.api.inject(Fail(forbidden), "GET", "leases")
    await world.start()
    for _ in range(4):
        await world.sweep()
    assert len(left(world)) == 3
    await world.apply()
    assert world.ready() == SYNCED
    await OBSERVE(world)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()


@in_virtual_time
async def test_while_the_lease_cannot_be_reached_a_deletion_waits_and_livekit_is_not_blamed() -> None:
    world = await World.in_step()
    away = Unavailable("KubernetesUnavailable", "the API server does not answer")
    for _ in range(3):
        world.api.inject(Fail(away), "GET", "leases")
    await OBSERVE(world)
    assert world.ready() == SYNCED
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.exists()
    await world.elapse(60)
    assert (world.exists(), len(left_alone(remembered(world)))) == (False, 3)
    for _ in range(3):
        await world.sweep()
    assert (world.engine.livekit.trouble, len(left(world)), told_of_orphans(world)) == (None, 3, False)


@in_virtual_time
async def test_a_sweep_does_not_fail_for_the_lease() -> None:
    world = await World.in_step()
    away = Unavailable("KubernetesUnavailable", "the API server does not answer")
    await OBSERVE(world)
    await world.crash()
    for _ in range(2):
        world.api.inject(Fail(away), "GET", "leases")
    await world.start()
    await world.elapse(30)
    assert world.engine.livekit.trouble is None
    assert world.troubles == []


@in_virtual_time
async def test_more_than_the_lease_can_hold_deletes_no_orphan_at_all() -> None:
    world = World(deletes_orphans=True)
    many = frozenset(f"ST_{count:012}" for count in range(MAX_LEFT_ALONE + 1))
    text = as_left_alone(many)
    assert (text.endswith(f",{MORE}"), len(text) < 2**17) == (True, True)
    assert as_left_alone(left_alone(text)) == text
    body = {"metadata": {"namespace": SYSTEM, "name": LEASE, "annotations": {LEFT_ALONE: text}}, "spec": {}}
    world.api._create("leases", body)
    mark = Mark(Owner("cluster-a", NAMESPACE, "gone")).dump()
    world.livekit.put(OutboundTrunk("left", mark, "sip.example.com", "TLS", ("+15550107777",), id="ST_out"))
    await world.start()
    for _ in range(4):
        await world.sweep()
    assert left(world) == {"ST_out"}
    assert (told_of_orphans(world), "are deleted" in world.told()) == (True, False)
    assert left_alone(remembered(world)) == {MORE}  # what LiveKit has no longer makes room


def test_noise_in_the_annotation_is_ignored() -> None:
    assert left_alone(" ST_a ,,more,nonsense,SDR_b,ST_" + "x" * 90) == {"ST_a", "SDR_b", "more"}
    assert left_alone(json.dumps(["ST_a"])) == frozenset()
