"""What other people's dispatch rules do to a number: told as a finding, and never told where they do nothing."""

from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.core.foreign_rules import ForeignRules, Intrusion, Wildcards, intrusion
from byoc_operator.core.matching import Call, Filter, Result, contradiction, judge
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, RoomForm, Selection, normalised
from operated import MASK, World
from strategies import PHONE
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

CARRIER = "192.0.2.0/24"
CALLER, OTHER = "+15559990000", "+15550100002"
TRUNK = InboundTrunk("in", "{}", (PHONE,), allowed_addresses=(CARRIER,), id="ST_ours")
OPEN = replace(TRUNK, allowed_addresses=())
OURS = DispatchRule("ours", ("ST_ours",), "call-", "agent", "{}", id="SDR_ours")
PIN = MASK("1234")


def rule(id_: str = "SDR_theirs", trunk_ids: tuple[str, ...] = ("ST_ours",), **selection: Any) -> DispatchRule:
    return DispatchRule("theirs", trunk_ids, "", "", "", selection=Selection(**selection), id=id_)


def on_trunk(*rules: DispatchRule, trunk: InboundTrunk = TRUNK) -> Intrusion:
    return intrusion(PHONE, trunk, OURS, ForeignRules(on_trunk=rules))


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ({"pin": PIN}, "asks every caller for a PIN"),
        ({"pin": PIN, "form": RoomForm.CALLEE}, "asks every caller for a PIN"),
        ({"pin": PIN, "callers": (CALLER,)}, "asks some callers for a PIN"),
        ({"pin": PIN, "numbers": (PHONE,)}, "asks every caller for a PIN"),
        ({"numbers": (PHONE,)}, "takes all calls"),
        ({"numbers": (OTHER, PHONE), "form": RoomForm.CALLEE}, "takes all calls"),
        ({"numbers": ("19876543210",)}, "takes some calls"),
        ({"callers": (CALLER,)}, "takes some calls"),
        ({"callers": (CALLER,), "numbers": (PHONE,)}, "takes some calls"),
        ({"form": RoomForm.UNKNOWN}, "has a form that the operator does not know"),
    ],
)
def test_a_rule_that_is_preferred_to_ours_is_told_with_what_it_does(selection: dict[str, Any], told: str) -> None:
    assert on_trunk(rule(**selection)) == Intrusion((f"SDR_theirs {told}",))
    shared = rule(trunk_ids=("ST_other", "ST_ours"), **selection)
    assert on_trunk(shared) == Intrusion((f"SDR_theirs {told}",))


@pytest.mark.parametrize(
    "selection",
    [
        {"numbers": (OTHER,)},
        {"numbers": (OTHER,), "pin": PIN},
        {"numbers": (OTHER,), "callers": (CALLER,)},
    ],
)
def test_a_rule_that_gets_no_call_to_this_number_is_not_told(selection: dict[str, Any]) -> None:
    assert on_trunk(rule(**selection)) == Intrusion()


def test_a_rule_that_gets_calls_to_an_alias_is_told() -> None:
    trunk = replace(TRUNK, numbers=(PHONE, "100"))
    for spelling in ("100", "+100"):
        assert on_trunk(rule(numbers=(spelling,)), trunk=trunk) == Intrusion(("SDR_theirs takes some calls",))
        assert on_trunk(rule(numbers=(spelling,))) == Intrusion()
        assert wildcard(rule(trunk_ids=(), numbers=(spelling,)), trunk=trunk) == Intrusion(wildcard="SDR_theirs")
        assert catching(ANY, trunk, numbers=(spelling,)) == "ST_any"


def test_a_rule_for_callers_that_the_trunk_keeps_out_is_not_told() -> None:
    trunk = replace(TRUNK, allowed_numbers=("+15551230000",))
    assert on_trunk(rule(callers=(CALLER,)), trunk=trunk) == Intrusion()
    assert on_trunk(rule(callers=(CALLER, "15551230000")), trunk=trunk).takers
    assert on_trunk(rule(pin=PIN), trunk=trunk).takers


