"""Several installation IDs: the first one marks, and all of them are recognised."""

from dataclasses import replace

import pytest

from adopting import LOSSY_IN, OPEN, SYNCED, untouched, world_with
from byoc_operator.core.ownership import Mark, Owner, owner_of
from byoc_operator.core.trunk import Kind
from operated import NAME, NAMESPACE, foreign
from virtual_time import in_virtual_time


@pytest.mark.parametrize("with_status", [True, False])
@in_virtual_time
async def test_marks_of_a_second_installation_id_are_ours_and_marked_anew_in_place(*, with_status: bool) -> None:
    world = await world_with(installation=replace(OPEN, ids=("cluster-old",)))
    await world.apply()
    before = world.ids()
    await world.crash()
    if not with_status:
        world.api.wipe_status(NAMESPACE, NAME)
    world.installation = OPEN
    world.forget_counts()
    await world.start()
    assert (world.ready(), world.ids()) == (SYNCED, before)
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-a/voice/main"}
    assert {method for method, _ in world.livekit_writes()} == {"replace"}
    world.forget_counts()
    await world.sweep()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_a_deletion_removes_what_carries_a_second_installation_id() -> None:
    world = await world_with(installation=replace(OPEN, ids=("cluster-old",)))
    await world.apply()
    await world.crash()
    world.installation = OPEN
    world.api.wipe_status(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.start()
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_duplicates_under_both_installation_ids_become_one() -> None:
    world = await world_with()
    await world.apply()
    kept = world.ids()
    (outbound,) = world.outbound()
    old = Mark(Owner("cluster-old", NAMESPACE, NAME)).dump()
    world.livekit.put(foreign(outbound, metadata=old))
    await world.sweep()
    assert [each.id for each in world.outbound()] == [kept[0]]
    assert world.livekit.count()["delete", Kind.OUTBOUND_TRUNK] == 1


@in_virtual_time
async def test_an_observer_is_shown_what_an_adoption_would_lose() -> None:
    world = await world_with(LOSSY_IN)
    await world.apply(annotations={"adopt": "ST_in"}, managementPolicy="Observe")
    assert world.ready() == ("False", "ChangesPending")
    assert "inboundTrunk.allowedNumbers" in world.status()["pendingChanges"]
    assert untouched(world, LOSSY_IN)
