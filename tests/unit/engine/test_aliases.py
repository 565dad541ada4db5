"""Aliases: other spellings on the inbound trunk, claimed like numbers, and nothing else is lost with one of them."""

from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import InboundTrunk, OutboundTrunk
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from operated import NAME, NAMESPACE, PASSWORD, PHONE, USER, World, manifest
from two_claims import CLAIMANT, ELSEWHERE, RESERVED_S, TwoClaims, of
from virtual_time import in_virtual_time

OTHER = "+15550100002"
SYNCED, UNAVAILABLE = ("True", "Synced"), ("False", "AliasUnavailable")


def inbound(*aliases: str) -> dict[str, Any]:
    return {"aliases": list(aliases)}


def numbers(world: World, phone: str = PHONE) -> tuple[str, ...]:
    """What LiveKit's inbound trunk of a number has."""
    (trunk,) = (each for each in world.livekit.objects() if isinstance(each, InboundTrunk) and phone in each.numbers)
    return trunk.numbers


def other(*aliases: str, name: str = "other", namespace: str = NAMESPACE, **changes: Any) -> dict[str, Any]:
    """An object with another number and these aliases."""
    return of(namespace, manifest(name, **{"phoneNumber": OTHER, "inbound": inbound(*aliases), **changes}))


def told(world: World, name: str = NAME, namespace: str = NAMESPACE) -> tuple[str, str, str]:
    """Status, reason and message of Ready."""
    raw = world.api.number(namespace, name)
    assert raw is not None
    (ready,) = (each for each in raw["status"]["conditions"] if each["type"] == "Ready")
    return ready["status"], str(ready["reason"]), ready["message"]


def kept(world: World, name: str = NAME, namespace: str = NAMESPACE) -> list[str]:
    """The aliases in the status."""
    raw = world.api.number(namespace, name)
    assert raw is not None
    return list(raw["status"].get("aliases", ()))


async def both(mine: dict[str, Any], theirs: dict[str, Any]) -> TwoClaims:
    """A world with two objects, the first of which was there first."""
    world = await TwoClaims.begun()
    world.api.apply(mine)
    await world.settle()
    world.api.apply(theirs)
    await world.settle()
    return world


@in_virtual_time
async def test_aliases_stand_beside_the_number_on_the_inbound_trunk_only() -> None:
    world = await World.in_step(inbound=inbound("02079460123", "+100"))
    assert numbers(world) == (PHONE, "02079460123", "+100")
    assert [each.numbers for each in world.livekit.objects() if each.kind == "outboundTrunk"] == [(PHONE,)]
    assert kept(world) == ["+02079460123", "+100"]


@in_virtual_time
async def test_an_alias_that_is_added_or_taken_out_replaces_the_trunk_in_place() -> None:
    world = await World.in_step()
    before = world.status()["inboundTrunkId"]
    for aliases in (("100",), ("100", "200"), ("200",), ()):
        world.api.edit(NAMESPACE, NAME, inbound=inbound(*aliases))
        await world.settle()
        assert numbers(world) == (PHONE, *aliases)
        assert kept(world) == [f"+{each}" for each in aliases]
    assert world.status()["inboundTrunkId"] == before


@in_virtual_time
async def test_an_alias_that_is_lost_in_livekit_is_drift() -> None:
    world = await World.in_step(inbound=inbound("100"))
    world.livekit.edit(world.inbound()[0].id, numbers=(PHONE, "999"))
    await world.sweep()
    assert numbers(world) == (PHONE, "100")
    assert kept(world) == ["+100"]


@in_virtual_time
@pytest.mark.parametrize("spelling", ["100", "+100"])
async def test_the_second_object_gets_all_but_the_alias(spelling: str) -> None:
    world = await both(manifest(inbound=inbound("100")), other(spelling, "200"))
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE, "100"), (OTHER, "200"))
    assert told(world)[:2] == SYNCED
    status, reason, message = told(world, "other")
    assert (status, reason) == UNAVAILABLE
    assert f"{spelling} is held by ByocPhoneNumber main as an alias" in message
    assert kept(world, "other") == ["+200"]


@in_virtual_time
async def test_a_message_names_no_object_of_another_namespace() -> None:
    world = await both(manifest(inbound=inbound("100")), other("100", name=CLAIMANT, namespace=ELSEWHERE))
    message = told(world, CLAIMANT, ELSEWHERE)[2]
    assert "100 is held by an object in another namespace" in message
    assert NAME not in message.split("100", 1)[1].replace("aliases", "")


@in_virtual_time
async def test_an_alias_that_is_the_number_of_another_object_takes_no_calls_from_it() -> None:
    world = await both(manifest(), other(PHONE.removeprefix("+"), name=CLAIMANT, namespace=ELSEWHERE))
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE,), (OTHER,))
    assert "is held by an object in another namespace as its number" in told(world, CLAIMANT, ELSEWHERE)[2]
    assert told(world)[:2] == SYNCED