def test_a_rule_that_another_foreign_rule_outranks_is_not_told() -> None:
    assert on_trunk(rule("SDR_pin", pin=PIN), rule("SDR_all", pin=PIN, numbers=(PHONE,))).takers == (
        "SDR_all asks every caller for a PIN",
    )


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ((rule(),), ("SDR_ours", "SDR_theirs")),
        ((rule(form=RoomForm.DIRECT),), ("SDR_ours", "SDR_theirs")),
        ((rule("SDR_a", pin=PIN), rule("SDR_b", pin=PIN)), ("SDR_a", "SDR_b")),
        ((rule("SDR_a", numbers=(OTHER,)), rule("SDR_b", numbers=(OTHER,))), ("SDR_a", "SDR_b")),
        ((rule("SDR_a", numbers=(PHONE, "19876543210")),), ("SDR_a",)),
    ],
)
def test_rules_that_make_livekit_refuse_every_call_are_told(
    rules: tuple[DispatchRule, ...], told: tuple[str, ...]
) -> None:
    assert on_trunk(*rules) == Intrusion(contradicting=told)


@pytest.mark.parametrize("limited", ["numbers", "callers", "trunk_ids"])
def test_thousands_of_rules_are_compared_without_comparing_each_with_each(limited: str) -> None:
    """Each with each would be 200 million comparisons, during which nothing else runs."""
    many = [rule(f"SDR_{index:05}", **{limited: (f"+1555{index:07}",)}) for index in range(20_000)]
    assert contradiction(many) == ()
    assert contradiction([*many, replace(many[7], id="SDR_x")]) == ("SDR_00007", "SDR_x")


def test_hundreds_of_trunks_without_numbers_are_not_compared_for_each_rule_anew() -> None:
    """Each rule with each trunk and each trunk again would be 300 million comparisons for one number."""
    trunks = tuple(
        InboundTrunk("any", "{}", (), allowed_addresses=(f"10.{index}.0.0/16",), id=f"ST_{index:03}")
        for index in range(256)
    )
    rules = tuple(rule(f"SDR_{each.id}", trunk_ids=(each.id,)) for each in trunks)
    foreign = ForeignRules(catch_alls=trunks, on_catch_alls=rules)
    assert [intrusion(PHONE, TRUNK, OURS, foreign).catch_all for _ in range(50)] == ["ST_000"] * 50


def test_long_lists_of_numbers_and_callers_of_one_rule_are_not_multiplied() -> None:
    """Of 400 million calls that the rule is for, none is to this number."""
    many = tuple(f"+1666{index:07}" for index in range(20_000))
    assert on_trunk(rule(callers=many, numbers=many)) == Intrusion()


def test_a_finding_names_a_few_rules_and_counts_the_rest() -> None:
    many = [rule(f"SDR_{index}", callers=(f"+1555000{index}",)) for index in range(10)]
    assert on_trunk(*many).takers == (
        "SDR_0 takes some calls",
        "SDR_1 takes some calls",
        "SDR_2 takes some calls",
        "7 more",
    )


def wildcard(*rules: DispatchRule, trunk: InboundTrunk = TRUNK) -> Intrusion:
    ordered = Wildcards.of({each.id: each for each in rules})
    foreign = ForeignRules(
        wildcards=ordered.for_numbers(map(normalised, trunk.numbers)), contradicting=ordered.contradicting
    )
    return intrusion(PHONE, trunk, OURS, foreign)


