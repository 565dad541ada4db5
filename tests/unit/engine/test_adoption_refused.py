"""LiveKit objects that cannot be adopted, and the message about each."""

from dataclasses import replace
from typing import Any

import pytest

from adopting import ALL, CLOSED, IN, OPEN, OUT, OWNERS, RULE, SYNCED, marked, untouched, world_with
from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import Owner
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PHONE, World
from virtual_time import in_virtual_time

# What cannot be adopted

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
    # No object claims this number.
    trunk = replace(marked(Owner(installation, namespace, name))[0], numbers=(OTHER,))
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
