"""Runs that hang, wait long or are refused: they are reported, tried again, and delay no other number."""

import asyncio

import pytest

from byoc_operator.core.trunk import Kind
from byoc_operator.engine.priority import Priority
from byoc_operator.livekit_sip.faults import Hang, LoseReply
from operated import NAME, NAMESPACE, World, manifest
from virtual_time import in_virtual_time


@in_virtual_time
async def test_a_run_that_hangs_is_told_ended_and_tried_again() -> None:
    world = await World.in_step()
    world.livekit.inject(Hang(asyncio.Event()), "replace", Kind.OUTBOUND_TRUNK)
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await asyncio.sleep(60)
    assert world.engine.problems() == []
    await asyncio.sleep(100)
    assert world.engine.problems() == ["a run has taken more than 120 s"]
    await asyncio.sleep(400)
    await world.settle()
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    assert world.engine.problems() == []


@in_virtual_time
async def test_a_queue_that_ages_is_told() -> None:
    world = await World.in_step()
    for task in asyncio.all_tasks():
        if task.get_name().startswith("worker"):
            task.cancel()
    await asyncio.sleep(0)
    world.engine.queue.clock = asyncio.get_running_loop().time
    world.engine.queue.add("+15550100000", Priority.USER)
    await asyncio.sleep(500)
    assert world.engine.problems() == []
    await asyncio.sleep(200)
    assert world.engine.problems() == ["a number has waited for more than 600 s for its run"]


@in_virtual_time
async def test_a_thousand_copies_of_a_number_do_not_keep_its_holder_waiting() -> None:
    world = await World.in_step()
    for count in range(300):
        world.api.apply(manifest(f"copy-{count}"))
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await asyncio.sleep(0.5)
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    await world.elapse(60)
    assert {world.ready(f"copy-{count}") for count in range(300)} == {("False", "NumberClaimed")}
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_an_old_mark_for_another_number_claims_nothing() -> None:
    world = await World.running()
    await world.apply("evil", phoneNumber="+15550100000", deletionPolicy="Retain")
    world.api.delete(NAMESPACE, "evil")
    await world.settle()
    await world.apply("victim", sipPasswordSecretRef={"name": "not-yet", "key": "password"}, inboundAgentId=None)
    await world.elapse(2)
    await world.apply("evil")
    assert world.ready("evil") == ("False", "NumberClaimed")
    assert world.ready("victim") == ("False", "SecretNotFound")


@pytest.mark.parametrize("kind", Kind)
@in_virtual_time
async def test_a_create_with_a_lost_reply_is_found_again_by_its_mark(kind: Kind) -> None:
    world = await World.running()
    world.livekit.inject(LoseReply(), "create", kind)
    await world.apply()
    await world.elapse(5)
    assert world.ready() == ("True", "Synced")
    assert world.livekit.count()["create", kind] == 1
    assert len(world.livekit.objects()) == 3
