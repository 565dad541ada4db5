"""Bugs in the operator: each is logged, and does not stop the runs of other numbers."""

import asyncio
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import Kind, OutboundTrunk
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.faults import Hang, Refuse
from operated import World, manifest
from virtual_time import in_virtual_time

UNAUTHORIZED = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key", server_wide=True)


@in_virtual_time
async def test_a_bug_in_one_number_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.running()
    secret = "the text of an exception may hold what it was handed"
    world.livekit.inject(Refuse(_bug(secret)), "create")
    await world.apply()
    assert world.ready() == ("", "")
    await world.apply("other", phoneNumber="+15550100000")
    assert world.ready("other") == ("True", "Synced")
    await world.elapse(5)
    assert world.ready() == ("True", "Synced")
    assert "TypeError" in caplog.text
    assert secret not in caplog.text
    assert not world.engine.tasks.died.done()


def _bug(text: str) -> Any:
    return TypeError(text)


@in_virtual_time
async def test_a_task_of_our_own_that_dies_is_noticed() -> None:
    world = await World.running()
    world.livekit.inject(Refuse(UNAUTHORIZED), "list")
    world.livekit.inject(Refuse(_bug("broken")), "probe")
    await world.sweep()
    assert isinstance(world.engine.tasks.died.result(), TypeError)


@in_virtual_time
@pytest.mark.parametrize("name", ["leader", "sweeper", "worker 0"])
async def test_a_task_of_our_own_that_is_cancelled_is_noticed(name: str) -> None:
    world = await World.running()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert str(world.engine.tasks.died.result()) == f"{name} ended"


@in_virtual_time
async def test_a_bug_in_reading_livekits_lists_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.running()
    secret = "the text of an exception may hold what it was handed"
    for _ in range(3):
        world.livekit.inject(Refuse(_bug(secret)), "list")
    await world.sweep()
    assert "LiveKit's lists cannot be taken in (TypeError)" in caplog.text
    assert secret not in caplog.text
    await world.apply()
    assert world.ready() == ("True", "Synced")
    assert not world.engine.tasks.died.done()


class Deaf(World):
    """The function that posts Events about the installation raises."""

    def _hear(self, reason: str, note: str) -> None:
        raise TypeError(reason + note)


@in_virtual_time
async def test_a_bug_in_the_search_for_orphans_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = await Deaf.running()
    mark = Mark(Owner("cluster-a", "voice", "gone")).dump()
    world.livekit.put(OutboundTrunk("stray", mark, "sip.example.com", "TLS", ("+15550100009",)))
    for _ in range(4):
        await world.sweep()
    assert caplog.text.count("a bug: TypeError while looking at orphans") == 1
    await world.apply()
    assert world.ready() == ("True", "Synced")
    assert not world.engine.tasks.died.done()


@in_virtual_time
async def test_stop_finishes_what_is_under_way_and_takes_nothing_more_in() -> None:
    world, released = await World.running(), asyncio.Event()
    world.livekit.inject(Hang(released), "create", Kind.DISPATCH_RULE)
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(world.engine.stop(20))
    await asyncio.sleep(1)
    assert not stopping.done()
    world.api.apply(manifest("while stopping", phoneNumber="+15550100001"))
    await asyncio.sleep(1)
    released.set()
    await stopping
    assert world.ready("while stopping") == ("", "")
    assert world.ready() == ("True", "Synced")
    world.forget_counts()
    world.api.apply(manifest("late", phoneNumber="+15550100000"))
    await asyncio.sleep(100)
    assert (world.api_writes(), world.livekit.calls) == ([], [])
    assert not world.engine.tasks.died.done()
