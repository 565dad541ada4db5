"""LiveKit objects of a deleted Observe object: their IDs are on the Lease."""

import json

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import RETAINED_IDS
from byoc_operator.cluster.fake import Fail, Refuse
from byoc_operator.core.orphans import MAX_RETAINED_IDS, MORE, retained_ids, retained_ids_text
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Unavailable
from leaving import MANAGE, OBSERVE, REPORT, SYNCED, left, played, strip, told_of_orphans
from operated import LEASE, NAME, NAMESPACE, STATUS_PATCH, SYSTEM, World, manifest
from virtual_time import in_virtual_time


def remembered(world: World) -> str:
    lease = world.api.lease(SYSTEM, LEASE)
    return "" if lease is None else str(lease["metadata"].get("annotations", {}).get(RETAINED_IDS, ""))


@in_virtual_time
async def test_to_observe_costs_the_lease_once_and_livekit_nothing() -> None:
    world = await World.in_step()
    ids = set(world.ids())
    await OBSERVE(world)
    assert (world.api_writes(), world.livekit_writes()) == (["POST leases", STATUS_PATCH], [])
    assert set(remembered(world).split(",")) == ids
    world.forget_counts()
    await world.sweep()
    await world.restart()
    await world.sweep()
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == (["PATCH byocphonenumbers"], [])


@in_virtual_time
async def test_who_never_managed_has_nothing_remembered() -> None:
    world = await World.running()
    await world.apply(managementPolicy="Observe")
    await world.sweep()
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    assert (world.api.lease(SYSTEM, LEASE), world.livekit_writes()) == (None, [])


@in_virtual_time
async def test_what_is_managed_again_is_forgotten() -> None:
    world = await World.in_step()
    await OBSERVE(world)
    await MANAGE(world)
    await world.sweep()
    await world.sweep()
    assert remembered(world) == ""


@in_virtual_time
async def test_many_that_turn_to_observe_at_once_share_their_writes() -> None:
    world = await World.running()
    names = [f"n{count}" for count in range(40)]
    for count, name in enumerate(names):
        world.api.apply(manifest(name, phoneNumber=f"+155501000{count:02}"))
    await world.elapse(30)
    world.forget_counts()
    for name in names:
        world.api.edit(NAMESPACE, name, managementPolicy="Observe")
    await world.elapse(30)
    leases = [each for each in world.api_writes() if "leases" in each]
    assert len(retained_ids(remembered(world))) == 120
    assert len(leases) <= 40
    world.api._objects["leases", SYSTEM, LEASE]["metadata"]["annotations"]["example.com/note"] = "kept"
    for name in names:
        world.api.delete(NAMESPACE, name)
    await world.sweep()
    assert world.api.numbers() == []
    lease = world.api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["metadata"]["annotations"]["example.com/note"] == "kept"


@in_virtual_time
async def test_what_observe_left_keeps_its_number_is_counted_and_can_be_released() -> None:
    world = await World.in_step()
    await OBSERVE(world)
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    await world.sweep()
    await world.sweep()
    assert (world.engine.orphans.retained_count, world.engine.orphans.count) == (1, 0)
    await world.apply("claimant")
    assert world.ready("claimant") == ("False", "NumberClaimed")
    assert "left on purpose (Observe" in world.message("claimant")
    world.engine.releases.asked(",".join(each.id for each in world.outbound() + world.inbound()))
    await world.elapse(30)
    assert world.ready("claimant") == SYNCED


@in_virtual_time
async def test_a_lease_that_refuses_holds_no_deletion_and_deletes_no_orphan() -> None:
    world, _ = await played((strip,), deletes=REPORT)
    await world.crash()
    world.deletes_orphans = True
    for _ in range(20):
        world.api.inject(Refuse(403, "no right to get the Lease"), "GET", "leases")
    await world.start()
    for _ in range(4):
        await world.sweep()
    assert len(left(world)) == 3
    await world.apply()
    assert world.ready() == SYNCED
    await OBSERVE(world)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()


@in_virtual_time
async def test_while_the_lease_cannot_be_reached_a_deletion_waits_and_livekit_is_not_blamed() -> None:
    world = await World.in_step()
    away = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
    for _ in range(3):
        world.api.inject(Fail(away), "GET", "leases")
    await OBSERVE(world)
    assert world.ready() == SYNCED
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.exists()
    await world.elapse(60)
    assert (world.exists(), len(retained_ids(remembered(world)))) == (False, 3)
    for _ in range(3):
        await world.sweep()
    assert (world.engine.livekit.trouble, len(left(world)), told_of_orphans(world)) == (None, 3, False)


@in_virtual_time
async def test_a_sweep_does_not_fail_for_the_lease() -> None:
    world = await World.in_step()
    away = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
    await OBSERVE(world)
    await world.crash()
    for _ in range(2):
        world.api.inject(Fail(away), "GET", "leases")
    await world.start()
    await world.elapse(30)
    assert world.engine.livekit.trouble is None
    assert world.troubles == []


@in_virtual_time
async def test_more_than_the_lease_can_hold_deletes_no_orphan_at_all() -> None:
    world = World(deletes_orphans=True)
    many = frozenset(f"ST_{count:012}" for count in range(MAX_RETAINED_IDS + 1))
    text = retained_ids_text(many)
    assert (text.endswith(f",{MORE}"), len(text) < 2**17) == (True, True)
    assert retained_ids_text(retained_ids(text)) == text
    body = {"metadata": {"namespace": SYSTEM, "name": LEASE, "annotations": {RETAINED_IDS: text}}, "spec": {}}
    world.api._create("leases", body)
    mark = Mark(Owner("cluster-a", NAMESPACE, "gone")).dump()
    world.livekit.put(OutboundTrunk("left", mark, "sip.example.com", "TLS", ("+15550107777",), id="ST_out"))
    await world.start()
    for _ in range(4):
        await world.sweep()
    assert left(world) == {"ST_out"}
    assert (told_of_orphans(world), "are deleted" in world.told()) == (True, False)
    assert retained_ids(remembered(world)) == {MORE}  # what LiveKit has no longer makes room


def test_noise_in_the_annotation_is_ignored() -> None:
    assert retained_ids(" ST_a ,,more,nonsense,SDR_b,ST_" + "x" * 90) == {"ST_a", "SDR_b", "more"}
    assert retained_ids(json.dumps(["ST_a"])) == frozenset()
