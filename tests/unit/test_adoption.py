"""Taking over LiveKit objects that were there before, or that a gone object left: only what may be, losing nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.core.desired import Installation
from byoc_operator.core.ownership import Mark, Owner, owner_of, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from operated import NAME, NAMESPACE, PASSWORD, PHONE, World, foreign, manifest
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
OPEN = Installation(
    ("cluster-a", "cluster-old"), "livekit.example.com", sip_uri="sip.example.org", adoption_allowed=True
)
CLOSED = replace(OPEN, adoption_allowed=False)
OUT = OutboundTrunk("by hand", "{}", "sip.example.net", "TLS", (PHONE,), media_encryption="Required", id="ST_out")
IN = InboundTrunk("by hand", "", (PHONE,), media_encryption="Required", id="ST_in")
RULE = DispatchRule("by hand", ("ST_in",), "call-", "agent", "{}", id="SDR_rule")
ALL = "ST_out,ST_in,SDR_rule"


def marked(owner: Owner) -> tuple[OutboundTrunk, InboundTrunk, DispatchRule]:
    mark = Mark(owner).dump()
    return replace(OUT, metadata=mark), replace(IN, metadata=mark), replace(RULE, name=rule_name(owner))


async def world_with(*objects: Any, installation: Installation = OPEN) -> World:
    """Somebody's objects, and an operator that has seen them."""
    world = World(installation=installation)
    for each in objects:
        world.livekit.put(each)
    world.api.put_secret(NAMESPACE, "sip", {"username": "trunk-user", "password": PASSWORD})
    await world.start()
    world.forget_counts()
    return world


def untouched(world: World, *objects: Any) -> bool:
    stored = {each.id: each for each in world.livekit.objects()}
    return all(stored.get(each.id) == each for each in objects)


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
    assert untouched(world, OUT)  # an outbound trunk of somebody else with our number is none of our business


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
async def test_unknown_ids_and_noise_in_the_annotation_do_no_harm() -> None:
    world = await world_with(OUT, IN)
    await world.apply(annotations={"adopt": " ,ST_nowhere,, ST_in ,ST_in,SDR_gone,💥"})
    assert world.ready() == SYNCED
    assert world.ids()[1] == "ST_in"
    assert untouched(world, OUT)


OWNERS = {
    "a gone object of this namespace": ("cluster-a", NAMESPACE, "gone", True),
    "a gone object under an older installation id": ("cluster-old", NAMESPACE, "gone", True),
    "another namespace": ("cluster-a", "other", "gone", False),
    "another installation": ("cluster-z", NAMESPACE, "gone", False),
    "a living object": ("cluster-a", NAMESPACE, "living", False),
}


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
    ours = installation == "cluster-a" and name == "gone"  # the number is kept for whom the mark names
    assert world.ready() == ("False", "NumberClaimed" if ours else "NumberConflict")


LOSSY_IN = replace(IN, allowed_numbers=("+15550100000",), extra=("hidePhoneNumber",))


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
    """Ours is also: the ID in our status, with nobody's mark."""
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


# Several installation ids


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
async def test_twins_under_both_installation_ids_become_one() -> None:
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
