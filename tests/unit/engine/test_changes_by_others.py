"""Changes by others: to our objects in the cluster, and by other installations in LiveKit."""

from dataclasses import replace

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.faults import Refuse
from operated import (
    CREATES,
    FINALIZER_PATCH,
    NAME,
    NAMESPACE,
    PHONE,
    STATUS_PATCH,
    World,
)
from virtual_time import in_virtual_time


@in_virtual_time
async def test_a_wiped_status_is_written_again_without_touching_livekit() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.wipe_status(NAMESPACE, NAME)
    await world.settle()
    assert (world.ids(), world.api_writes(), world.livekit_writes()) == (before, [STATUS_PATCH], [])


@in_virtual_time
async def test_a_stripped_finalizer_comes_back() -> None:
    world = await World.in_step()
    world.api.strip_finalizer(NAMESPACE, NAME)
    await world.settle()
    assert world.raw()["metadata"]["finalizers"] == ["byoc.talkifai.dev/finalizer"]
    assert (world.api_writes(), world.livekit_writes()) == ([FINALIZER_PATCH], [])


@in_virtual_time
async def test_an_object_that_comes_back_with_another_uid_is_served() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply(friendlyName="Second life")
    assert world.ready() == ("True", "Synced")
    assert world.outbound()[0].name == "Second life"


@in_virtual_time
async def test_a_second_installation_id_is_marked_anew_in_place() -> None:
    world = await World.in_step()
    before = world.ids()
    await world.crash()
    world.installation = replace(world.installation, ids=("cluster-b", "cluster-a"))
    await world.start()
    assert world.ids() == before
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-b/voice/main"}


@in_virtual_time
async def test_numbers_of_two_installations_do_not_touch_each_other() -> None:
    world = await World.in_step()
    await world.crash()
    before = world.livekit.objects()
    world.installation = replace(world.installation, ids=("cluster-b",))
    world.api.wipe_status(NAMESPACE, NAME)
    await world.start()
    assert world.ready() == ("False", "NumberConflict")
    assert [each for each in world.livekit.objects() if each in before] == before
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.livekit.objects() == before
    assert PHONE in world.inbound()[0].numbers


@in_virtual_time
async def test_what_livekit_refuses_stalls_with_its_words() -> None:
    world = await World.running()
    refusal = Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: no such country")
    world.livekit.inject(Refuse(refusal), "create", Kind.OUTBOUND_TRUNK)
    await world.apply()
    assert world.ready() == ("False", "RejectedByLiveKit")
    assert world.message() == refusal.message
    assert [kind for _, kind in world.livekit_writes()] == [kind for _, kind in CREATES]
    await world.sweep()
    assert world.ready() == ("True", "Synced")
