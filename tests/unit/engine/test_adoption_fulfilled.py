"""An `adopt` annotation that stays in Git after the adoption."""

import pytest

from adopting import ALL, IN, OUT, RULE, SYNCED, world_with
from operated import NAME, NAMESPACE
from virtual_time import in_virtual_time


@pytest.mark.parametrize("lost", [("ST_out",), ("ST_in", "SDR_rule"), ("ST_out", "ST_in", "SDR_rule")], ids=str)
@in_virtual_time
async def test_a_wish_that_was_fulfilled_asks_for_nothing_once_its_ids_are_gone(lost: tuple[str, ...]) -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    assert world.status()["lastHandledAdopt"] == ALL
    for _ in range(2):  # LiveKit loses the new objects, too
        for each in world.livekit.objects():
            if each.id in lost or each.id not in ALL:
                world.livekit.drop(each.id)
        await world.sweep()
        assert world.ready() == SYNCED
        assert len(world.livekit.objects()) == 3
    assert "AdoptedIdAbsent" not in world.told()
    assert world.api.numbers()[0]["status"]["lastHandledAdopt"] == ALL


@in_virtual_time
async def test_a_recreation_does_not_bring_a_fulfilled_wish_back() -> None:
    world = await world_with(OUT)
    await world.apply(annotations={"adopt": "ST_out"}, inboundAgentId=None)
    world.api.annotate(NAMESPACE, NAME, recreate="1")
    await world.settle()
    assert (world.ready(), "ST_out" in world.ids()) == (SYNCED, False)
    world.api.edit(NAMESPACE, NAME, inboundAgentId="agent")  # an object that it needs for the first time is created
    await world.settle()
    assert (world.ready(), len(world.livekit.objects())) == (SYNCED, 3)


@in_virtual_time
async def test_without_the_memory_in_the_status_ids_that_are_gone_give_a_finding_only() -> None:
    """After an upgrade, or a restore without statuses, the number has all LiveKit objects that it needs."""
    world = await world_with()
    await world.apply()
    own = world.ids()
    world.api.annotate(NAMESPACE, NAME, adopt=ALL)
    await world.settle()
    assert (world.ready(), world.ids()) == (SYNCED, own)
    (finding,) = [each for each in world.status()["findings"] if each["code"] == "AdoptedIdAbsent"]
    assert "(ST_out, ST_in, SDR_rule)" in finding["message"]
    world.livekit.drop(own[0])
    world.livekit.drop(own[2])
    await world.sweep()
    assert (world.ready(), len(world.livekit.objects())) == (SYNCED, 3)


@in_virtual_time
async def test_an_object_made_anew_with_a_wish_of_gone_ids_makes_nothing_and_says_so() -> None:
    world = await world_with()
    await world.apply(annotations={"adopt": ALL})
    assert world.ready() == ("False", "AdoptionRefused")
    assert world.livekit.objects() == []
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
