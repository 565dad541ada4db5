"""Work that has come to a stop is seen, and ends."""

import asyncio

from byoc_operator.core.trunk import Kind
from byoc_operator.engine.queue import Priority
from byoc_operator.livekit_sip.faults import Hang
from operated import NAME, NAMESPACE, World
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
