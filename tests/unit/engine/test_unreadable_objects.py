"""Objects that cannot be read: reported once, counted, never taken for deleted, without effect on others."""

import logging
from dataclasses import replace

import pytest

from byoc_operator.api.names import PLURAL
from byoc_operator.cluster.reading import Unreadable
from byoc_operator.engine.unreadable_objects import REMEMBERED, UnreadableObjects
from operated import NAME, NAMESPACE, PASSWORD, USER, World
from virtual_time import in_virtual_time

MAIN = (PLURAL, NAMESPACE, NAME)
SECRET = ("secrets", NAMESPACE, "sip")


def counted(world: World, resource: str) -> float | None:
    return world.ports.metrics.registry.get_sample_value("byoc_unreadable_objects", {"resource": resource})


async def list_again(world: World) -> None:
    world.engine.intake.numbers_listed()
    world.engine.intake.secrets_listed()
    await world.elapse(1)


@in_virtual_time
async def test_it_is_told_once_a_version_and_counted_until_it_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.in_step()
    world.api.garbled.add(MAIN)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await list_again(world)
    assert [record.getMessage() for record in caplog.records] == [
        f"passed over an object of {PLURAL} {NAMESPACE}/{NAME}: it is garbled"
    ]
    assert world.event_reasons() == ["Unreadable"]
    assert counted(world, PLURAL) == 1
    world.api.garbled.clear()
    await list_again(world)
    assert counted(world, PLURAL) == 0


@in_virtual_time
async def test_a_known_number_that_becomes_unreadable_keeps_what_it_has() -> None:
    world = await World.in_step()
    world.api.garbled.add(MAIN)
    await list_again(world)
    await world.sweep()
    assert world.ports.cache.get(next(iter(world.ports.cache.all())).key) is not None
    assert (world.livekit_writes(), len(world.outbound())) == ([], 1)


@in_virtual_time
async def test_what_belongs_to_an_unreadable_number_is_no_orphan() -> None:
    world = await World.in_step()
    world.deletes_orphans = True
    world.api.garbled.add(MAIN)
    await world.restart()
    for _ in range(3):
        await world.sweep()
    assert (world.livekit_writes(), len(world.outbound())) == ([], 1)
    world.api.garbled.clear()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await list_again(world)
    for _ in range(3):
        await world.sweep()
    assert world.outbound() == []


@in_virtual_time
async def test_all_others_are_served_at_a_start_and_later() -> None:
    world = await World.in_step()
    world.api.garbled.update((MAIN, SECRET))
    await world.restart()
    world.api.put_secret(NAMESPACE, "other", {"username": USER, "password": PASSWORD})
    await world.apply("other", phoneNumber="+15550100001", sipPasswordSecretRef={"name": "other"})
    assert world.ready("other") == ("True", "Synced")
    assert counted(world, "secrets") == 1


@in_virtual_time
async def test_a_number_with_an_unreadable_secret_says_so_and_keeps_its_trunk() -> None:
    world = await World.running()
    world.api.put_secret(NAMESPACE, "quiet", {"username": USER, "password": PASSWORD}, watched=False)
    await world.apply(sipPasswordSecretRef={"name": "quiet"})
    world.api.garbled.add(("secrets", NAMESPACE, "quiet"))
    await world.sweep()
    await world.restart()
    assert world.ready() == ("False", "SecretInvalid")
    assert "cannot be read" in world.message()
    assert len(world.outbound()) == 1


@in_virtual_time
async def test_a_holder_that_cannot_be_read_keeps_its_number() -> None:
    world = await World.in_step()
    world.api.garbled.add(MAIN)
    await world.apply("claimant")
    assert world.ready("claimant") == ("False", "NumberClaimed")


@in_virtual_time
async def test_after_a_restart_too_and_who_waits_is_told_what_is_in_the_way() -> None:
    world = await World.in_step()
    trunk = world.ids()[0]
    world.api.garbled.add(MAIN)
    await world.restart()
    await world.apply("claimant")
    assert world.ready("claimant") == ("False", "NumberClaimed")
    assert f"of ByocPhoneNumber {NAME} that the operator cannot read" in world.message("claimant")
    assert trunk in world.message("claimant")
    assert not {"gone", "release"} & set(world.message("claimant").split())


@in_virtual_time
async def test_a_deletion_ends_although_the_object_cannot_be_read() -> None:
    world = await World.in_step()
    world.api.garbled.add(MAIN)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert world.outbound() == []


@in_virtual_time
async def test_an_object_without_a_name_may_be_any() -> None:
    world = await World.running()
    unread = world.ports.unreadable
    nameless = Unreadable("it is garbled", PLURAL)
    unread.told(nameless)
    assert unread.hides(PLURAL, "a", "b")
    assert not unread.hides("secrets", "a", "b")
    unread.listing(PLURAL)
    unread.told(replace(nameless, namespace="a"))
    unread.listed(PLURAL)
    assert [unread.hides(PLURAL, namespace, "b") for namespace in ("a", "c")] == [True, False]


@in_virtual_time
async def test_what_is_remembered_of_unreadable_objects_has_a_bound() -> None:
    world = await World.running()
    unread = UnreadableObjects(world.ports.events, lambda *_: None)
    for index in range(2 * REMEMBERED):
        unread.told(Unreadable("it is garbled", "secrets", "n", str(index)))
    assert len(unread._known) == REMEMBERED + 1, "one stands for the rest"
    assert unread.hides("secrets", "n", str(2 * REMEMBERED - 1)), "it is there all the same"
    assert not unread.hides(PLURAL, "n", "0")
    unread.listing("secrets")
    unread.told(Unreadable("it is garbled", "secrets", "n", "7"))
    unread.listed("secrets")
    assert [unread.hides("secrets", "n", str(index)) for index in (7, 8, 1999)] == [True, False, False]
