"""Any `adopt` request with any LiveKit: only free LiveKit objects are touched, and no duplicates are created."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.names import ADOPT
from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.api.resource import PhoneNumber, parse
from byoc_operator.core.adoption import Adoption, adoption_of
from byoc_operator.core.assessment import Assessment, assess
from byoc_operator.core.ownership import Mark, Owned, Owner, claim, owner_of, rule_name
from byoc_operator.core.plan import Create, Delete, Remark, Replace
from byoc_operator.core.situation import Situation
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject, kind_of
from strategies import INSTALLATION, MASK, PHONE, QUICK

OPEN = replace(INSTALLATION, adoption_allowed=True)
OWN = Owner("cluster-a", "voice", "main")
FREE = (None, Owner("cluster-a", "voice", "gone"), Owner("cluster-old", "voice", "gone"))
FOREIGN = Owner("cluster-z", "voice", "main")
OWNERS = (
    *FREE,
    OWN,
    Owner("cluster-a", "voice", "living"),
    Owner("cluster-a", "other", "gone"),
    FOREIGN,
)
OUTBOUND, INBOUND, RULES = ("ST_o1", "ST_o2", "ST_o3"), ("ST_i1", "ST_i2"), ("SDR_r1", "SDR_r2")
numbers = st.sampled_from([(PHONE,), (PHONE,), (PHONE,), (PHONE, "+15550100000"), ("+15550100000",), ()])


@st.composite
def livekits(draw: st.DrawFn) -> dict[str, SipObject]:
    """Any LiveKit objects, ours and foreign."""
    found: list[SipObject] = []
    for each in draw(st.sets(st.sampled_from([*OUTBOUND, *INBOUND, *RULES]))):
        owner = draw(st.sampled_from(OWNERS))
        metadata = Mark(owner).dump() if owner else ""
        if each in OUTBOUND:
            found.append(OutboundTrunk("o", metadata, "sip.example.net", "TLS", draw(numbers), id=each))
        elif each in INBOUND:
            found.append(InboundTrunk("i", metadata, draw(numbers), id=each))
        else:
            trunks = tuple(draw(st.lists(st.sampled_from(INBOUND), max_size=2, unique=True)))
            found.append(DispatchRule(rule_name(owner) if owner else "r", trunks, "call-", "a", "", id=each))
    return {each.id: each for each in found}


wishes = st.lists(
    st.sampled_from([*OUTBOUND, *INBOUND, *RULES, "ST_typo", "SDR_typo", "ST_o1;ST_o2", "force", ""]), max_size=8
)


def number(wish: list[str], *, calls_in: bool) -> PhoneNumber:
    """The object with the `adopt` request."""
    spec = {"phoneNumber": PHONE, "terminationUri": "sip.example.com"} | ({"inboundAgentId": "a"} if calls_in else {})
    metadata = {"namespace": "voice", "name": "main", "uid": "u", "resourceVersion": "5", "generation": 1}
    return parse({"metadata": metadata | {"annotations": {ADOPT: ",".join(wish)}}, "spec": spec})


def judged(phone: PhoneNumber, by_id: dict[str, SipObject]) -> tuple[Owned, Adoption, Assessment]:
    """As the engine puts it together."""
    owners = OPEN.owners("voice", "main")
    marked = [each for each in by_id.values() if owner_of(each) in owners]
    owned = claim(PHONE, RecordedIds(), marked, by_id)
    adoption = adoption_of(phone, owned, by_id, OPEN, lambda owner: owner.name == "gone")
    ours = {trunk.id for trunk in owned.inbound}
    foreign = tuple(
        each
        for each in by_id.values()
        if not isinstance(each, DispatchRule) and PHONE in each.numbers and each.id not in ours
        if isinstance(each, InboundTrunk) or owner_of(each) == FOREIGN
    )
    return owned, adoption, assess(Situation(phone, owned, foreign, adoption=adoption), OPEN, MASK, 0.0)


def is_free(each: SipObject) -> bool:
    """Whether it may be taken over at all, judged on its own."""
    fits = len(each.trunk_ids) == 1 if isinstance(each, DispatchRule) else each.numbers == (PHONE,)
    return owner_of(each) in FREE and fits


@QUICK
@given(livekits(), wishes, st.booleans())
def test_a_wish_touches_only_what_is_free_and_makes_no_second_object(
    by_id: dict[str, SipObject],
    wish: list[str],
    calls_in: bool,  # noqa: FBT001
) -> None:
    owned, adoption, assessment = judged(number(wish, calls_in=calls_in), by_id)
    there = {kind_of(each) for each in (owned + adoption.taken).all}
    assert all(is_free(each) and each.id in wish for each in adoption.taken.all)
    for change in assessment.changes:
        match change:
            case Create(wanted):
                assert kind_of(wanted) not in there
                assert not adoption.refused
            case Replace(wanted, _):
                assert wanted.id in {*owned.ids, *adoption.taken.ids}
            case Delete(_, id) | Remark(_, id):
                assert id in owned.ids or (id in adoption.taken.ids and owner_of(by_id[id]) is not None)


@QUICK
@given(livekits(), wishes, st.booleans())
def test_every_id_of_a_wish_is_ours_taken_told_or_gone(
    by_id: dict[str, SipObject],
    wish: list[str],
    calls_in: bool,  # noqa: FBT001
) -> None:
    owned, adoption, assessment = judged(number(wish, calls_in=calls_in), by_id)
    told = assessment.verdict.message if assessment.verdict else ""
    for each in set(wish) - {"force", ""}:
        fulfilled = each in owned.ids or each in adoption.taken.ids
        assert fulfilled or f"{each} " in told or (each not in by_id and each in adoption.absent)
