"""Would LiveKit accept this call? Each thing that stops it is named, with what to change."""

from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers import GENERIC, Carrier
from byoc_operator.core.masking import make_mask
from byoc_operator.core.matching import Call, Result
from byoc_operator.core.ownership import Owned
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, RoomForm, Selection
from byoc_operator.diagnosis.call import DIGEST, RULE, TRUNK, Explanation, Question, explain
from byoc_operator.diagnosis.check import Check, State, worst

MASK = make_mask(b"a key for tests")
PHONE, CALLER, CARRIER = "+442012345678", "+15559990000", "192.0.2.7"
OURS = InboundTrunk("main", "{}", (PHONE,), allowed_addresses=("192.0.2.0/24",), id="ST_ours")
RULE_OF_OURS = DispatchRule("main", ("ST_ours",), "call-", "agent_support", "{}", id="SDR_ours")
THEIRS = InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")
CALL = Call(PHONE, CALLER, CARRIER)


def theirs(trunk_ids: tuple[str, ...] = ("ST_ours",), **selection: Any) -> DispatchRule:
    return DispatchRule("theirs", trunk_ids, "", "", "", selection=Selection(**selection), id="SDR_theirs")


def ask(
    call: Call = CALL,
    ours: InboundTrunk | None = OURS,
    rule: DispatchRule | None = RULE_OF_OURS,
    others: tuple[InboundTrunk | DispatchRule, ...] = (),
    carrier: Carrier = Carrier.GENERIC,
) -> Explanation:
    trunks = [each for each in (ours, *others) if isinstance(each, InboundTrunk)]
    rules = [each for each in (rule, *others) if isinstance(each, DispatchRule)]
    owned = Owned(inbound=(ours,) if ours else (), rules=(rule,) if rule else ())
    preset = BUILT_IN.preset_for(carrier, "")
    return explain(Question(call, PHONE, owned, trunks, rules, preset))


def bad(explained: Explanation, name: str = TRUNK) -> Check:
    (check,) = [check for check in explained.checks if check.name == name]
    assert check.state is State.BAD
    assert check.remedy
    return check


@pytest.mark.parametrize("called", [PHONE, "442012345678", "+44 20 1234-5678", "44 (20) 12345678"])
def test_a_call_that_livekit_accepts(called: str) -> None:
    explained = ask(replace(CALL, called=called))
    assert explained.judgement.result is Result.ACCEPTED
    assert [(check.name, check.state) for check in explained.checks] == [(TRUNK, State.OK), (RULE, State.OK)]
    assert "agent_support" in explained.checks[1].says


def test_without_an_address_the_answer_says_so() -> None:
    assert "if the carrier's address is allowed" in ask(replace(CALL, source="")).checks[0].says


@pytest.mark.parametrize(
    ("called", "why"),
    [
        ("02012345678", "the country code is missing"),
        ("2012345678", "the country code is missing"),
        ("00442012345678", "an international prefix stands in place of the plus"),
        ("011442012345678", "an international prefix stands in place of the plus"),
        ("+44.2012345678", "only blanks, dashes, round brackets and one plus at the beginning are dropped"),
        ("++442012345678", "only blanks, dashes, round brackets and one plus at the beginning are dropped"),
        ("+15550100001", "the digits are others"),
        ("678", "the digits are others"),
        ("alice", "the digits are others"),
        ("", "the digits are others"),
    ],
)
def test_another_spelling_of_the_called_number(called: str, why: str) -> None:
    check = bad(ask(replace(CALL, called=called)))
    shown = called or "(empty)"
    assert check.says == f"The called number {shown} is another number to LiveKit than {PHONE}: {why}."
    assert PHONE in check.remedy


def test_an_address_that_is_not_allowed() -> None:
    check = bad(ask(replace(CALL, source="203.0.113.9")))
    assert check.says == "203.0.113.9 is in none of the allowed addresses of inbound trunk ST_ours: 192.0.2.0/24."
    assert "spec.inbound.allowedAddresses" in check.remedy


def test_a_long_list_of_addresses_is_cut() -> None:
    many = replace(OURS, allowed_addresses=tuple(f"192.0.2.{each}/32" for each in range(20, 84)))
    says = bad(ask(ours=many)).says
    assert says.endswith("192.0.2.20/32, 192.0.2.21/32, 192.0.2.22/32 and 61 more.")


@pytest.mark.parametrize(("caller", "shown"), [("+1666", "+1666"), ("", "A caller without a number")])
def test_a_caller_who_is_not_allowed(caller: str, shown: str) -> None:
    check = bad(ask(replace(CALL, caller=caller), replace(OURS, allowed_numbers=(CALLER,))))
    assert check.says == f"{shown} is none of the allowed callers of inbound trunk ST_ours."
    assert "spec.inbound.allowedCallers" in check.remedy


def test_another_trunk_with_the_number() -> None:
    explained = ask(others=(THEIRS,))
    check = bad(explained)
    assert explained.judgement.result is Result.REFUSED
    assert "ST_ours and ST_theirs (not ours) both take this call" in check.says
    assert "ST_theirs" in check.remedy
    assert len(explained.checks) == 1


