"""Orphans: reported after two sweeps, and deleted only if a setting says so."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.conditions import Reason
from byoc_operator.core.orphans import orphans
from byoc_operator.core.ownership import Mark, Owner, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject
from byoc_operator.engine.orphan_search import OrphanRules, OrphanSearch
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Hang
from operated import NAME, NAMESPACE, PASSWORD, PHONE, World, manifest
from strategies import QUICK
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
GONE = Owner("cluster-a", NAMESPACE, "gone")
GONE_PHONE = "+15550107777"
FOREIGN: tuple[SipObject, ...] = (
    OutboundTrunk("theirs", "{}", "sip.example.net", "TCP", (PHONE,), id="ST_foreign_out"),
    InboundTrunk("theirs", '{"managedBy":"somebody"}', ("+15550109999",), id="ST_foreign_in"),
    DispatchRule("byoc:not/ours", ("ST_foreign_in",), "call-", "agent", "{}", id="SDR_foreign"),
)


def family(owner: Owner, *, policy: str = "Delete", tag: str = "") -> tuple[SipObject, SipObject, SipObject]:
    """The three objects of one number: rule, inbound and outbound trunk."""
    mark = Mark(owner, deletion_policy=policy).dump()
    return (
        DispatchRule(rule_name(owner), (f"ST_in{tag}",), "call-", "agent", "{}", id=f"SDR_rule{tag}"),
        InboundTrunk("left", mark, (GONE_PHONE,), id=f"ST_in{tag}"),
        OutboundTrunk("left", mark, "sip.example.com", "TLS", (GONE_PHONE,), id=f"ST_out{tag}"),
    )


async def world_with(
    *objects: SipObject, deletes: bool, namespaces: tuple[str, ...] = (), livekit: FakeLiveKit | None = None
) -> World:
    """A number in step, foreign LiveKit objects, and orphans."""
    world = World(livekit=livekit or FakeLiveKit(seed=1), deletes_orphans=deletes)
    world.api.put_secret(NAMESPACE, "sip", {"username": "trunk-user", "password": PASSWORD})
    world.api.apply(manifest())
    for each in (*FOREIGN, *objects):
        world.livekit.put(each)
    await world.start()
    if namespaces:
        rules = OrphanRules(namespaces, deletes=deletes)
        world.engine._sweeper._orphans = OrphanSearch(world.ports, rules, world._hear, lambda *_: None)
    assert world.ready() == SYNCED
    world.forget_counts()
    return world


def there(world: World) -> dict[str, SipObject]:
    return {each.id: each for each in world.livekit.objects()}


def told(world: World) -> list[str]:
    return [each for each in world.troubles if each.startswith("OrphansFound")]


@in_virtual_time
async def test_orphans_are_reported_once_and_left_alone() -> None:
    left = family(GONE)
    world = await world_with(*left, deletes=False)
    for _ in range(4):
        await world.sweep()
    (note,) = told(world)
    assert [each.id for each in left if each.id not in note] == []
    assert f"{NAMESPACE}/gone" in note
    assert "BYOC_ORPHANS=Delete" in note
    assert world.engine.orphans.count == 3
    assert (world.livekit_writes(), world.api_writes()) == ([], [])
    assert all(there(world)[each.id] == each for each in (*left, *FOREIGN))


@in_virtual_time
async def test_one_sweep_alone_believes_nothing() -> None:
    world = await world_with(*family(GONE), deletes=True)
    await world.elapse(100)
    assert (told(world), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_with_delete_they_go_rules_first() -> None:
    world = await world_with(*family(GONE, tag="1"), *family(replace(GONE, name="also-gone"), tag="0"), deletes=True)
    await world.sweep()
    await world.sweep()
    assert [(method, what) for method, _, what in world.livekit.calls if method != "list"] == [
        ("delete", "SDR_rule0"),
        ("delete", "SDR_rule1"),
        ("delete", "ST_in0"),
        ("delete", "ST_in1"),
        ("delete", "ST_out0"),
        ("delete", "ST_out1"),
    ]
    assert set(there(world)) == {each.id for each in FOREIGN} | set(world.ids())
    await world.sweep()
    assert world.engine.orphans.count == 0
    assert len(told(world)) == 1
    assert world.ready() == SYNCED


SPARED = {
    "another installation": family(Owner("cluster-b", NAMESPACE, "gone")),
    "retained": family(GONE, policy="Retain"),
    "a living number": (),
}


@pytest.mark.parametrize("left", SPARED.values(), ids=SPARED)
@in_virtual_time
async def test_what_is_no_orphan_is_neither_reported_nor_deleted(left: tuple[SipObject, ...]) -> None:
    world = await world_with(*left, deletes=True)
    before = there(world)
    for _ in range(3):
        await world.sweep()
    assert (told(world), world.livekit_writes(), there(world)) == ([], [], before)


@in_virtual_time
async def test_namespaces_that_are_not_watched_are_not_judged() -> None:
    elsewhere = family(Owner("cluster-a", "elsewhere", "gone"), tag="2")
    world = await world_with(*family(GONE), *elsewhere, deletes=True, namespaces=(NAMESPACE, "other"))
    for _ in range(3):
        await world.sweep()
    assert [each.id for each in elsewhere if there(world).get(each.id) != each] == []
    assert "ST_out" not in there(world)
    assert "elsewhere" not in "".join(told(world))


@in_virtual_time
async def test_older_installation_ids_are_ours_too() -> None:
    world = await world_with(deletes=True)
    await world.crash()
    world.installation = replace(world.installation, ids=("cluster-a", "cluster-old"))
    for each in family(Owner("cluster-old", NAMESPACE, "gone")):
        world.livekit.put(each)
    await world.start()
    await world.sweep()
    await world.sweep()
    assert "ST_out" not in there(world)


@in_virtual_time
async def test_a_rule_is_judged_by_its_trunk() -> None:
    rule, inbound, outbound = family(GONE, policy="Retain")
    other_rule = DispatchRule(rule_name(GONE), ("ST_nowhere",), "call-", "agent", "{}", id="SDR_lost")
    world = await world_with(rule, inbound, outbound, other_rule, deletes=True)
    await world.sweep()
    await world.sweep()
    assert {"SDR_rule", "ST_in", "ST_out"} <= set(there(world))
    assert "SDR_lost" not in there(world)


@in_virtual_time
async def test_a_number_that_was_retained_leaves_no_orphan_and_is_taken_over_again() -> None:
    world = await world_with(deletes=True)
    world.api.edit(NAMESPACE, NAME, deletionPolicy="Retain")
    await world.settle()
    ids = world.ids()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    for _ in range(3):
        await world.sweep()
    assert (told(world), set(ids) <= set(there(world))) == ([], True)
    await world.apply()
    assert (world.ready(), world.ids()) == (SYNCED, ids)


@in_virtual_time
async def test_orphans_that_find_their_number_again_are_not_told_of() -> None:
    world = await world_with(deletes=True)
    ids = world.ids()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.engine.queue.stop()
    world.api.delete(NAMESPACE, NAME)
    await asyncio.sleep(1)
    await world.restart()  # a lost finalizer: the objects stay
    assert set(ids) <= set(there(world))
    await world.apply()
    await world.sweep()
    await world.sweep()
    assert (world.ready(), world.ids(), told(world)) == (SYNCED, ids, [])


@in_virtual_time
async def test_a_number_that_comes_back_while_orphans_are_deleted_keeps_what_it_took_over() -> None:
    world = await world_with(*family(GONE), deletes=True)
    released = asyncio.Event()
    world.livekit.inject(Hang(released), "delete")
    await asyncio.sleep(400)  # the second sweep is deleting the rule
    assert world.livekit.count()["delete", Kind.DISPATCH_RULE] == 1
    world.api.apply(manifest("gone", phoneNumber=GONE_PHONE))
    await asyncio.sleep(1)
    assert world.ready("gone") == SYNCED
    assert world.ids("gone")[:2] == ("ST_out", "ST_in")
    released.set()
    await world.elapse(2)
    assert {"ST_out", "ST_in"} <= set(there(world))


class Stubborn(FakeLiveKit):
    """Refuses to delete one object."""

    async def delete(self, kind: Kind, id: str) -> None:
        if id == "SDR_rule0":
            raise Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: in use")
        await super().delete(kind, id)


@in_virtual_time
async def test_one_orphan_that_livekit_does_not_let_go_is_no_fault_of_livekit_and_stops_no_other() -> None:
    left = [*family(GONE, tag="0"), *family(replace(GONE, name="also-gone"), tag="1")]
    world = await world_with(*left, deletes=True, livekit=Stubborn(seed=1))
    for _ in range(4):
        await world.sweep()
    assert [each for each in world.troubles if not each.startswith("OrphansFound")] == []
    assert world.engine.livekit.trouble is None
    assert not {"SDR_rule1", "ST_in1", "ST_out1"} & set(there(world))


@in_virtual_time
async def test_many_orphans_make_one_note_of_bounded_length() -> None:
    left = [each for index in range(40) for each in family(replace(GONE, name=f"g{index}"), tag=f"{index:03}")]
    world = await world_with(*left, deletes=False)
    await world.sweep()
    await world.sweep()
    (note,) = told(world)
    assert "and 100 more" in note
    assert world.engine.orphans.count == 120


# The pure rule

_owners = st.builds(
    Owner, st.sampled_from(["cluster-a", "cluster-b"]), st.sampled_from(["voice", "other"]), st.sampled_from("abc")
)


@st.composite
def _servers(draw: st.DrawFn) -> dict[str, SipObject]:
    found: list[Any] = []
    for index in range(draw(st.integers(0, 4))):
        found += family(draw(_owners), policy=draw(st.sampled_from(["Delete", "Retain"])), tag=str(index))
    kept = [each for each in (*found, *FOREIGN) if draw(st.booleans())]
    return {each.id: each for each in kept}


@QUICK
@given(_servers(), st.sets(_owners))
def test_orphans_are_only_what_is_marked_and_left(server: dict[str, SipObject], left: set[Owner]) -> None:
    found = orphans(server, lambda owner: owner in left)
    assert all(each.owner in left and each.id in server for each in found)
    assert not {each.id for each in found} & {each.id for each in FOREIGN}
    order = [Kind.DISPATCH_RULE, Kind.INBOUND_TRUNK, Kind.OUTBOUND_TRUNK]
    assert [order.index(each.kind) for each in found] == sorted(order.index(each.kind) for each in found)
    trunks = [each for each in server.values() if not isinstance(each, DispatchRule)]
    assert not any("Retain" in trunk.metadata and trunk.id in {each.id for each in found} for trunk in trunks)
