"""Properties of the planner, tried against a model of LiveKit: a dictionary of objects by ID."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.core.desired import Desired
from byoc_operator.core.ownership import Mark, Owned, owner_of, parse_mark
from byoc_operator.core.plan import (
    Change,
    Create,
    Delete,
    Remark,
    Replace,
    Terms,
    plan,
    recreation,
    retention,
    teardown,
)
from byoc_operator.core.trunk import CREATE_ORDER, DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, kind_of
from strategies import OWNER, PHONE, QUICK, Server, servers, specs, wanted

blocks = st.frozensets(st.sampled_from(list(Kind)))
trunks = st.frozensets(st.sampled_from([Kind.OUTBOUND_TRUNK, Kind.INBOUND_TRUNK]))


def kind_touched(change: Change) -> Kind:
    return kind_of(change.wanted) if isinstance(change, Create | Replace) else change.kind


def id_touched(change: Change) -> str:
    return change.wanted.id if isinstance(change, Create | Replace) else change.id


def applied(server: Server, changes: tuple[Change, ...]) -> Server:
    """The server after the changes; the status then names what is kept."""
    by_id, trunk_id = dict(server.by_id), ""
    for position, change in enumerate(changes):
        match change:
            case Delete(_, id):
                del by_id[id]
            case Remark(_, id, metadata):
                by_id[id] = _remarked(by_id[id], metadata)
            case Create(made) | Replace(made):
                stored = replace(made, id=made.id or f"new{position}")
                if isinstance(stored, DispatchRule) and not stored.trunk_ids:
                    stored = replace(stored, trunk_ids=(trunk_id,))
                if isinstance(stored, InboundTrunk):
                    trunk_id = stored.id
                by_id[stored.id] = stored
    return recorded(Server(by_id, server.recorded))


def _remarked(stored: SipObject, metadata: str) -> SipObject:
    assert not isinstance(stored, DispatchRule)
    return replace(stored, metadata=metadata)


def recorded(server: Server) -> Server:
    owned = server.owned
    first = [found[0].id if found else "" for found in (owned.outbound, owned.inbound, owned.rules)]
    return Server(server.by_id, RecordedIds(*first))


@QUICK
@given(specs().map(wanted), servers(), st.booleans())
def test_planning_twice_does_nothing_the_second_time(want: Desired, server: Server, secret_changed: bool) -> None:  # noqa: FBT001
    after = applied(server, plan(want, server.owned, Terms(secret_changed=secret_changed)))
    assert plan(want, after.owned, Terms()) == ()
    assert len(after.owned.outbound) == 1
    assert (len(after.owned.inbound), len(after.owned.rules)) == ((1, 1) if want.inbound else (0, 0))


@QUICK
@given(specs().map(wanted), servers(), blocks, trunks, st.booleans())
def test_only_what_is_ours_is_touched(
    want: Desired,
    server: Server,
    blocked: frozenset[Kind],
    recreate: frozenset[Kind],
    refresh: bool,  # noqa: FBT001
) -> None:
    changes = plan(want, server.owned, Terms(blocked, recreate, refresh))
    touched = [id_touched(change) for change in changes if not isinstance(change, Create)]
    assert set(touched) <= set(server.owned.ids)
    assert len(touched) == len(set(touched))


@QUICK
@given(specs().map(wanted), servers(), blocks, trunks, st.booleans())
def test_blocked_kinds_stay_as_they_are(
    want: Desired,
    server: Server,
    blocked: frozenset[Kind],
    recreate: frozenset[Kind],
    refresh: bool,  # noqa: FBT001
) -> None:
    changes = plan(want, server.owned, Terms(blocked, recreate, refresh))
    assert {kind_touched(change) for change in changes}.isdisjoint(blocked)


@QUICK
@given(specs().map(wanted), servers(), blocks, trunks, st.booleans())
def test_deletions_come_first_and_both_ways_in_order(
    want: Desired,
    server: Server,
    blocked: frozenset[Kind],
    recreate: frozenset[Kind],
    refresh: bool,  # noqa: FBT001
) -> None:
    changes = plan(want, server.owned, Terms(blocked, recreate, refresh))
    ranks = [
        -CREATE_ORDER.index(kind_touched(change)) - 1
        if isinstance(change, Delete)
        else CREATE_ORDER.index(kind_touched(change))
        for change in changes
    ]
    assert ranks == sorted(ranks)


@QUICK
@given(specs().map(wanted), servers(), blocks)
def test_every_rule_that_is_written_names_a_trunk_or_follows_its_creation(
    want: Desired, server: Server, blocked: frozenset[Kind]
) -> None:
    created: set[Kind] = set()
    for change in plan(want, server.owned, Terms(blocked)):
        if isinstance(change, Create | Replace) and isinstance(change.wanted, DispatchRule):
            assert change.wanted.trunk_ids or Kind.INBOUND_TRUNK in created
        if isinstance(change, Create):
            created.add(kind_of(change.wanted))


@QUICK
@given(specs().map(wanted), servers())
def test_a_refresh_replaces_everything_in_place(want: Desired, server: Server) -> None:
    settled = applied(server, plan(want, server.owned, Terms()))
    changes = plan(want, settled.owned, Terms(refresh=True))
    assert {id_touched(change) for change in changes} == set(settled.owned.ids)
    assert [change.fields for change in changes if isinstance(change, Replace)] == [()] * len(changes)
    assert changes


@QUICK
@given(specs(), servers(), st.sampled_from(["", "1", "2"]), st.sampled_from(["", "1", "2"]))
def test_recreate_is_answered_once(spec: PhoneNumberSpec, server: Server, asked: str, handled: str) -> None:
    anew = recreation(server.owned, asked, handled, now=True)
    want = wanted(spec, anew.values)
    before = {id_ for id_ in server.owned.ids if kind_of(server.by_id[id_]) in anew.due}
    after = applied(server, plan(want, server.owned, Terms(recreate=anew.due)))
    assert before.isdisjoint(after.owned.ids)
    again = recreation(after.owned, asked, asked, now=True)
    assert again.due == frozenset()
    assert plan(wanted(spec, again.values), after.owned, Terms(recreate=again.due)) == ()


@QUICK
@given(specs().map(wanted), servers())
def test_of_duplicates_only_marked_ones_are_deleted(want: Desired, server: Server) -> None:
    for change in plan(want, server.owned, Terms()):
        if isinstance(change, Delete) and change.duplicate:
            assert owner_of(server.by_id[change.id]) == OWNER


@QUICK
@given(specs().map(wanted), servers())
def test_a_difference_names_fields_and_never_values(want: Desired, server: Server) -> None:
    for change in plan(want, server.owned, Terms(secret_changed=True)):
        if isinstance(change, Replace):
            assert all(path.startswith(f"{kind_of(change.wanted)}.") for path in change.fields)
            assert [path for path in change.fields if "=" in path or " " in path or "drifted" in path] == []


@QUICK
@given(servers())
def test_teardown_leaves_nothing_of_ours_and_all_that_is_not(server: Server) -> None:
    changes = teardown(server.owned)
    after = applied(server, changes)
    assert not after.owned
    assert set(after.by_id) == set(server.by_id) - set(server.owned.ids)
    ranks = [-CREATE_ORDER.index(change.kind) for change in changes]
    assert ranks == sorted(ranks)


@QUICK
@given(servers())
def test_retention_marks_trunks_once_and_changes_nothing_else(server: Server) -> None:
    after = applied(server, retention(server.owned))
    assert retention(after.owned) == ()
    assert set(after.by_id) == set(server.by_id)
    for trunk in after.owned.trunks:
        mark = parse_mark(trunk.metadata)
        assert mark is None or (mark.owner, mark.deletion_policy) == (OWNER, "Retain")


def test_nothing_is_planned_for_nothing() -> None:
    assert teardown(Owned()) == ()
    assert retention(Owned()) == ()


def test_an_unmarked_duplicate_is_left_alone() -> None:
    mark = Mark(OWNER).dump()
    kept, marked, unmarked = (
        OutboundTrunk("", metadata, "sip.example.com", "TLS", (PHONE,), id=id_)
        for id_, metadata in (("ST_1", mark), ("ST_2", mark), ("ST_3", ""))
    )
    changes = plan(Desired(kept, None, None), Owned(outbound=(kept, marked, unmarked)), Terms())
    assert changes == (Delete(Kind.OUTBOUND_TRUNK, "ST_2", duplicate=True),)


def test_opus_gets_the_one_rate_that_it_has() -> None:
    """LiveKit's SIP service refuses every call if the list has a name whose rate it does not know."""
    spec = PhoneNumberSpec.model_validate(
        {
            "phoneNumber": PHONE,
            "terminationUri": "sip.example.com",
            "inboundAgentId": "agent",
            "inbound": {"allowAnyAddress": True},
            "media": {"codecs": ["PCMU", "opus", "AMR/8000"]},
        }
    )
    want = wanted(spec)
    assert want.inbound is not None
    assert want.outbound.codecs == want.inbound.codecs == ("PCMU", "opus/48000", "AMR/8000")
