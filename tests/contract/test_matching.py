"""`core.matching` against LiveKit's own matcher: the same trunk, the same rule, the same refusals."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleCallee,
    SIPDispatchRuleDirect,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
)

from byoc_operator.api.carriers import GENERIC
from byoc_operator.core.masking import make_mask
from byoc_operator.core.matching import Call, Judgement, Result, judge
from byoc_operator.core.ownership import Owned
from byoc_operator.core.trunk import DispatchRule, InboundTrunk
from byoc_operator.diagnosis.call import Question, explain
from byoc_operator.diagnosis.check import State, worst
from byoc_operator.livekit_sip.convert import INBOUND, RULE
from testbed.sip_matcher import Answer, AskedCall, SipMatcher, running_matcher

pytestmark = pytest.mark.bed

MASK = make_mask(b"a key for tests")
RESULTS = {
    "ACCEPT": Result.ACCEPTED,
    "REQUEST_PIN": Result.ASKED_FOR_PIN,
    "DROP": Result.DROPPED,
    "REFUSED": Result.REFUSED,
}
OURS, OTHER = "+15550100001", "+15550100002"
CALLERS = ["+15559990000", "15559990000", "anonymous", ""]
CALLED = [OURS, "15550100001", "1 (555) 010-0001", OTHER, "+", "", "alice", "100", "+100", "+0"]
SOURCES = ["", "192.0.2.1", "198.51.100.7", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0"]
ADDRESSES = [
    *("192.0.2.0/24", "192.0.2.1", "192.0.2.9/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1", "[::]"),
    *("::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "sip://192.0.2.1", "192.0.2.0/24;x", "bad host", "carrier.example"),
    *("192.0.2.0/255.255.255.0", "192.0.2.0/024", "192.0.2.0/33", "192.0.02.1", "", "/", "fe80::1%eth0", "fe80::/10"),
    *("fe80::1%eth0/64", "192.0.2.0/", "2001:DB8::/032", "192.0.2.1/+24", "192.0.2.1/ 24"),
]


@pytest.fixture(scope="module")
def matcher() -> Iterator[SipMatcher]:
    with running_matcher() as running:
        yield running


def form(kind: str, room: str, pin: str) -> SIPDispatchRule:
    match kind:
        case "direct":
            return SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name=room, pin=pin))
        case "callee":
            return SIPDispatchRule(dispatch_rule_callee=SIPDispatchRuleCallee(room_prefix=room, pin=pin))
        case "individual":
            return SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix=room, pin=pin))
    return SIPDispatchRule()


def some(values: Sequence[str], most: int = 2) -> st.SearchStrategy[list[str]]:
    return st.just([]) | st.lists(st.sampled_from(values), max_size=most)


trunks = st.lists(
    st.builds(
        SIPInboundTrunkInfo,
        numbers=st.sampled_from(
            [[OURS], [OTHER], [OURS, OTHER], ["15550100001"], [OURS, "100"], ["+100", "0"], [], [""]]
        ),
        allowed_numbers=some(CALLERS),
        allowed_addresses=some(ADDRESSES, 3),
    ),
    max_size=3,
)
forms = st.builds(form, st.sampled_from(["direct", "individual", "callee"]), *[st.sampled_from(["", "1", "2"])] * 2)
rules = st.lists(
    st.builds(
        SIPDispatchRuleInfo,
        rule=st.one_of(forms, forms, forms, forms, forms, st.just(SIPDispatchRule())),
        trunk_ids=st.sampled_from([[], ["ST_0"], ["ST_0"], ["ST_1"], ["ST_0", "ST_1"], ["ST_gone"], [""]]),
        inbound_numbers=some(CALLERS),
        numbers=some(CALLED),
    ),
    max_size=4,
)
calls = st.lists(
    st.builds(
        AskedCall,
        called=st.sampled_from(CALLED),
        caller=st.sampled_from(CALLERS),
        host=st.sampled_from(["", "carrier.example", "192.0.2.0/24"]),
        source=st.sampled_from(SOURCES),
        pin=st.sampled_from(["", "", "1", "2", "3"]),
        noPin=st.booleans(),
    ),
    min_size=8,
    max_size=8,
)


@settings(max_examples=500, deadline=None)
@given(trunks, rules, calls)
def test_every_call_gets_what_livekit_gives_it(
    matcher: SipMatcher,
    trunks: list[SIPInboundTrunkInfo],
    rules: list[SIPDispatchRuleInfo],
    calls: list[AskedCall],
) -> None:
    agree(matcher, trunks, rules, calls)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ADDRESSES), max_size=2), st.sampled_from(SOURCES), st.sampled_from(ADDRESSES))
@example(["::ffff:192.0.2.0/120"], "192.0.2.1", "")
@example(["::ffff:192.0.2.0/120"], "::ffff:192.0.2.1", "")
def test_every_address_is_let_in_as_livekit_lets_it_in(
    matcher: SipMatcher, allowed: list[str], source: str, host: str
) -> None:
    trunk = SIPInboundTrunkInfo(numbers=[OURS], allowed_addresses=allowed)
    agree(matcher, [trunk], [], [AskedCall(OURS, source=source, host=host)])


def rule(kind: str = "individual", pin: str = "", room: str = "", **fields: Any) -> SIPDispatchRuleInfo:
    return SIPDispatchRuleInfo(rule=form(kind, room, pin), **{"trunk_ids": ["ST_0"], **fields})


@pytest.mark.parametrize(
    ("theirs", "result", "chosen"),
    [
        ([rule(pin="1")], Result.ASKED_FOR_PIN, "SDR_1"),
        ([rule("callee", pin="1")], Result.ASKED_FOR_PIN, "SDR_1"),
        ([rule(inbound_numbers=[CALLERS[0]])], Result.ACCEPTED, "SDR_1"),
        ([rule(inbound_numbers=["+1666"])], Result.ACCEPTED, "SDR_0"),
        ([rule(numbers=[OURS])], Result.ACCEPTED, "SDR_1"),
        ([rule(numbers=[OTHER])], Result.ACCEPTED, "SDR_0"),
        ([rule("direct", pin="1"), rule(numbers=[OURS])], Result.ACCEPTED, "SDR_2"),
        ([rule("direct")], Result.REFUSED, ""),
        ([rule(pin="1"), rule("direct", pin="1")], Result.REFUSED, ""),
        ([rule("none")], Result.REFUSED, ""),
        ([rule(trunk_ids=[])], Result.ACCEPTED, "SDR_0"),
        ([rule(trunk_ids=[], numbers=[OURS], inbound_numbers=[CALLERS[0]])], Result.ACCEPTED, "SDR_0"),
        ([rule(trunk_ids=[], pin="1"), rule(trunk_ids=[], pin="1")], Result.REFUSED, ""),
        ([rule(trunk_ids=["ST_0", "ST_1"], pin="1")], Result.ASKED_FOR_PIN, "SDR_1"),
        ([rule(trunk_ids=["ST_1"], pin="1")], Result.ACCEPTED, "SDR_0"),
    ],
)
def test_the_rule_that_gets_a_call_beside_ours(
    matcher: SipMatcher, theirs: list[SIPDispatchRuleInfo], result: Result, chosen: str
) -> None:
    ours = rule(room="call-")
    call = AskedCall(OURS, CALLERS[0], source="192.0.2.1")
    (judged,) = agree(matcher, [SIPInboundTrunkInfo(numbers=[OURS])], [ours, *theirs], [call])
    assert (judged.result, judged.rule.id if judged.rule else "") == (result, chosen)


NUMBER, STRANGER = "+442012345678", "+15559990001"
OF_OURS = SIPInboundTrunkInfo(numbers=[NUMBER, "100", "+00442012345670"], allowed_addresses=["192.0.2.0/24"])
CALL_TO_US = AskedCall(NUMBER, CALLERS[0], source="192.0.2.1")


def trunk(*numbers: str, **fields: Any) -> SIPInboundTrunkInfo:
    return SIPInboundTrunkInfo(numbers=numbers, **fields)


@pytest.mark.parametrize(
    ("call", "theirs", "ours_gets_it", "says"),
    [
        (CALL_TO_US, [], True, "takes the call"),
        (AskedCall("44 (20) 1234-5678", source="192.0.2.1"), [], True, "takes the call"),
        (AskedCall("100", source="192.0.2.1"), [], True, "takes the call"),
        (AskedCall("+100", source="192.0.2.1"), [], True, "takes the call"),
        (AskedCall("00442012345670", source="192.0.2.1"), [], True, "takes the call"),
        (AskedCall("0100", source="192.0.2.1"), [], False, "the digits are others"),
        (AskedCall("100", source="192.0.2.1"), [trunk("+100")], False, "ST_1 (not ours) both take this call"),
        (AskedCall("100", source="192.0.2.1"), [rule(numbers=["100"])], False, "SDR_1 (not ours) takes the call"),
        (AskedCall("02012345678", source="192.0.2.1"), [], False, "the country code is missing"),
        (AskedCall("00442012345678", source="192.0.2.1"), [], False, "an international prefix"),
        (AskedCall("+44.2012345678", source="192.0.2.1"), [], False, "are dropped"),
        (AskedCall(NUMBER, source="203.0.113.9"), [], False, "203.0.113.9 is in none of the allowed addresses"),
        (AskedCall(NUMBER, source="203.0.113.9"), [trunk(NUMBER)], False, "ST_1 (not ours) gets it"),
        (CALL_TO_US, [trunk(NUMBER)], False, "ST_1 (not ours) both take this call"),
        (CALL_TO_US, [trunk("442012345678")], False, "ST_1 (not ours) both take this call"),
        (CALL_TO_US, [trunk(NUMBER, allowed_numbers=[STRANGER])], True, "takes the call"),
        (CALL_TO_US, [trunk()], True, "takes the call"),
        (AskedCall("02012345678"), [trunk()], False, "takes what no other trunk takes"),
        (CALL_TO_US, [rule(pin="1")], False, "SDR_1 (not ours) asks the caller for a PIN"),
        (CALL_TO_US, [rule(numbers=[NUMBER])], False, "SDR_1 (not ours) takes the call"),
        (CALL_TO_US, [rule(numbers=["442012345678"])], True, "takes the call"),
        (CALL_TO_US, [rule(inbound_numbers=[STRANGER])], True, "takes the call"),
        (CALL_TO_US, [rule()], False, "SDR_0 and SDR_1 (not ours) are for the same calls"),
        (CALL_TO_US, [rule(trunk_ids=[])], True, "takes the call"),
        (AskedCall(NUMBER, source="203.0.113.9"), [rule(trunk_ids=[])], False, "names no trunk"),
    ],
)
def test_what_stops_a_call_is_told_where_livekit_stops_it(
    matcher: SipMatcher,
    call: AskedCall,
    theirs: list[SIPInboundTrunkInfo | SIPDispatchRuleInfo],
    ours_gets_it: bool,  # noqa: FBT001 - a column of the table
    says: str,
) -> None:
    trunks = [OF_OURS, *(each for each in theirs if isinstance(each, SIPInboundTrunkInfo))]
    rules = [rule(room="call-"), *(each for each in theirs if isinstance(each, SIPDispatchRuleInfo))]
    (judged,) = agree(matcher, trunks, rules, [call])
    told, bad = diagnosed(trunks, rules, call, NUMBER)
    assert (bad, told[0]) == (not ours_gets_it, judged)
    assert says in told[1]


@settings(max_examples=300, deadline=None)
@given(trunks.filter(bool), rules.filter(bool), calls)
def test_a_diagnosis_is_good_where_livekit_gives_the_call_to_us(
    matcher: SipMatcher,
    trunks: list[SIPInboundTrunkInfo],
    rules: list[SIPDispatchRuleInfo],
    calls: list[AskedCall],
) -> None:
    """The first trunk and the first rule are taken for ours."""
    for judged, call in zip(agree(matcher, trunks, rules, calls), calls, strict=True):
        ours = _answer(judged) == ("ST_0", "SDR_0", Result.ACCEPTED)
        (told, _), bad = diagnosed(trunks, rules, call, OURS)
        assert (told, bad) == (judged, not ours)


def diagnosed(
    trunks: list[SIPInboundTrunkInfo], rules: list[SIPDispatchRuleInfo], call: AskedCall, phone_number: str
) -> tuple[tuple[Judgement, str], bool]:
    """What the diagnosis says of a call, and whether something is bad. The first trunk and rule are ours."""
    our_trunks, our_rules = _ours(trunks, rules)
    owned = Owned(inbound=(our_trunks[0],), rules=(our_rules[0],))
    explained = explain(Question(_call(call), phone_number, owned, our_trunks, our_rules, GENERIC))
    says = " ".join(check.says for check in explained.checks)
    return (explained.judgement, says), worst(explained.checks) is State.BAD


def agree(
    matcher: SipMatcher,
    trunks: list[SIPInboundTrunkInfo],
    rules: list[SIPDispatchRuleInfo],
    calls: list[AskedCall],
) -> list[Judgement]:
    """Our judgements, after LiveKit's matcher has said the same of each call."""
    for position, trunk in enumerate(trunks):
        trunk.sip_trunk_id = f"ST_{position}"
    for position, each in enumerate(rules):
        each.sip_dispatch_rule_id = f"SDR_{position}"
    our_trunks, our_rules = _ours(trunks, rules)
    judged = [judge(our_trunks, our_rules, _call(call)) for call in calls]
    assert [_answer(each) for each in judged] == [_named(each) for each in matcher.ask(trunks, rules, calls)]
    return judged


def _ours(
    trunks: list[SIPInboundTrunkInfo], rules: list[SIPDispatchRuleInfo]
) -> tuple[list[InboundTrunk], list[DispatchRule]]:
    """LiveKit's messages as our values."""
    read = [INBOUND.from_proto(trunk, MASK, lists_passwords=True) for trunk in trunks]
    return read, [RULE.from_proto(each, MASK) for each in rules]


def _call(asked: AskedCall) -> Call:
    pin = MASK(asked.pin) if asked.pin else None
    return Call(asked.called, asked.caller, asked.source, asked.host, pin, asked.noPin)


def _answer(judged: Judgement) -> tuple[str, str, Result]:
    return judged.trunk.id if judged.trunk else "", judged.rule.id if judged.rule else "", judged.result


def _named(answer: Answer) -> tuple[str, str, Result]:
    return answer.trunk, answer.rule, RESULTS[answer.result]
