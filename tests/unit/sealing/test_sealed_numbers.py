"""What numbers say and do with sealed and with plain credentials."""

from typing import Any

import pytest

from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import SecretRules
from byoc_operator.core.desired import Installation
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import LOOK_S
from operated import NAMESPACE, PASSWORD, USER, World
from sealing_world import seal, sealed_world
from virtual_time import in_virtual_time


def codes(world: World) -> list[str]:
    return [each["code"] for each in world.status().get("findings", ())]


@in_virtual_time
async def test_sealed_credentials_arrive_opened_and_leave_no_finding() -> None:
    world = await sealed_world()
    trunk = world.outbound()[0]
    assert (trunk.username, trunk.password) == (world.ports.mask(USER), world.ports.mask(PASSWORD))
    assert world.status()["credentials"]["sealed"] is True
    assert "CredentialsPlainText" not in codes(world)
    assert PASSWORD not in world.told()


@in_virtual_time
async def test_plain_credentials_work_and_give_a_finding() -> None:
    world = await World.in_step()
    assert world.status()["credentials"]["sealed"] is False
    assert "CredentialsPlainText" in codes(world)


@in_virtual_time
async def test_sealing_what_was_plain_changes_the_status_and_nothing_in_livekit() -> None:
    world = await World.in_step()
    seal(world)
    await world.elapse(5)
    assert (world.ready(), world.livekit_writes()) == (("True", "Synced"), [])
    assert world.status()["credentials"]["sealed"] is True
    assert "CredentialsPlainText" not in codes(world)


@in_virtual_time
async def test_where_sealing_is_required_plain_text_is_refused_until_it_is_sealed() -> None:
    strict = Installation(("cluster-a",), "livekit.example.com", secret_rules=SecretRules(sealed_only=True))
    world = await World.running(installation=strict)
    await world.apply()
    assert world.ready() == ("False", "PlainTextRefused")
    assert world.outbound() == []
    values = {"username": USER, "password": world.seal(PASSWORD)}
    world.api.put_secret(NAMESPACE, "sip", values)
    await world.elapse(5)
    assert "key `username`: the value is not sealed" in world.message()
    await world.apply(sipUsername=USER)  # then the Secret's own is not used
    assert world.ready() == ("True", "Synced")


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (lambda world: world.seal(PASSWORD, namespace="sales"), "SealedForAnotherUse", "another namespace"),
        (lambda world: world.seal(PASSWORD, Field.USERNAME), "SealedForAnotherUse", "as user name"),
        (lambda _: KeyRing.generate().seal(PASSWORD, NAMESPACE, Field.PASSWORD), "SealingKeyUnknown", "a key that"),
        (lambda world: world.seal(PASSWORD)[:-7], "SecretInvalid", "is cut"),
        (lambda world: world.seal(PASSWORD) + "\n", "SecretInvalid", "ends with a newline"),
        (lambda world: world.seal(PASSWORD + "\n"), "SecretInvalid", "ends with a newline"),
        (lambda world: world.seal("x" * 257), "SecretInvalid", "longer than 256 bytes"),
        (lambda world: world.seal(""), "SecretInvalid", "empty"),
    ],
)
@in_virtual_time
async def test_what_cannot_be_used_says_why_and_leaves_livekit_alone(spoil: Any, reason: str, words: str) -> None:
    world = await sealed_world()
    world.api.put_secret(NAMESPACE, "sip", {"username": world.seal(USER, Field.USERNAME), "password": spoil(world)})
    await world.elapse(LOOK_S * 2)
    assert world.ready() == ("False", reason)
    assert world.message().startswith("Secret voice/sip, key `password`: the")
    assert words in world.message()
    assert world.livekit_writes() == []
    assert PASSWORD not in world.told()
    seal(world)
    await world.elapse(LOOK_S * 2)
    assert (world.ready(), world.livekit_writes()) == (("True", "Synced"), [])
