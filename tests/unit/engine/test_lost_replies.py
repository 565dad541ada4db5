"""Requests to LiveKit and the API server whose reply is lost or late."""

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.faults import ApplyLate
from operated import (
    FINALIZER_PATCH,
    NAME,
    NAMESPACE,
    PASSWORD,
    USER,
    World,
    foreign,
    manifest,
)
from virtual_time import in_virtual_time

API_DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")


@in_virtual_time
async def test_a_create_that_is_applied_late_is_removed_as_a_duplicate() -> None:
    world = await World.running()
    world.livekit.inject(ApplyLate(), "create", Kind.OUTBOUND_TRUNK)
    await world.apply()
    await world.elapse(20)
    kept = world.ids()[0]
    theirs = world.livekit.put(foreign(world.outbound()[0], metadata="", name="theirs"))
    world.livekit.apply_late()
    assert len(world.outbound()) == 3
    await world.elapse(60)  # not only at the next sweep
    assert {each.id for each in world.outbound()} == {kept, theirs}
    assert world.ids()[0] == kept


@in_virtual_time
async def test_a_finalizer_patch_that_fails_its_test_is_done_again_on_the_new_version() -> None:
    world = await World.running()
    world.api.watch_numbers.clear()
    world.api.apply(manifest())
    raw = world.raw()
    world.api.annotate(NAMESPACE, NAME, refresh="somebody was quicker")
    world.engine.intake.number_event("ADDED", raw)
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert world.api_writes().count(FINALIZER_PATCH) == 2


@in_virtual_time
async def test_an_object_deleted_while_it_was_judged_gets_nothing_made() -> None:
    world = await World.running()
    world.api.watch_numbers.clear()
    world.api.apply(manifest())
    raw = world.raw()
    world.api.delete(NAMESPACE, NAME)
    world.engine.intake.number_event("ADDED", raw)
    await world.settle()
    assert world.livekit.objects() == []


@pytest.mark.parametrize("resource", ["byocphonenumbers", "byocphonenumbers/status", "secrets"])
@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
@in_virtual_time
async def test_an_api_server_that_fails_once_is_asked_again(resource: str, *, applied: bool) -> None:
    world = await World.running()
    await world.elapse(2)
    world.api.inject(Fail(API_DOWN, applied=applied), None, resource)
    await world.apply()
    await world.elapse(40)
    assert world.ready() == ("True", "Synced")
    assert len(world.livekit.objects()) == 3


@in_virtual_time
async def test_the_lists_at_the_start_are_tried_until_they_work() -> None:
    world = World()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    world.api.apply(manifest())
    for _ in range(3):
        world.api.inject(Fail(API_DOWN), "GET")
    await world.start()
    assert world.ready() == ("True", "Synced")