def test_two_trunks_of_ours() -> None:
    copy = replace(OURS, id="ST_copy")
    owned = Owned(inbound=(OURS, copy), rules=(RULE_OF_OURS,))
    explained = explain(Question(CALL, PHONE, owned, (OURS, copy), (RULE_OF_OURS,), GENERIC))
    assert "The operator removes" in bad(explained).remedy


def test_another_trunk_that_gets_the_call_says_what_stops_it_at_ours() -> None:
    check = bad(ask(replace(CALL, source="203.0.113.9"), others=(THEIRS,)))
    assert check.says.startswith("203.0.113.9 is in none of the allowed addresses of inbound trunk ST_ours")
    assert check.says.endswith("Inbound trunk ST_theirs (not ours) gets it.")


def test_a_trunk_without_numbers_gets_what_ours_does_not_take() -> None:
    check = bad(ask(replace(CALL, called="02012345678"), others=(replace(THEIRS, numbers=()),)))
    assert "which has no numbers and takes what no other trunk takes" in check.says


@pytest.mark.parametrize("numbers", [("+15550100001",), ("+15550100001", "+15550100002")])
def test_our_trunk_with_another_number(numbers: tuple[str, ...]) -> None:
    assert bad(ask(ours=replace(OURS, numbers=numbers))).says == (
        f"Inbound trunk ST_ours has not the number {PHONE}, but {', '.join(numbers)}."
    )


def test_our_trunk_without_numbers_beside_another_with_the_number() -> None:
    check = bad(ask(ours=replace(OURS, numbers=()), others=(THEIRS,)))
    assert check.says.startswith(f"Inbound trunk ST_ours has not the number {PHONE}.")


def test_nothing_of_ours_in_livekit() -> None:
    explained = ask(ours=None, rule=None)
    assert "no inbound trunk" in bad(explained).says
    assert "no dispatch rule" in bad(explained, RULE).says


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (theirs(numbers=(PHONE,)), "Dispatch rule SDR_theirs (not ours) takes the call."),
        (theirs(pin=MASK("1")), "Dispatch rule SDR_theirs (not ours) asks the caller for a PIN."),
        (theirs(callers=(CALLER,)), "Dispatch rule SDR_theirs (not ours) takes the call."),
    ],
)
def test_a_rule_of_others_takes_the_call(rule: DispatchRule, says: str) -> None:
    check = bad(ask(others=(rule,)), RULE)
    assert check.says == says
    assert "SDR_theirs" in check.remedy


def test_a_rule_without_a_trunk_takes_what_our_trunk_does_not() -> None:
    explained = ask(replace(CALL, source="203.0.113.9"), others=(theirs(()),))
    assert worst(explained.checks) is State.BAD
    assert "which names no trunk and is for calls of all, takes the call" in bad(explained, RULE).says


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (theirs(), "Dispatch rules SDR_ours and SDR_theirs (not ours) are for the same calls"),
        (theirs(form=RoomForm.UNKNOWN), "has a form that LiveKit does not know"),
        (theirs(numbers=(PHONE, PHONE)), "names one thing twice"),
    ],
)
def test_rules_that_make_livekit_refuse_the_call(rule: DispatchRule, says: str) -> None:
    check = bad(ask(others=(rule,)), RULE)
    assert says in check.says
    assert "SDR_theirs" in check.remedy


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (replace(RULE_OF_OURS, trunk_ids=("ST_gone",)), "does not name inbound trunk ST_ours"),
        (replace(RULE_OF_OURS, selection=Selection(callers=("+1666",))), "for other callers only"),
        (replace(RULE_OF_OURS, selection=Selection(numbers=("+1666",))), "for other called numbers only"),
    ],
)
def test_our_rule_is_not_for_the_call(rule: DispatchRule, says: str) -> None:
    check = bad(ask(rule=rule), RULE)
    assert says in check.says
    assert "The operator writes the rule back" in check.remedy


def test_our_rule_asks_for_a_pin() -> None:
    rule = replace(RULE_OF_OURS, selection=Selection(pin=MASK("1")))
    assert "asks the caller for a PIN" in bad(ask(rule=rule), RULE).says


def test_our_rule_is_not_for_who_has_entered_a_pin() -> None:
    assert "callers without a PIN" in bad(ask(replace(CALL, pin=MASK("1"))), RULE).says


@pytest.mark.parametrize(("carrier", "state"), [(Carrier.TWILIO, State.BAD), (Carrier.TELNYX, State.UNKNOWN)])
def test_a_challenge_that_a_carrier_may_be_unable_to_answer(carrier: Carrier, state: State) -> None:
    challenged = replace(OURS, username=MASK("trunk-user"), password=MASK("secret-of-tests"))
    digest = ask(ours=challenged, carrier=carrier).checks[-1]
    assert (digest.name, digest.state) == (DIGEST, state)
    assert "trunk-user" not in repr(digest)


def test_texts_of_others_are_printable_and_short() -> None:
    hostile = "\x1b[2J" * 100_000
    explained = ask(
        Call(hostile, hostile, hostile),
        replace(OURS, allowed_addresses=(hostile,) * 50),
        others=(theirs(numbers=(hostile,)),),
    )
    for check in explained.checks:
        assert "\x1b" not in check.says + check.remedy
        assert len(check.says + check.remedy) < 1000
