"""The end of the engine: runs under way end, and no further ones begin."""

import asyncio

import pytest

from byoc_operator.livekit_sip.faults import Hang
from operated import World, manifest
from virtual_time import in_virtual_time


@in_virtual_time
async def test_stop_gives_up_after_the_grace_period() -> None:
    world = await World.running()
    world.livekit.inject(Hang(asyncio.Event()), "create")
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    before = asyncio.get_running_loop().time()
    await world.engine.stop(20)
    assert asyncio.get_running_loop().time() == pytest.approx(before + 20)
    assert asyncio.all_tasks() == {asyncio.current_task()}