@in_virtual_time
async def test_a_number_that_another_object_has_as_an_alias_is_claimed() -> None:
    world = await both(other(PHONE), manifest())
    status, reason, message = told(world)
    assert (status, reason) == ("False", "NumberClaimed")
    assert "is held by ByocPhoneNumber other as an alias" in message
    assert numbers(world) == (OTHER, PHONE)
    world.api.edit(NAMESPACE, "other", inbound=inbound())
    await world.settle()
    assert told(world)[:2] == SYNCED
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE,), (OTHER,))


@in_virtual_time
async def test_objects_that_name_each_others_number_as_an_alias_keep_their_own() -> None:
    world = await TwoClaims.begun()
    world.api.apply(manifest(inbound=inbound(OTHER)))
    world.api.apply(other(PHONE))
    await world.settle()
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE,), (OTHER,))
    assert told(world)[:2] == told(world, "other")[:2] == UNAVAILABLE


@in_virtual_time
async def test_objects_of_one_moment_never_share_an_alias() -> None:
    world = await TwoClaims.begun()
    phones = [f"+1555010{index:04}" for index in range(12)]
    for index, phone in enumerate(phones):
        world.api.apply(other("100", name=f"n{index}", phoneNumber=phone))
    await world.settle()
    having = [each for each in world.livekit.objects() if isinstance(each, InboundTrunk) and "100" in each.numbers]
    assert len(having) == 1
    assert sorted(told(world, f"n{index}")[1] for index in range(12)) == ["AliasUnavailable"] * 11 + ["Synced"]


@in_virtual_time
async def test_an_alias_that_is_taken_out_goes_to_the_next_object_of_the_namespace_at_once() -> None:
    world = await both(manifest(inbound=inbound("100")), other("100"))
    world.api.edit(NAMESPACE, NAME, inbound=inbound())
    await world.settle()
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE,), (OTHER, "100"))
    assert told(world, "other")[:2] == SYNCED


@in_virtual_time
@pytest.mark.parametrize("let_go", ["taken out", "deleted"])
async def test_an_alias_stays_reserved_for_the_namespace_that_had_it(let_go: str) -> None:
    world = await both(manifest(inbound=inbound("100")), other("100", name=CLAIMANT, namespace=ELSEWHERE))
    if let_go == "deleted":
        world.api.delete(NAMESPACE, NAME)
    else:
        world.api.edit(NAMESPACE, NAME, inbound=inbound())
    await world.elapse(RESERVED_S - 5)
    assert "is reserved for a while" in told(world, CLAIMANT, ELSEWHERE)[2]
    assert numbers(world, OTHER) == (OTHER,)
    await world.elapse(10)
    assert numbers(world, OTHER) == (OTHER, "100")
    assert told(world, CLAIMANT, ELSEWHERE)[:2] == SYNCED


@in_virtual_time
@pytest.mark.parametrize("lost", ["nothing", "all"])
async def test_a_restart_changes_no_holder_even_if_livekit_lost_all(lost: str) -> None:
    world = await both(manifest(inbound=inbound("100")), other("100", name=CLAIMANT, namespace=ELSEWHERE))
    await world.crash()
    if lost == "all":
        for each in world.livekit.objects():
            world.livekit.drop(each.id)
    await world.start()
    assert (numbers(world), numbers(world, OTHER)) == ((PHONE, "100"), (OTHER,))
    assert told(world, CLAIMANT, ELSEWHERE)[:2] == UNAVAILABLE


@in_virtual_time
async def test_what_seemed_free_before_livekit_was_read_is_given_to_nobody() -> None:
    world = World(livekit=FakeLiveKit(always=Unavailable(Reason.LIVEKIT_UNAVAILABLE, "down"), seed=1))
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    left = Mark(Owner("cluster-a", ELSEWHERE, CLAIMANT), deletion_policy="Retain").dump()
    world.livekit.put(OutboundTrunk("left", left, "sip.example.com", "TLS", (OTHER,)))
    world.api.apply(manifest(inbound=inbound(OTHER)))
    await world.start()
    assert not world.ports.inventory.loaded
    world.livekit.always = None
    await world.elapse(2 * RESERVED_S)
    assert numbers(world) == (PHONE,)
    assert told(world)[:2] == UNAVAILABLE
    assert "that is gone, kept by deletionPolicy Retain" in told(world)[2]


@in_virtual_time
async def test_a_foreign_trunk_with_an_alias_keeps_it_and_the_number_works() -> None:
    world = await World.running()
    theirs = world.livekit.put(InboundTrunk("theirs", "", ("100",)))
    await world.apply(inbound=inbound("100", "200"))
    await world.elapse(2)
    assert numbers(world) == (PHONE, "200")
    status, reason, message = told(world)
    assert (status, reason) == UNAVAILABLE
    assert f"100 is on {theirs} in LiveKit, which this object does not manage" in message
    world.livekit.drop(theirs)
    await world.sweep()
    assert told(world)[:2] == SYNCED
    assert numbers(world) == (PHONE, "100", "200")


