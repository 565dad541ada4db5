"""A number whose callers must prove credentials of their own uses two Secrets; each is read, watched and told alone."""

from typing import Any

from byoc_operator.core.trunk import Kind
from operated import NAMESPACE, PASSWORD, USER, World
from virtual_time import in_virtual_time

CALLING = {"username": "caller", "password": "calling-password"}
OWN: dict[str, Any] = {"authentication": "Digest", "credentialsSecretRef": {"name": "calls"}}


async def _in_step() -> World:
    world = World()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    world.api.put_secret(NAMESPACE, "calls", CALLING)
    await world.start()
    await world.apply(terminationUri="sip.example.com", inbound=OWN)
    assert world.ready() == ("True", "Synced")
    world.forget_counts()
    return world


def _passwords(world: World) -> tuple[str | None, str | None]:
    """The passwords of the outbound and of the inbound trunk."""
    outbound, inbound = world.outbound()[0].id, world.inbound()[0].id
    return world.livekit.stored_password(outbound), world.livekit.stored_password(inbound)


@in_virtual_time
async def test_callers_are_asked_for_the_credentials_of_their_own_secret() -> None:
    world = await _in_step()
    assert _passwords(world) == (PASSWORD, CALLING["password"])
    status = world.status()
    assert status["credentials"]["secretName"] == "sip"
    others = [(each["reference"], each["secretName"]) for each in status["otherCredentials"]]
    assert others == [("inbound.credentialsSecretRef", "calls")]


@in_virtual_time
async def test_a_new_password_of_the_second_secret_takes_effect_at_once_on_its_trunk_alone() -> None:
    world = await _in_step()
    world.api.put_secret(NAMESPACE, "calls", {**CALLING, "password": "a-new-one"})
    await world.settle()
    assert world.livekit_writes() == [("replace", Kind.INBOUND_TRUNK)]
    assert _passwords(world) == (PASSWORD, "a-new-one")


@in_virtual_time
async def test_an_unusable_second_secret_holds_back_the_inbound_trunk_alone() -> None:
    world = await _in_step()
    world.api.put_secret(NAMESPACE, "calls", {"username": "caller"})
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "rotated"})
    await world.settle()
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK)]
    assert world.ready() == ("False", "SecretKeyMissing")
    assert "voice/calls has no key `password`" in world.message()
    assert "inbound.credentialsSecretRef.key" in world.message()


@in_virtual_time
async def test_a_second_secret_that_is_taken_out_of_the_spec_is_forgotten() -> None:
    world = await _in_step()
    await world.apply(terminationUri="sip.example.com", inbound={"authentication": "Digest"})
    assert _passwords(world) == (PASSWORD, PASSWORD)
    assert "otherCredentials" not in world.status()


@in_virtual_time
async def test_callers_prove_credentials_where_the_carrier_asks_for_none() -> None:
    world = await _in_step()
    await world.apply(terminationUri="sip.example.com", inbound=OWN, sipPasswordSecretRef=None)
    assert _passwords(world)[1] == CALLING["password"]
    assert "credentials" not in world.status()
    assert world.conditions()["CredentialsResolved"] == ("True", "Synced")
