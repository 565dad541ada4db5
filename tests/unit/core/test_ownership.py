"""Marks, and which objects are ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.core import ownership
from byoc_operator.core.ownership import Mark, Owner, claim, is_installation, owner_of, parse_mark, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject
from strategies import OWNER, PHONE, QUICK, STRANGER, Server, json_values, servers

installations = st.text(min_size=1).filter(is_installation)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
owners = st.builds(Owner, installations, labels, names)
marks = st.builds(Mark, owners, st.text(), st.text(), st.sampled_from(["Delete", "Retain"]))


@QUICK
@given(marks)
def test_a_mark_round_trips(mark: Mark) -> None:
    assert parse_mark(mark.dump()) == mark


@QUICK
@given(st.text() | json_values.map(json.dumps) | marks.map(lambda mark: mark.dump()[:-1]))
def test_arbitrary_metadata_is_no_mark(metadata: str) -> None:
    assert parse_mark(metadata) is None


@QUICK
@given(json_values, json_values, json_values)
def test_a_mark_with_odd_fields_never_fails(owner: object, agent: object, recreate: object) -> None:
    raw = {"managedBy": "byoc-operator", "owner": owner, "outboundAgentId": agent, "recreate": recreate}
    mark = parse_mark(json.dumps(raw))
    assert mark is None or isinstance(mark.recreate, str)


def test_deeply_nested_metadata_is_no_mark() -> None:
    assert parse_mark('"byoc-operator"' + "[" * 100_000) is None
    assert parse_mark('["byoc-operator",' + "[" * 100_000 + "]" * 100_001) is None


@QUICK
@given(owners)
def test_a_rules_name_round_trips(owner: Owner) -> None:
    assert owner_of(rule(rule_name(owner))) == owner


@pytest.mark.parametrize("name", ["", "byoc:", "byoc:a/b", "byoc:a/b/c/d", "byoc:a//c", "a/b/c", "xbyoc:a/b/c"])
def test_other_names_mark_no_rule(name: str) -> None:
    assert owner_of(rule(name)) is None


@pytest.mark.parametrize(
    "owner",
    [
        "here/\ud800/x",
        "here/voice/\ud800",
        "\udfff/voice/main",
        "here/Voice/main",
        "here/voice/ma in",
        "here/voice/main\n",
        "here/voice/-main",
        "here/voice/main.",
        "here/voi.ce/main",
        "here/*/*",
        f"here/{'v' * 64}/main",
        f"here/voice/{'m' * 254}",
        f"{'i' * 254}/voice/main",
        "a,b/voice/main",
        "here\x1b[2J/voice/main",
        "here\u202e/voice/main",
        "here/voice/main" + "/" * 1_000_000,
        "a" * 1_000_000,
    ],
)
def test_an_owner_that_nobody_can_be_is_no_mark(owner: str) -> None:
    assert parse_mark(json.dumps({"managedBy": "byoc-operator", "owner": owner})) is None
    assert owner_of(rule(f"byoc:{owner}")) is None


@QUICK
@given(servers())
def test_ours_is_what_is_marked_or_recorded_unmarked_with_exactly_our_number(server: Server) -> None:
    for each in server.owned.trunks:
        exact = [digits(number) for number in each.numbers] == [digits(PHONE)]
        recorded = each.id in (server.recorded.outbound, server.recorded.inbound)
        assert owner_of(each) == OWNER or (owner_of(each) is None and recorded and exact)
    marked = {each.id for each in server.by_id.values() if owner_of(each) == OWNER}
    assert marked <= set(server.owned.ids)
    assert all(owner_of(server.by_id[id_]) != STRANGER for id_ in server.owned.ids)


@QUICK
@given(servers())
def test_the_recorded_object_is_the_one_to_keep(server: Server) -> None:
    owned, recorded = server.owned, server.recorded
    pairs = ((owned.outbound, recorded.outbound), (owned.inbound, recorded.inbound), (owned.rules, recorded.rule))
    for found, id_ in pairs:
        ids = [each.id for each in found]
        assert id_ not in ids or ids[0] == id_


def test_without_a_record_the_trunk_that_our_rule_names_is_kept_else_the_smallest_id() -> None:
    mark = Mark(OWNER).dump()
    ours: list[SipObject] = [inbound("ST_1", mark), inbound("ST_2", mark), rule(rule_name(OWNER), "ST_2")]
    assert [each.id for each in claim(PHONE, RecordedIds(), ours, {}).inbound] == ["ST_2", "ST_1"]
    assert [each.id for each in claim(PHONE, RecordedIds(), ours[:2], {}).inbound] == ["ST_1", "ST_2"]


@pytest.mark.parametrize(
    ("metadata", "numbers", "ours"),
    [
        ("", (PHONE,), True),
        ("{}", ("1 (987) 654-3210",), True),
        ("", (PHONE, "+15550100000"), False),
        ("", (), False),
        (Mark(STRANGER).dump(), (PHONE,), False),
    ],
)
def test_a_recorded_trunk_without_our_mark(metadata: str, numbers: tuple[str, ...], *, ours: bool) -> None:
    trunk = OutboundTrunk("", metadata, "sip.example.com", "TLS", numbers, id="ST_1")
    assert bool(claim(PHONE, RecordedIds(outbound="ST_1"), [], {"ST_1": trunk})) is ours


def test_an_id_of_another_kind_in_the_status_claims_nothing() -> None:
    trunk = inbound("ST_1", "")
    assert not claim(PHONE, RecordedIds(outbound="ST_1", rule="ST_1"), [], {"ST_1": trunk})


@pytest.mark.parametrize(
    ("name", "trunk_ids", "ours"),
    [
        ("", ("ST_1",), True),
        ("", (), False),
        ("", ("ST_1", "ST_9"), False),
        (rule_name(STRANGER), ("ST_1",), False),
    ],
)
def test_a_recorded_rule_without_our_mark(name: str, trunk_ids: tuple[str, ...], *, ours: bool) -> None:
    trunk = inbound("ST_1", Mark(OWNER).dump())
    stored = rule(name, *trunk_ids)
    owned = claim(PHONE, RecordedIds(rule=stored.id), [trunk], {"ST_1": trunk, stored.id: stored})
    assert bool(owned.rules) is ours


def inbound(id_: str, metadata: str) -> InboundTrunk:
    return InboundTrunk("", metadata, (PHONE,), id=id_)


def rule(name: str, *trunk_ids: str) -> DispatchRule:
    return DispatchRule(name, trunk_ids, "call-", "agent", "{}", id="SDR_1")


def digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())


def test_absurd_marks_are_not_remembered() -> None:
    """What is remembered is never longer than a few thousand characters, however long a metadata is."""
    long = Mark(Owner("cluster-a", "voice", "main"), outbound_agent_id="a" * 100_000).dump()
    for part in (ownership._known_mark, ownership._owner_in):
        part.cache_clear()
    mark = parse_mark(long)
    assert mark is not None
    assert (mark.owner.name, mark.outbound_agent_id) == ("main", "")
    assert owner_of(DispatchRule(f"byoc:cluster-a/voice/{'a' * 100_000}", (), "call-", "a", "{}")) is None
    assert ownership._known_mark.cache_info().currsize == 0
    assert ownership._owner_in.cache_info().currsize == 1  # that of the first
