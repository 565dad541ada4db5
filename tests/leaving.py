"""Steps in which an object is deleted, and the LiveKit objects that then stay."""

from collections.abc import Awaitable, Callable
from typing import Any

from operated import NAME, NAMESPACE, PASSWORD, USER, World

SYNCED = ("True", "Synced")
REPORT, DELETE = False, True
Step = Callable[[World], Awaitable[None]]


def edit(**fields: Any) -> Step:
    async def step(world: World) -> None:
        world.api.edit(NAMESPACE, NAME, **fields)
        await world.settle()

    return step


async def strip(world: World) -> None:
    """Somebody takes our finalizer away, faster than we can put it back, and the object."""
    world.deafen()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.restart()


def away(*edits: Callable[[World], object]) -> Step:
    """Done while no operator runs."""

    async def step(world: World) -> None:
        await world.crash()
        for each in edits:
            each(world)
        await world.start()

    return step


OBSERVE, MANAGE = edit(managementPolicy="Observe"), edit(managementPolicy="Manage")


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
