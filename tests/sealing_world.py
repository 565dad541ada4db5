"""A world whose operator has sealing keys."""

from typing import Any

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.answers import Forbidden
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import keys_in
from operated import NAMESPACE, PASSWORD, SPEC, SYSTEM, USER, World

FORBIDDEN = Forbidden(Reason.KUBERNETES_REFUSED, "GET secrets: 403")


class Sealed:
    """A cluster in which `name` is sealed; empty: nothing is."""

    def __init__(self, name: str) -> None:
        self._name = name

    def known(self) -> str:
        """What is sealed."""
        return self._name

    async def found(self) -> str:
        """What is sealed."""
        return self._name


def stored(api: FakeApi) -> KeyRing | None:
    """The sealing keys in the cluster."""
    raw = api._objects.get(("secrets", SYSTEM, KEYS_SECRET))
    return None if raw is None else keys_in(raw)


async def sealed_world(**parts: Any) -> World:
    """A world with one `ByocPhoneNumber` in step, whose credentials are sealed."""
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
