"""What outlives an object in LiveKit: each cell of the table in docs/outlives.md, over three sweeps and a restart."""

from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.errors import Unavailable
from leaving import DELETE, MANAGE, OBSERVE, REPORT, Step, away, edit, left, played, strip, told_of_orphans
from operated import NAME, NAMESPACE, World
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")


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


async def strip_unseen(world: World) -> None:
    """The same while the operator runs."""
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
"""Goes with the object."""
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