@pytest.mark.parametrize(
    ("selection", "trunk", "told"),
    [
        ({}, TRUNK, "SDR_theirs"),
        ({"pin": PIN}, TRUNK, "SDR_theirs"),
        ({"callers": (CALLER,)}, TRUNK, "SDR_theirs"),
        ({"numbers": (PHONE,)}, TRUNK, "SDR_theirs"),
        ({"numbers": ("19876543210",)}, TRUNK, "SDR_theirs"),
        ({"numbers": (OTHER,)}, TRUNK, ""),
        ({}, OPEN, ""),
        ({}, replace(TRUNK, allowed_addresses=("0.0.0.0/0", "::/0")), ""),
        ({}, replace(TRUNK, allowed_addresses=("0.0.0.0/1", "128.0.0.0/1", "::/0")), ""),
        ({}, replace(TRUNK, allowed_addresses=("0.0.0.0/0",)), "SDR_theirs"),
        ({}, replace(OPEN, allowed_numbers=(CALLER,)), "SDR_theirs"),
        ({"callers": (CALLER,)}, replace(OPEN, allowed_numbers=("15559990000",)), ""),
        ({"callers": (OTHER,)}, replace(OPEN, allowed_numbers=(CALLER,)), "SDR_theirs"),
    ],
)
def test_a_rule_without_a_trunk_is_told_where_it_gets_what_the_trunk_keeps_out(
    selection: dict[str, Any], trunk: InboundTrunk, told: str
) -> None:
    assert wildcard(rule(trunk_ids=(), **selection), trunk=trunk) == Intrusion(wildcard=told)


def test_two_rules_without_a_trunk_that_contradict_each_other_stop_every_call() -> None:
    elsewhere = {"numbers": (OTHER,), "trunk_ids": ()}
    assert wildcard(rule("SDR_a", **elsewhere), rule("SDR_b", **elsewhere)).contradicting == ("SDR_a", "SDR_b")


def catching(trunk: InboundTrunk, ours: InboundTrunk = TRUNK, **selection: Any) -> str:
    foreign = ForeignRules(catch_alls=(trunk,), on_catch_alls=(rule(trunk_ids=(trunk.id,), **selection),))
    return intrusion(PHONE, ours, OURS, foreign).catch_all


ANY = InboundTrunk("theirs", "", (), username=PIN, password=PIN, id="ST_any")
CLOSED = replace(OPEN, allowed_numbers=(CALLER,))


@pytest.mark.parametrize(
    ("theirs", "ours", "selection", "told"),
    [
        (ANY, TRUNK, {}, True),
        (ANY, OPEN, {}, False),
        (ANY, CLOSED, {}, True),
        (ANY, CLOSED, {"callers": (CALLER,)}, False),
        (ANY, TRUNK, {"numbers": (OTHER,)}, False),
        (ANY, TRUNK, {"numbers": (PHONE,)}, True),
        (replace(ANY, allowed_addresses=(CARRIER,)), TRUNK, {}, False),
        (replace(ANY, allowed_addresses=("192.0.2.128/25",)), TRUNK, {}, False),
        (replace(ANY, allowed_addresses=("10.1.0.0/16",)), TRUNK, {}, True),
        (replace(ANY, allowed_numbers=(CALLER,)), CLOSED, {}, False),
        (replace(ANY, allowed_numbers=(OTHER,)), CLOSED, {}, True),
    ],
)
def test_a_trunk_without_numbers_is_told_where_it_gets_what_ours_keeps_out(
    theirs: InboundTrunk, ours: InboundTrunk, selection: dict[str, Any], *, told: bool
) -> None:
    assert catching(theirs, ours, **selection) == ("ST_any" if told else "")


# The judgement of one call


