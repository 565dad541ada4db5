"""Numbers on sealed credentials, in the `World` of `operated`."""

from typing import Any

from byoc_operator.core.credentials import Field
from operated import NAMESPACE, PASSWORD, USER, World


async def sealed_world(**parts: Any) -> World:
    """One number in step on sealed credentials."""
    world = World(**parts)
    seal(world)
    await world.start()
    await world.apply()
    assert world.ready() == ("True", "Synced")
    await world.elapse(5)
    world.forget_counts()
    return world


def seal(world: World, password: str = PASSWORD) -> None:
    values = {"username": world.seal(USER, Field.USERNAME), "password": world.seal(password)}
    world.api.put_secret(NAMESPACE, "sip", values)
