"""The same objects in another cluster with the same LiveKit: nothing is doubled, and the message tells how to move."""

from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.resource import Key
from byoc_operator.cluster.numbers import NumberApi
from byoc_operator.core.desired import Installation
from byoc_operator.core.ownership import owner_of
from operated import NAME, NAMESPACE, PASSWORD, USER, World, foreign
from virtual_time import in_virtual_time

SYNCED, CONFLICT = ("True", "Synced"), ("False", "NumberConflict")
NEW = Installation(("cluster-new",), "livekit.example.com", sip_uri="sip.example.org")
BOTH = replace(NEW, ids=("cluster-new", "cluster-a"))
DIALS_ONLY: dict[str, Any] = {"inboundAgentId": None}


async def moved(old: World, installation: Installation = NEW) -> World:
    """Another cluster, with the LiveKit of the old one, whose operator has been stopped."""
    await old.crash()
    new = World(livekit=old.livekit, installation=installation)
    new.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await new.start()
    new.forget_counts()
    return new


async def back_in(old: World, installation: Installation) -> None:
    """The operator of the old cluster is started again."""
    old.installation = installation
    await old.start()


@pytest.mark.parametrize("spec", [{}, DIALS_ONLY], ids=["in and out", "out only"])
@in_virtual_time
async def test_nothing_is_doubled_in_a_new_cluster_and_the_setting_is_told(spec: dict[str, Any]) -> None:
    old = await World.in_step(**spec)
    before = old.livekit.objects()
    new = await moved(old)
    await new.apply(**spec)
    assert new.ready() == CONFLICT
    assert "BYOC_INSTALLATION_ID=cluster-new,cluster-a" in new.message()
    assert "elete it" not in new.message()
    assert all(each in new.message() for each in old.ids()[:2])
    await new.sweep()
    assert (new.livekit_writes(), new.livekit.objects()) == ([], before)
    ids = old.ids()
    await new.crash()
    new.installation = BOTH
    await new.start()
    assert (new.ready(), new.ids()) == (SYNCED, ids)
    assert {str(owner_of(each)) for each in new.livekit.objects()} == {"cluster-new/voice/main"}
    assert len(new.livekit.objects()) == len(before)
    assert {method for method, _ in new.livekit_writes()} == {"replace"}
    await new.crash()
    new.installation = NEW  # the old installation ID is not needed any more
    await new.start()
    assert (new.ready(), new.ids()) == (SYNCED, ids)


@in_virtual_time
async def test_a_restored_status_changes_nothing_of_that() -> None:
    """A backup may contain the statuses, with the IDs of the trunks."""
    old = await World.in_step()
    stored = old.raw()
    new = await moved(old)
    new.api.apply(stored)
    await new.settle()
    number = new.ports.cache.get(Key(NAMESPACE, NAME))
    assert number is not None
    await NumberApi(new.api, ()).patch_status(number, stored["status"])
    await new.restart()
    assert (new.ready(), new.ids(), new.livekit_writes()) == (CONFLICT, ("", "", ""), [])


@in_virtual_time
async def test_the_old_cluster_fights_for_nothing_and_deletes_nothing_after_the_move() -> None:
    old = await World.in_step()
    new = await moved(old, BOTH)
    await new.apply()
    after = new.livekit.objects()
    await new.crash()
    await back_in(old, old.installation)
    await old.sweep()
    assert (old.ready(), old.ids()) == (CONFLICT, ("", "", ""))
    assert "BYOC_INSTALLATION_ID=cluster-a,cluster-new" in old.message()
    old.api.delete(NAMESPACE, NAME)
    await old.settle()
    assert (old.exists(), old.livekit.objects()) == (False, after)


@in_virtual_time
async def test_going_back_takes_the_same_trunks() -> None:
    old = await World.in_step()
    ids = old.ids()
    new = await moved(old, BOTH)
    await new.apply()
    await new.crash()
    await back_in(old, replace(old.installation, ids=("cluster-a", "cluster-new")))
    assert (old.ready(), old.ids(), len(old.livekit.objects())) == (SYNCED, ids, 3)


@in_virtual_time
async def test_an_observer_in_the_new_cluster_is_told_too() -> None:
    new = await moved(await World.in_step(**DIALS_ONLY))
    await new.apply(**DIALS_ONLY, managementPolicy="Observe")
    assert (new.ready(), new.livekit_writes()) == (CONFLICT, [])


@in_virtual_time
async def test_outbound_trunks_that_both_have_already_go_on_with_a_finding() -> None:
    world = await World.in_step(**DIALS_ONLY)
    own = world.ids()
    (outbound,) = world.outbound()
    mark = outbound.metadata.replace("cluster-a/", "cluster-z/")
    theirs = world.livekit.put(foreign(outbound, metadata=mark))
    await world.sweep()
    assert (world.ready(), world.ids()) == (SYNCED, own)
    (finding,) = [each for each in world.status()["findings"] if each["code"] == "OtherInstallation"]
    assert f"(cluster-z: {theirs})" in finding["message"]
    world.livekit.drop(own[0])  # somebody deletes our trunk: it is not created again beside the foreign one
    await world.sweep()
    assert (world.ready(), [each.id for each in world.outbound()]) == (CONFLICT, [theirs])


@pytest.mark.parametrize("name", ["renamed", NAME])
@in_virtual_time
async def test_the_id_of_another_installation_is_shown_only_for_the_same_object(name: str) -> None:
    new = await moved(await World.in_step())
    await new.apply(name)
    assert new.ready(name) == CONFLICT
    assert ("cluster-a" in new.told()) == (name == NAME)
    assert "mark of" in new.message(name)


@in_virtual_time
async def test_with_the_old_id_listed_a_renamed_object_is_told_who_has_the_trunks_and_adopts_them() -> None:
    old = await World.in_step()
    ids = old.ids()
    new = await moved(old, replace(BOTH, adoption_allowed=True))
    await new.apply("renamed")
    assert new.ready("renamed") == ("False", "NumberClaimed")
    new.api.annotate(NAMESPACE, "renamed", adopt=",".join(ids))
    await new.elapse(5)
    assert (new.ready("renamed"), new.ids("renamed"), len(new.livekit.objects())) == (SYNCED, ids, 3)