def test_a_call_is_judged_with_what_stopped_it() -> None:
    trunks = [TRUNK, replace(TRUNK, numbers=(), allowed_addresses=("198.51.100.0/24",), id="ST_any")]
    call = Call(PHONE, CALLER, "192.0.2.1")
    accepted = judge(trunks, [OURS], call)
    assert (accepted.result, accepted.trunk, accepted.rule) == (Result.ACCEPTED, TRUNK, OURS)
    stranger = judge(trunks, [OURS], replace(call, source="203.0.113.1"))
    assert (stranger.result, stranger.trunk) == (Result.DROPPED, None)
    assert stranger.stopped == (
        ("ST_ours", Filter.ADDRESS),
        ("ST_any", Filter.ADDRESS),
        ("SDR_ours", Filter.TRUNK),
    )
    closed = replace(TRUNK, allowed_numbers=("+15551230000",))
    assert judge([closed], [OURS], call).stopped[0] == ("ST_ours", Filter.CALLER)
    both = judge([TRUNK, replace(TRUNK, id="ST_same")], [OURS], call)
    assert (both.result, both.contradict) == (Result.REFUSED, ("ST_ours", "ST_same"))


def test_a_pin_that_was_entered_leaves_only_the_rules_with_it() -> None:
    theirs = rule(pin=PIN)
    asked = judge([TRUNK], [OURS, theirs], Call(PHONE, CALLER))
    assert (asked.result, asked.rule) == (Result.ASKED_FOR_PIN, theirs)
    assert judge([TRUNK], [OURS, theirs], Call(PHONE, CALLER, pin=PIN)).rule == theirs
    assert judge([TRUNK], [OURS, theirs], Call(PHONE, CALLER, pin=MASK("0"))).result is Result.DROPPED
    assert judge([TRUNK], [OURS, theirs], Call(PHONE, CALLER, skips_pin=True)).rule == OURS


# In the whole


def told(world: World) -> dict[str, str]:
    codes = ("ForeignRuleOnTrunk", "ForeignWildcardRule", "ForeignCatchAllTrunk", "ContradictingRules")
    return {each["code"]: each["message"] for each in world.status()["findings"] if each["code"] in codes}


@in_virtual_time
async def test_a_foreign_rule_on_our_trunk_is_told_at_the_next_sweep_and_forgotten_when_it_goes() -> None:
    world = await World.in_step()
    trunk = world.inbound()[0].id
    foreign = world.livekit.put(rule("", (trunk,), pin=PIN))
    await world.sweep()
    assert told(world).keys() == {"ForeignRuleOnTrunk"}
    assert told(world)["ForeignRuleOnTrunk"].endswith(f"({foreign} asks every caller for a PIN)")
    assert world.ready() == ("True", "Synced")
    assert "1234" not in world.told()
    world.livekit.drop(foreign)
    await world.sweep()
    assert told(world) == {}
    assert world.livekit_writes() == []


@in_virtual_time
async def test_a_foreign_rule_that_touches_no_call_of_ours_costs_no_write() -> None:
    world = await World.in_step()
    trunk = world.inbound()[0].id
    world.livekit.put(rule("", (), numbers=(OTHER,)))
    world.livekit.put(rule("", (trunk,), numbers=(OTHER,), pin=PIN))
    world.livekit.put(rule("", ("ST_other",)))
    await world.sweep()
    assert (told(world), world.api_writes(), world.livekit_writes()) == ({}, [], [])


@in_virtual_time
async def test_rules_that_contradict_each_other_are_told() -> None:
    world = await World.in_step()
    trunk, ours = world.inbound()[0].id, world.rules()[0].id
    foreign = world.livekit.put(rule("", (trunk,), form=RoomForm.CALLEE))
    await world.sweep()
    assert told(world)["ContradictingRules"].endswith(f"({', '.join(sorted((ours, foreign)))})")
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_foreign_trunk_without_numbers_is_told_once_it_has_a_rule() -> None:
    world = await World.running()
    await world.apply(inbound={"allowedAddresses": [CARRIER]})
    trunk = world.livekit.put(replace(ANY, id=""))
    await world.sweep()
    assert told(world) == {}
    world.livekit.put(rule("", (trunk,)))
    await world.sweep()
    assert told(world).keys() == {"ForeignCatchAllTrunk"}
    world.livekit.drop(trunk)
    await world.sweep()
    assert told(world) == {}