@in_virtual_time
async def test_an_alias_stays_where_a_foreign_trunk_got_it_later() -> None:
    world = await World.in_step(inbound=inbound("100"))
    world.livekit.put(InboundTrunk("theirs", "", ("+100",)))
    await world.sweep()
    assert numbers(world) == (PHONE, "100")
    assert told(world)[:2] == UNAVAILABLE


@in_virtual_time
async def test_a_refresh_is_carried_out_although_an_alias_is_not_available() -> None:
    world = await both(manifest(inbound=inbound("100")), other("100"))
    world.forget_counts()
    world.api.annotate(NAMESPACE, "other", refresh="1")
    await world.settle()
    assert len(world.livekit_writes()) == 3
    assert world.status("other")["lastHandledRefresh"] == "1"


@in_virtual_time
async def test_an_unavailable_alias_costs_no_write_at_a_sweep() -> None:
    world = await both(manifest(inbound=inbound("100")), other("100"))
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_an_object_without_its_own_number_claims_no_alias() -> None:
    world = await both(manifest(), manifest("twin", inbound=inbound("100")))
    assert told(world, "twin")[1] == "NumberClaimed"
    world.api.apply(other("100"))
    await world.settle()
    assert told(world, "other")[:2] == SYNCED


@in_virtual_time
async def test_an_object_that_takes_no_calls_claims_no_alias() -> None:
    world = await both(manifest(inbound=inbound("100"), inboundAgentId=None), other("100"))
    assert told(world, "other")[:2] == SYNCED
    assert numbers(world, OTHER) == (OTHER, "100")


@in_virtual_time
async def test_an_observed_object_is_told_of_the_holder_and_claims_nothing() -> None:
    world = await both(manifest(inbound=inbound("100"), managementPolicy="Observe"), other("100"))
    assert told(world, "other")[:2] == SYNCED
    assert numbers(world, OTHER) == (OTHER, "100")


@in_virtual_time
async def test_a_retained_trunk_keeps_its_aliases_for_its_object() -> None:
    world = await both(manifest(inbound=inbound("100"), deletionPolicy="Retain"), other("100"))
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(2 * RESERVED_S)
    assert "is on trunks of ByocPhoneNumber main that is gone, kept by deletionPolicy Retain" in told(world, "other")[2]
    assert numbers(world, OTHER) == (OTHER,)


@in_virtual_time
async def test_an_unmarked_trunk_with_number_and_aliases_is_ours_by_its_id_in_the_status() -> None:
    world = await World.in_step(inbound=inbound("100"))
    before = world.status()["inboundTrunkId"]
    world.livekit.edit(world.inbound()[0].id, metadata="")
    await world.sweep()
    (trunk,) = (each for each in world.livekit.objects() if isinstance(each, InboundTrunk))
    assert (trunk.id, trunk.numbers) == (before, (PHONE, "100"))
    assert trunk.metadata == Mark(Owner("cluster-a", NAMESPACE, NAME)).dump()


@in_virtual_time
async def test_a_new_object_of_the_name_takes_no_retained_trunk_that_has_its_number_as_an_alias() -> None:
    world = await World.in_step(inbound=inbound(OTHER), deletionPolicy="Retain")
    retained = world.status()["inboundTrunkId"]
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply(phoneNumber=OTHER)
    await world.elapse(2)
    assert numbers(world) == (PHONE, OTHER)
    status, reason, message = told(world)
    assert (status, reason) == ("False", "NumberConflict")
    assert f"{retained} is of a former ByocPhoneNumber {NAME}, which had the number as an alias" in message
    world.livekit.drop(retained)
    await world.sweep()
    assert told(world)[:2] == SYNCED


@in_virtual_time
async def test_a_trunk_that_is_written_loses_the_alias_that_a_foreign_trunk_got_later() -> None:
    world = await World.in_step(inbound=inbound("100", "200"))
    world.livekit.put(InboundTrunk("theirs", "", ("+100",)))
    await world.sweep()
    assert numbers(world) == (PHONE, "100", "200")
    world.api.edit(NAMESPACE, NAME, inbound=inbound("100", "300"))
    await world.settle()
    assert numbers(world) == (PHONE, "300")
    assert told(world)[:2] == UNAVAILABLE


@in_virtual_time
async def test_a_refresh_succeeds_although_a_foreign_trunk_got_an_alias_later() -> None:
    world = await World.in_step(inbound=inbound("100"))
    world.livekit.put(InboundTrunk("theirs", "", ("+100",)))
    await world.sweep()
    world.api.annotate(NAMESPACE, NAME, refresh="1")
    await world.settle()
    assert (numbers(world), world.status()["lastHandledRefresh"]) == ((PHONE,), "1")
    assert told(world)[:2] == UNAVAILABLE


@in_virtual_time
async def test_a_retained_number_with_aliases_is_reported_as_one_number() -> None:
    world = await World.in_step(inbound=inbound("100", "200"), deletionPolicy="Retain")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.sweep()
    await world.sweep()
    assert world.engine.orphans.retained_count == 1
