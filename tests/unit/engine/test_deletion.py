"""Every kind of deletion: with LiveKit up or down, and with LiveKit objects that stay, are gone or appear late."""

import asyncio

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Refuse
from byoc_operator.core.ownership import parse_mark
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.faults import ApplyLate
from operated import (
    NAME,
    NAMESPACE,
    STATUS_PATCH,
    World,
    manifest,
)
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")


@in_virtual_time
async def test_retain_marks_and_lets_go() -> None:
    world = await World.in_step(deletionPolicy="Delete")
    # The spec at the time of the deletion counts, even if it was never applied to LiveKit.
    world.livekit.always = DOWN
    world.api.edit(NAMESPACE, NAME, deletionPolicy="Retain")
    await world.settle()
    world.livekit.always = None
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(20)
    assert not world.exists()
    assert len(world.livekit.objects()) == 3
    marks = [parse_mark(metadata) for metadata in (world.inbound()[0].metadata, world.outbound()[0].metadata)]
    assert [mark and mark.deletion_policy for mark in marks] == ["Retain", "Retain"]


@in_virtual_time
async def test_an_observer_leaves_while_livekit_is_down() -> None:
    world = await World.in_step()
    world.api.edit(NAMESPACE, NAME, managementPolicy="Observe")
    await world.settle()
    world.livekit.always = DOWN
    world.forget_counts()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert world.livekit_writes() == []


@in_virtual_time
async def test_objects_that_are_gone_already_do_not_hold_a_deletion() -> None:
    world = await World.in_step()
    for each in world.livekit.objects():
        world.livekit.drop(each.id)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()


@in_virtual_time
async def test_objects_are_found_by_their_mark_where_no_id_was_recorded() -> None:
    world = await World.in_step()
    await world.crash()
    world.api.wipe_status(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.start()
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_a_deletion_waits_for_livekit_and_then_acts() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(100)
    assert world.exists()
    assert world.ready() == ("False", "LiveKitUnavailable")
    assert world.conditions()["Reconciling"] == ("True", "Deleting")
    assert world.api_writes() == [STATUS_PATCH]
    world.livekit.always = None
    await world.elapse(700)
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_force_orphan_lets_go_after_a_failure_and_names_what_stays() -> None:
    world = await World.in_step()
    ids = world.ids()
    world.livekit.always = DOWN
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.exists()
    world.api.annotate(NAMESPACE, NAME, force_orphan="true")
    await world.settle()
    assert not world.exists()
    (event,) = [event for event in world.api.events if event["reason"] == "Orphaned"]
    assert [each for each in ids if each not in event["note"]] == []


@in_virtual_time
async def test_force_orphan_without_a_failure_deletes_as_always() -> None:
    world = await World.in_step()
    world.api.annotate(NAMESPACE, NAME, force_orphan="true")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.livekit.objects(), world.event_reasons()) == (False, [], [])


@in_virtual_time
async def test_a_deletion_needs_no_secret() -> None:
    world = await World.in_step()
    world.api.delete_secret(NAMESPACE, "sip")
    await world.settle()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_a_status_or_event_that_cannot_be_written_does_not_hold_a_deletion() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    forbidden = Refuse(403, "the namespace is being terminated")
    world.api.inject(forbidden, "PATCH", "byocphonenumbers/status")
    world.api.inject(forbidden, "POST", "events")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    world.api.annotate(NAMESPACE, NAME, force_orphan="true")
    await world.settle()
    assert not world.exists()


@in_virtual_time
async def test_a_deletion_soon_after_a_lost_create_waits_until_it_cannot_come_any_more() -> None:
    world = await World.running()
    world.livekit.inject(ApplyLate(), "create", Kind.OUTBOUND_TRUNK)
    world.api.apply(manifest())
    await asyncio.sleep(0.05)
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(50)
    assert world.exists()
    world.livekit.apply_late()
    await world.elapse(20)
    assert (world.exists(), world.livekit.objects()) == (False, [])
