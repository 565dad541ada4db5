"""Every cell of policies, pause, credentials, LiveKit, recorded IDs, deletion and claim: what is written and told.

`expected` is DESIGN §4's rules of deletion and order of reasons, written down a second time and on purpose not in the
operator's words. Each cell is played with a real engine on objects that have drifted, so that there is something to do.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core import plan
from byoc_operator.core.ownership import Mark, Owner, parse_mark, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, kind_of
from byoc_operator.engine.priority import Priority
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PASSWORD, PHONE, USER, World, manifest
from virtual_time import in_virtual_time

FINALIZER = "byoc.talkifai.dev/finalizer"
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")
EVERYTHING = frozenset(Kind)
INBOUND_SIDE = frozenset({Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE})
TRUNKS = frozenset({Kind.INBOUND_TRUNK, Kind.OUTBOUND_TRUNK})
NOTHING = frozenset[Kind]()


@dataclass(frozen=True)
class Cell:
    """One combination. `ids_known`: they stand in the status, else only the marks tell."""

    observes: bool
    retains: bool
    paused: bool
    credentials: bool
    reachable: bool
    ids_known: bool
    deleting: bool
    claimed: bool

    def __str__(self) -> str:
        words = {
            "observes": ("Observe", "Manage"),
            "retains": ("Retain", "Delete"),
            "paused": ("paused", "-"),
            "credentials": ("secret", "no secret"),
            "reachable": ("up", "down"),
            "ids_known": ("recorded", "unrecorded"),
            "deleting": ("deleting", "staying"),
            "claimed": ("claimed", "free"),
        }
        return " ".join(yes if getattr(self, name) else no for name, (yes, no) in words.items())


@dataclass(frozen=True)
class Outcome:
    """`written`: kinds of LiveKit objects that changed; `gone`: whether they went; `ready`: None if let go."""

    written: frozenset[Kind] = NOTHING
    gone: bool = False
    ready: tuple[str, str] | None = None


def expected(cell: Cell) -> Outcome:  # noqa: PLR0911 - a table
    """The table."""
    if cell.deleting:
        if cell.observes:
            return Outcome()  # Observe never writes, not even at deletion, and does not need LiveKit for that
        if not cell.reachable:
            return Outcome(ready=("False", "LiveKitUnavailable"))
        return Outcome(written=TRUNKS) if cell.retains else Outcome(written=EVERYTHING, gone=True)
    if cell.paused:
        return Outcome(ready=("Unknown", "Paused"))
    if cell.claimed:
        # A claimant has no trunk of the number, unless it must keep it or may not write.
        leaves = cell.reachable and not cell.observes and not cell.retains
        return Outcome(written=EVERYTHING if leaves else NOTHING, gone=leaves, ready=("False", "NumberClaimed"))
    writes = cell.reachable and not cell.observes
    if not cell.credentials:
        return Outcome(written=INBOUND_SIDE if writes else NOTHING, ready=("False", "SecretNotFound"))
    if not cell.reachable:
        return Outcome(ready=("False", "LiveKitUnavailable"))
    if cell.observes:
        return Outcome(ready=("False", "ChangesPending"))
    return Outcome(written=EVERYTHING, ready=("True", "Synced"))


CELLS = [Cell(*values) for values in itertools.product([False, True], repeat=8)]


def drifted(owner: Owner, tag: str) -> tuple[SipObject, SipObject, SipObject]:
    """The LiveKit objects of a number: with its mark, not in step with the spec, and to be deleted."""
    mark = Mark(owner, deletion_policy="Delete").dump()
    return (
        OutboundTrunk("old", mark, "old.example.com", "TLS", (PHONE,), media_encryption="Required", id=f"ST_out{tag}"),
        InboundTrunk("old", mark, (PHONE,), media_encryption="Required", id=f"ST_in{tag}"),
        DispatchRule(rule_name(owner), (f"ST_in{tag}",), "call-", "old agent", "{}", id=f"SDR_rule{tag}"),
    )


OURS = drifted(Owner("cluster-a", NAMESPACE, NAME), "")
HOLDERS = drifted(Owner("cluster-a", NAMESPACE, "holder"), "_holder")
FOREIGN = OutboundTrunk("theirs", "{}", "sip.example.net", "TCP", (PHONE,), id="ST_foreign")
POLICIES = {False: ("Manage", "Delete"), True: ("Observe", "Retain")}


async def record(world: World, name: str, tag: str) -> None:
    """Write the LiveKit IDs of a number into its status."""
    ids = {"outboundTrunkId": f"ST_out{tag}", "inboundTrunkId": f"ST_in{tag}", "dispatchRuleId": f"SDR_rule{tag}"}
    await world.api.request(
        "PATCH",
        f"/apis/byoc.talkifai.dev/v1alpha1/namespaces/{NAMESPACE}/byocphonenumbers/{name}/status",
        resource="byocphonenumbers/status",
        body={"status": {"observedGeneration": 1, "liveKit": "livekit.example.com", **ids}},
        content_type="application/merge-patch+json",
    )


async def played(cell: Cell, *, woken: bool = True) -> World:
    """Start the operator in the cell and wait until it is idle. `woken`: the number gets a run in any case."""
    world = World()
    if cell.claimed:
        world.api.apply(manifest("holder"))
        await record(world, "holder", "_holder")
        for each in HOLDERS:
            world.livekit.put(each)
    number: dict[str, Any] = manifest(
        managementPolicy=POLICIES[cell.observes][0],
        deletionPolicy=POLICIES[cell.retains][1],
        annotations={"paused": "true"} if cell.paused else {},
    )
    number["metadata"]["finalizers"] = [FINALIZER]
    world.api.apply(number)
    if cell.ids_known:
        await record(world, NAME, "")
    if cell.credentials:
        world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    for each in (*OURS, FOREIGN):
        world.livekit.put(each)
    if not cell.reachable:
        world.livekit.always = DOWN
    if cell.deleting:
        world.api.delete(NAMESPACE, NAME)
    await world.start()
    if woken:
        world.engine.queue.add(PHONE, Priority.USER)
        await world.settle()
    return world


def outcome(world: World) -> Outcome:
    stored = {each.id: each for each in world.livekit.objects()}
    return Outcome(
        written=frozenset(kind_of(each) for each in OURS if stored.get(each.id) != each),
        gone=not any(each.id in stored for each in OURS),
        ready=world.ready() if world.exists() else None,
    )


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_table(cell: Cell) -> None:
    _held(cell)


@in_virtual_time
async def _held(cell: Cell) -> None:
    world, table = await played(cell), expected(cell)
    assert outcome(world) == table
    stored = {each.id: each for each in world.livekit.objects()}
    assert stored[FOREIGN.id] == FOREIGN
    assert len(world.livekit.objects()) == 1 + (0 if table.gone else 3) + (3 if cell.claimed else 0)
    if cell.deleting and cell.retains and table.written:
        for trunk in OURS[:2]:
            kept = stored[trunk.id]
            assert not isinstance(kept, DispatchRule)
            mark = parse_mark(kept.metadata)
            assert mark is not None
            assert mark.deletion_policy == "Retain"
            assert plan.differences(trunk, kept) == (f"{kind_of(trunk)}.metadata",)
    if world.exists():
        assert world.raw()["metadata"]["finalizers"] == [FINALIZER]
        _told(world, cell)


def _told(world: World, cell: Cell) -> None:
    """The conditions that kstatus requires together with Ready."""
    conditions = world.conditions()
    status, reason = conditions["Ready"]
    stalled = reason in ("NumberClaimed", "SecretNotFound")
    assert ("Stalled" in conditions) == stalled
    assert ("Reconciling" in conditions) == (reason == "LiveKitUnavailable")
    if reason == "ChangesPending":
        pending = world.status()["pendingChanges"]
        assert "outboundTrunk.address" in pending
        assert not any("old.example.com" in path for path in pending)
    assert status == {"Synced": "True", "Paused": "Unknown"}.get(reason, "False")
    if cell.deleting:
        assert not cell.reachable
        assert conditions["Reconciling"] == ("True", "Deleting")
    if reason == "NumberClaimed" and cell.reachable:
        assert world.ids() == ("", "", "")
        assert not cell.retains or all(each.id in world.message() for each in OURS)
    elif cell.ids_known and not world.livekit_writes():
        assert world.ids() == ("ST_out", "ST_in", "SDR_rule")
    assert PASSWORD not in world.told()


DOWN_CELLS = [cell for cell in CELLS if not cell.reachable]
UP_CELLS = [cell for cell in CELLS if cell.reachable and not cell.claimed]  # the holder's own writes would be counted


@pytest.mark.parametrize("cell", DOWN_CELLS[::5], ids=str)
def test_an_operator_that_starts_without_livekit_judges_all_the_same(cell: Cell) -> None:
    _started(cell)


@in_virtual_time
async def _started(cell: Cell) -> None:
    world = await played(cell, woken=False)
    await world.elapse(40)
    assert outcome(world) == expected(cell)


@pytest.mark.parametrize("cell", DOWN_CELLS[::5], ids=str)
def test_a_cell_without_livekit_becomes_the_one_with_livekit(cell: Cell) -> None:
    _recovered(cell)


@in_virtual_time
async def _recovered(cell: Cell) -> None:
    world = await played(cell)
    world.livekit.always = None
    await world.elapse(40)
    assert outcome(world) == expected(replace(cell, reachable=True))


@pytest.mark.parametrize("cell", UP_CELLS[::3], ids=str)
def test_a_cell_stays_as_it_is(cell: Cell) -> None:
    _stable(cell)


@in_virtual_time
async def _stable(cell: Cell) -> None:
    world = await played(cell)
    before = world.livekit.objects()
    world.forget_counts()
    await world.sweep()
    await world.restart()
    assert (world.livekit.objects(), world.api_writes(), world.livekit_writes()) == (before, [], [])


@pytest.mark.parametrize("cell", [cell for cell in DOWN_CELLS if cell.deleting][::3], ids=str)
def test_force_orphan_lets_every_cell_go_without_livekit(cell: Cell) -> None:
    _forced(cell)


@in_virtual_time
async def _forced(cell: Cell) -> None:
    world = await played(cell)
    if not cell.observes:
        world.api.annotate(NAMESPACE, NAME, force_orphan="true")
        await world.settle()
        assert "Orphaned" in world.event_reasons()
        assert not cell.ids_known or all(each.id in world.told() for each in OURS)
    assert not world.exists()
    assert [each for each in OURS if each not in world.livekit.objects()] == []
