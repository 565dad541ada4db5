"""Adoption: taking over LiveKit objects that existed before, or that a deleted object left, without losing a field."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from adopting import ALL, CLOSED, IN, LOSSY_IN, OUT, OWNERS, RULE, SYNCED, marked, untouched, world_with
from byoc_operator.core.ownership import Owner, owner_of
from byoc_operator.core.trunk import DispatchRule
from operated import NAME, NAMESPACE, PASSWORD, PHONE, manifest
from virtual_time import in_virtual_time


@in_virtual_time
async def test_objects_without_a_mark_are_taken_over_in_place() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-a/voice/main"}
    assert world.outbound()[0].address == "sip.example.com"
    assert Counter(method for method, _ in world.livekit_writes()) == {"replace": 3}
    assert world.livekit.stored_password("ST_out") == PASSWORD


@in_virtual_time
async def test_a_trunk_with_the_number_and_its_aliases_is_taken_over() -> None:
    world = await world_with(OUT, replace(IN, numbers=(PHONE, "100", "+200")), RULE)
    await world.apply(annotations={"adopt": ALL}, inbound={"aliases": ["100", "200"]})
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))
    assert world.inbound()[0].numbers == (PHONE, "100", "200")
    assert world.status()["aliases"] == ["+100", "+200"]


@in_virtual_time
@pytest.mark.parametrize(
    ("numbers", "why"),
    [((PHONE, "100", "300"), "carries other numbers too (+300)"), (("100",), "carries aliases only")],
)
async def test_a_trunk_with_more_than_the_aliases_or_without_the_number_is_not_taken_over(
    numbers: tuple[str, ...], why: str
) -> None:
    theirs = replace(IN, numbers=numbers)
    world = await world_with(OUT, theirs, RULE)
    await world.apply(annotations={"adopt": ALL}, inbound={"aliases": ["100", "200"]})
    assert world.ready()[0] == "False"
    assert why in world.message()
    assert untouched(world, theirs)


@in_virtual_time
async def test_what_was_taken_over_is_ours_and_nothing_is_done_twice() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    world.forget_counts()
    await world.sweep()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    world.api.annotate(NAMESPACE, NAME, adopt=None)
    await world.sweep()
    assert (world.livekit_writes(), world.ready()) == ([], SYNCED)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.livekit.objects() == []


@in_virtual_time
async def test_the_annotation_may_come_after_the_conflict() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply()
    assert world.ready() == ("False", "NumberConflict")
    assert "ST_in" in world.message()
    world.api.annotate(NAMESPACE, NAME, adopt="ST_in, SDR_rule")
    await world.settle()
    assert world.ready() == SYNCED
    assert world.ids()[1:] == ("ST_in", "SDR_rule")
    assert untouched(world, OUT)  # a foreign outbound trunk with our number does not matter


@in_virtual_time
async def test_where_adoption_is_not_allowed_nothing_is_taken_and_the_conflict_says_so() -> None:
    world = await world_with(OUT, IN, RULE, installation=CLOSED)
    await world.apply(annotations={"adopt": ALL})
    assert world.ready() == ("False", "NumberConflict")
    assert "BYOC_ADOPTION" in world.message()
    assert untouched(world, OUT, IN, RULE)


@in_virtual_time
async def test_a_conflict_of_who_asks_for_no_adoption_does_not_speak_of_it() -> None:
    world = await world_with(IN, installation=CLOSED)
    await world.apply()
    assert "BYOC_ADOPTION" not in world.message()


WRONG = {
    "a number more": (replace(OUT, numbers=(PHONE, "+15550100000")), replace(IN, numbers=(PHONE, "+15550100000"))),
    "another number": (replace(OUT, numbers=("+15550100000",)), replace(IN, numbers=("+15550100000",))),
    "no number": (replace(OUT, numbers=()), replace(IN, numbers=())),
}


@pytest.mark.parametrize("objects", WRONG.values(), ids=WRONG)
@in_virtual_time
async def test_trunks_whose_numbers_are_not_exactly_ours_are_never_taken(objects: tuple[Any, Any]) -> None:
    world = await world_with(*objects, RULE)
    await world.apply(annotations={"adopt": f"{ALL},force"})
    assert untouched(world, *objects, RULE)
    assert not {"ST_out", "ST_in", "SDR_rule"} & set(world.ids())


RULES = {
    "no trunk": (),
    "another trunk": ("ST_other",),
    "a trunk more": ("ST_in", "ST_other"),
}


@pytest.mark.parametrize("trunk_ids", RULES.values(), ids=RULES)
@in_virtual_time
async def test_a_rule_that_names_not_exactly_the_adopted_trunk_is_never_taken(trunk_ids: tuple[str, ...]) -> None:
    rule = replace(RULE, trunk_ids=trunk_ids)
    world = await world_with(IN, rule)
    await world.apply(annotations={"adopt": f"{ALL},force"})
    await world.sweep()
    assert untouched(world, rule)
    assert world.ids()[1] == "ST_in"
    assert world.ids()[2] != "SDR_rule"


@in_virtual_time
async def test_a_rule_alone_is_not_taken_without_its_trunk() -> None:
    world = await world_with(IN, RULE)
    await world.apply(annotations={"adopt": "SDR_rule"})
    assert world.ready() == ("False", "NumberConflict")
    assert untouched(world, IN, RULE)


@in_virtual_time
async def test_empty_parts_and_ids_that_are_named_twice_do_no_harm() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": " ,ST_out,, ST_in ,ST_in,SDR_rule, force,force,"})
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))


@pytest.mark.parametrize(("installation", "namespace", "name", "free"), OWNERS.values(), ids=OWNERS)
@in_virtual_time
async def test_marked_objects_are_taken_only_from_gone_objects_of_the_same_place(
    installation: str, namespace: str, name: str, *, free: bool
) -> None:
    objects = marked(Owner(installation, namespace, name))
    world = await world_with(*objects)
    living = manifest("living", phoneNumber="+15550100000", managementPolicy="Observe")
    world.api.apply(living)
    await world.apply(annotations={"adopt": ALL})
    if free:
        assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))
        assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-a/voice/main"}
        return
    assert untouched(world, *objects)
    ours = installation == "cluster-a" and name == "gone"  # the number stays reserved for the owner in the mark
    assert world.ready() == ("False", "NumberClaimed" if ours else "NumberConflict")


@in_virtual_time
async def test_what_would_be_lost_is_listed_and_waits_for_force() -> None:
    lossy_out = replace(OUT, from_host="voice.example.com", headers={"X-Tenant": "secret tenant"})
    world = await world_with(lossy_out, LOSSY_IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    assert world.ready()[0] == "False"
    assert untouched(world, lossy_out, LOSSY_IN, RULE)
    assert set(world.status()["pendingChanges"]) == {
        "outboundTrunk.fromHost",
        "outboundTrunk.headers",
        "inboundTrunk.allowedNumbers",
        "inboundTrunk.hidePhoneNumber",
    }
    assert "secret tenant" not in world.told()
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    world.api.annotate(NAMESPACE, NAME, adopt=f"{ALL},force")
    await world.settle()
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))
    assert "pendingChanges" not in world.status()


@in_virtual_time
async def test_what_the_spec_says_too_is_not_lost() -> None:
    world = await world_with(replace(IN, allowed_numbers=("+15550100000",)))
    await world.apply(annotations={"adopt": "ST_in"}, inbound={"allowedCallers": ["+15550109999"]})
    assert (world.ready(), world.ids()[1]) == (SYNCED, "ST_in")


@in_virtual_time
async def test_while_an_adoption_waits_the_reason_is_the_adoption() -> None:
    world = await world_with(LOSSY_IN)
    await world.apply(annotations={"adopt": "ST_in"})
    assert world.ready() == ("False", "ChangesPending")
    assert "force" in world.message()


@in_virtual_time
async def test_an_observer_shows_what_an_adoption_would_change_and_writes_nothing() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL}, managementPolicy="Observe")
    assert world.ready() == ("False", "ChangesPending")
    assert "inboundTrunk.metadata" in world.status()["pendingChanges"]
    assert "inboundTrunk" not in world.status()["pendingChanges"]
    assert untouched(world, OUT, IN, RULE)


@in_virtual_time
async def test_a_paused_number_takes_nothing_over() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL, "paused": "true"})
    assert untouched(world, OUT, IN, RULE)


@in_virtual_time
async def test_a_deletion_takes_nothing_over() -> None:
    world = await world_with()
    await world.apply()
    for each in (OUT, RULE):
        world.livekit.put(each)
    world.livekit.put(replace(IN, numbers=(PHONE,)))
    await world.sweep()
    world.api.annotate(NAMESPACE, NAME, paused="true", adopt=ALL)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert untouched(world, OUT, IN, RULE)
    assert len(world.livekit.objects()) == 3


@in_virtual_time
async def test_somebody_else_cannot_take_what_a_living_number_holds_by_its_status() -> None:
    """A LiveKit object without a mark is ours if its ID is in our status."""
    world = await world_with()
    await world.apply()
    for each in world.livekit.objects():
        if not isinstance(each, DispatchRule):
            world.livekit.edit(each.id, metadata="")
    ids = world.ids()
    await world.apply("thief", annotations={"adopt": ",".join(ids)})
    await world.sweep()
    assert (world.ready(), world.ids()) == (SYNCED, ids)
    assert world.ready("thief") == ("False", "NumberClaimed")
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-a/voice/main"}


@in_virtual_time
async def test_adopting_beside_our_own_trunk_removes_no_stranger_unasked() -> None:
    """A second outbound trunk is adopted as a duplicate: nothing that carries no mark is deleted."""
    world = await world_with(OUT)
    await world.apply()
    own = world.ids()
    world.api.annotate(NAMESPACE, NAME, adopt="ST_out")
    await world.settle()
    await world.sweep()
    assert world.ids() == own
    assert untouched(world, OUT)
