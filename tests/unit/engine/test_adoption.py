"""Taking over LiveKit objects that were there before, or that a gone object left: only what may be, losing nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.desired import Installation
from byoc_operator.core.ownership import Mark, Owner, owner_of, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.errors import Unavailable
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
async def test_empty_parts_and_ids_that_are_named_twice_do_no_harm() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": " ,ST_out,, ST_in ,ST_in,SDR_rule, force,force,"})
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))


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


# What cannot be taken over


OTHER = "+15550100000"
MANY = ",".join(f"ST_x{index}" for index in range(16))
STRANGE = replace(OUT, numbers=(OTHER, "+15550100001", "+15550100002", "+15550100003"))
DIALS_ONLY: dict[str, Any] = {"inboundAgentId": None}
REFUSED: dict[str, tuple[tuple[Any, ...], str, dict[str, Any], tuple[str, ...]]] = {
    "a typing error": ((OUT,), "ST_oot", DIALS_ONLY, ("ST_oot is not in LiveKit", "no outbound trunk")),
    "a rule that is not there": ((OUT, IN), "ST_out,ST_in,SDR_nil", {}, ("SDR_nil is not", "makes no dispatch rule ")),
    "another separator": ((OUT,), "ST_out;ST_in", {}, ("ST_out;ST_in is no LiveKit ID", "commas", "no inbound trunk")),
    "blanks between": ((OUT,), "ST_out ST_in", {}, ("ST_out ST_in is no LiveKit ID",)),
    "true": ((OUT,), "true", {}, ("true is no LiveKit ID",)),
    "a long text": ((OUT,), "ST_" + "x" * 100_000, {}, ("sha256:", "is no LiveKit ID")),
    "too many": ((OUT,), f"{MANY},ST_out", {}, ("ST_out is one more than the 16", "ST_x0 is not in LiveKit")),
    "a number more": ((replace(OUT, numbers=(PHONE, OTHER)),), "ST_out", {}, ("ST_out carries other numbers", OTHER)),
    "other numbers": ((STRANGE,), "ST_out", {}, ("ST_out carries another number", "+15550100002 and 1 more")),
    "no number": ((replace(OUT, numbers=()),), "ST_out", {}, ("ST_out carries no number",)),
    "two of a kind": (
        (OUT, replace(OUT, id="ST_out2")),
        "ST_out,ST_out2",
        DIALS_ONLY,
        ("ST_out2 is not needed",),
    ),
    "a rule without trunk": ((replace(RULE, trunk_ids=()),), "SDR_rule", {}, ("SDR_rule names no trunk",)),
    "a rule of two": (
        (IN, replace(RULE, trunk_ids=("ST_in", "ST_o"))),
        "ST_in,SDR_rule",
        {},
        ("names several trunks",),
    ),
    "a rule of another": (
        (replace(RULE, trunk_ids=("ST_o",)),),
        "SDR_rule",
        {},
        ("SDR_rule names a trunk that is not",),
    ),
    "calls nobody takes": ((OUT, IN), "ST_out,ST_in", DIALS_ONLY, ("ST_in takes calls in", "inboundAgentId")),
}


@pytest.mark.parametrize(("objects", "wish", "spec", "told"), REFUSED.values(), ids=REFUSED)
@in_virtual_time
async def test_what_cannot_be_taken_over_is_told_with_the_reason_and_nothing_is_made_beside_it(
    objects: tuple[Any, ...], wish: str, spec: dict[str, Any], told: tuple[str, ...]
) -> None:
    world = await world_with(*objects)
    await world.apply(annotations={"adopt": wish}, **spec)
    assert world.ready() == ("False", "AdoptionRefused")
    assert world.conditions()["Stalled"] == ("True", "AdoptionRefused")
    for each in told:
        assert each in world.message()
    assert not [call for call in world.livekit_writes() if call[0] in ("create", "delete")]
    assert len(world.livekit.objects()) == len(objects)
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    world.api.annotate(NAMESPACE, NAME, adopt=None)
    await world.elapse(5)
    assert world.ready()[1] != "AdoptionRefused"


@pytest.mark.parametrize(("installation", "namespace", "name", "free"), OWNERS.values(), ids=OWNERS)
@in_virtual_time
async def test_whose_mark_keeps_an_outbound_trunk_from_being_taken_is_told_within_the_namespace(
    installation: str, namespace: str, name: str, *, free: bool
) -> None:
    trunk = replace(marked(Owner(installation, namespace, name))[0], numbers=(OTHER,))  # nobody's claim is in the way
    world = await world_with(trunk)
    await world.apply("living", phoneNumber="+15550100009", managementPolicy="Observe")
    await world.apply(annotations={"adopt": "ST_out"}, inboundAgentId=None)
    assert world.ready() == ("False", "AdoptionRefused")
    why = {
        "other": "belongs to an object in another namespace",
        "cluster-z": "carries the mark of another installation",
        "living": "belongs to ByocPhoneNumber living",
    }
    assert next((why[key] for key in (namespace, installation, name) if key in why), OTHER) in world.message()
    assert ("cluster-z" in world.message(), "gone" in world.message()) == (False, False)
    assert free == (OTHER in world.message())


@in_virtual_time
async def test_without_the_right_to_adopt_the_wish_is_refused_and_nothing_told_of_what_it_names() -> None:
    world = await world_with(replace(OUT, numbers=(OTHER,)), installation=CLOSED)
    await world.apply(annotations={"adopt": "ST_out"}, inboundAgentId=None)
    assert world.ready() == ("False", "AdoptionRefused")
    assert "BYOC_ADOPTION" in world.message()
    assert OTHER not in world.told()
    assert len(world.livekit.objects()) == 1


@in_virtual_time
async def test_a_kind_that_the_object_has_is_not_taken_and_what_it_has_is_kept_in_step() -> None:
    world = await world_with(OUT)
    await world.apply()
    own = world.ids()
    world.api.annotate(NAMESPACE, NAME, adopt="ST_out")
    await world.settle()
    assert world.ready() == ("False", "AdoptionRefused")
    assert "ST_out is not needed: the object has another outbound trunk" in world.message()
    world.livekit.edit(own[1], allowed_numbers=("+15550109999",))
    world.livekit.drop(own[2])
    await world.sweep()
    assert [each.allowed_numbers for each in world.inbound()] == [()]
    assert (len(world.rules()), world.ids()[:2]) == (1, own[:2])
    assert untouched(world, OUT)


@in_virtual_time
async def test_a_typing_error_is_told_at_once_also_while_a_new_list_has_to_wait() -> None:
    world = await world_with(OUT)
    await world.apply(annotations={"adopt": "ST_one"}, inboundAgentId=None)
    await world.apply("second", phoneNumber=OTHER, inboundAgentId=None, annotations={"adopt": "ST_two"})
    assert [world.ready(name) for name in (NAME, "second")] == [("False", "AdoptionRefused")] * 2
    assert world.outbound() == [OUT]
    world.livekit.put(replace(OUT, id="ST_two", numbers=(OTHER,)))
    await world.elapse(40)
    assert (world.ready("second"), world.ids("second")[0]) == (SYNCED, "ST_two")


@in_virtual_time
async def test_as_long_as_livekit_was_never_listed_nothing_is_said_of_what_it_has() -> None:
    world = World(installation=OPEN)
    world.livekit.always = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "down")
    await world.start()
    await world.apply(annotations={"adopt": "ST_out"}, inboundAgentId=None, sipPasswordSecretRef=None)
    await world.elapse(5)
    assert world.ready() == ("False", "LiveKitUnavailable")
    world.livekit.always = None
    await world.elapse(60)
    assert (world.ready(), world.outbound()) == (("False", "AdoptionRefused"), [])


@in_virtual_time
async def test_what_can_be_taken_is_taken_and_the_rest_after_the_correction() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": "ST_out,ST_inn,SDR_rule"})
    assert world.ready() == ("False", "NumberConflict")
    assert "ST_inn is not in LiveKit" in world.message()
    assert "SDR_rule names a trunk that is not this object's" in world.message()
    assert (world.ids(), untouched(world, OUT, IN, RULE)) == (("", "", ""), True)
    world.api.annotate(NAMESPACE, NAME, adopt=ALL)
    await world.settle()
    assert (world.ready(), world.ids()) == (SYNCED, ("ST_out", "ST_in", "SDR_rule"))


@in_virtual_time
async def test_a_rule_may_be_taken_once_its_trunk_is_ours() -> None:
    world = await world_with(IN)
    await world.apply(annotations={"adopt": "ST_in,SDR_rule"})
    assert world.ready() == ("False", "AdoptionRefused")
    assert "SDR_rule is not in LiveKit" in world.message()
    assert (world.ids()[1], world.rules()) == ("ST_in", [])
    world.livekit.put(RULE)
    await world.sweep()
    assert (world.ready(), world.ids()[1:]) == (SYNCED, ("ST_in", "SDR_rule"))


# A wish stays in Git after it was fulfilled


@pytest.mark.parametrize("lost", [("ST_out",), ("ST_in", "SDR_rule"), ("ST_out", "ST_in", "SDR_rule")], ids=str)
@in_virtual_time
async def test_a_wish_that_was_fulfilled_asks_for_nothing_once_its_ids_are_gone(lost: tuple[str, ...]) -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    assert world.status()["lastHandledAdopt"] == ALL
    for _ in range(2):  # LiveKit loses also what was made anew
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
    world.api.edit(NAMESPACE, NAME, inboundAgentId="agent")  # what it then needs for the first time is made
    await world.settle()
    assert (world.ready(), len(world.livekit.objects())) == (SYNCED, 3)


@in_virtual_time
async def test_without_the_memory_in_the_status_ids_that_are_gone_give_a_finding_only() -> None:
    """As after an upgrade, or a restore without statuses: the number has all that it needs."""
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


# What the conflict says


@in_virtual_time
async def test_of_a_trunk_with_other_numbers_too_the_conflict_names_these_and_says_not_to_delete_it() -> None:
    shared = replace(IN, numbers=(PHONE, OTHER, "+15550100001", "+15550100002", "+15550100003"))
    world = await world_with(shared)
    await world.apply()
    assert world.ready() == ("False", "NumberConflict")
    assert f"ST_in carries other numbers too ({OTHER}, +15550100001, +15550100002 and 1 more)" in world.message()
    assert "elete it" not in world.message()


@in_virtual_time
async def test_of_a_trunk_of_nobody_the_conflict_offers_its_adoption_where_that_is_allowed() -> None:
    for installation, offered in ((OPEN, True), (CLOSED, False)):
        world = await world_with(IN, installation=installation)
        await world.apply()
        assert "ST_in has nobody's mark: delete it" in world.message()
        assert ("byoc.talkifai.dev/adopt=ST_in" in world.message()) == offered
