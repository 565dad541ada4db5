"""A world whose operator has sealing keys."""

from typing import Any

from byoc_operator.cluster.api import ApiRefused
from byoc_operator.core.credentials import Field
from operated import NAMESPACE, PASSWORD, SPEC, USER, World

FORBIDDEN = ApiRefused("KubernetesRefused", "GET secrets: 403", status=403)


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


def number(name: str, phone: str, ref: dict[str, str]) -> dict[str, Any]:
    spec = {**SPEC, "phoneNumber": phone, "sipPasswordSecretRef": ref}
    return {"metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}
