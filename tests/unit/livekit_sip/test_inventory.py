"""The inventory on the fake LiveKit, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.core.foreign_rules import ForeignRules
from byoc_operator.core.ownership import Mark, Owned
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, Selection, SipObject, kind_of
from byoc_operator.errors import Gone, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import ApplyLate, Hang, LoseReply, Refuse
from byoc_operator.livekit_sip.gateway import Any_
from byoc_operator.livekit_sip.inventory import LATE_S, Inventory
from strategies import MASK, OWNER, PHONE
from virtual_time import in_virtual_time

OUT = OutboundTrunk("out", Mark(OWNER).dump(), "sip.example.com", "TLS", (PHONE,), MASK("user"), MASK("pass"))
IN = InboundTrunk("in", Mark(OWNER).dump(), (PHONE,))
RULE = DispatchRule("byoc:cluster-a/voice/main", ("ST_x",), "call-", "agent", "{}")
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "down")
BY_KIND: dict[Kind, SipObject] = {Kind.OUTBOUND_TRUNK: OUT, Kind.INBOUND_TRUNK: IN, Kind.DISPATCH_RULE: RULE}


def make(livekit: FakeLiveKit) -> Inventory:
    return Inventory(livekit, asyncio.get_running_loop().time)


async def refreshed(inventory: Inventory) -> None:
    """A snapshot that begins later than all before."""
    await asyncio.sleep(1)
    await inventory.refresh()


async def _create(inventory: Inventory, _: SipObject, wanted: SipObject) -> None:
    await inventory.create(wanted, OWNER)


async def _replace(inventory: Inventory, stored: SipObject, _: SipObject) -> None:
    await inventory.replace(replace(stored, name="renamed"))


async def _delete(inventory: Inventory, stored: SipObject, _: SipObject) -> None:
    await inventory.delete(kind_of(stored), stored.id)


Write = Callable[[Inventory, SipObject, SipObject], Awaitable[None]]
OTHERS: dict[Kind, SipObject] = {
    Kind.OUTBOUND_TRUNK: OUT,
    Kind.INBOUND_TRUNK: replace(IN, numbers=("+15550100000",)),
    Kind.DISPATCH_RULE: replace(RULE, trunk_ids=("ST_y",)),
}


@pytest.mark.parametrize("hangs", Kind)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("write", [_create, _replace, _delete])
@pytest.mark.parametrize("listed_before", [True, False], ids=["list answered from before", "list answered after"])
@in_virtual_time
async def test_a_snapshot_never_undoes_a_write(write: Write, kind: Kind, hangs: Kind, *, listed_before: bool) -> None:
    """At each of the three lists the snapshot stands still, while we write an object of each kind in each way."""
    livekit, released = SlowLiveKit(seed=1) if listed_before else FakeLiveKit(seed=1), asyncio.Event()
    inventory = make(livekit)
    stored = replace(BY_KIND[kind], id=livekit.put(BY_KIND[kind]))
    await inventory.ensure()
    livekit.inject(Hang(released), "list", hangs)
    snapshot = asyncio.create_task(refreshed(inventory))
    await asyncio.sleep(2.5)
    await write(inventory, stored, OTHERS[kind])
    assert not snapshot.done()
    released.set()
    await snapshot
    assert dict(inventory.snapshot.by_id) == {each.id: each for each in livekit.objects()}


class SlowLiveKit(FakeLiveKit):
    """Reads at once and answers late: a list that hangs shows the state from before."""

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        before = self._listed(of)
        await super().list_all(of)
        return before


@pytest.mark.parametrize("kind", Kind)
@in_virtual_time
async def test_a_failed_snapshot_leaves_the_picture_as_it_was(kind: Kind) -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    livekit.put(OUT)
    await inventory.ensure()
    before = dict(inventory.snapshot.by_id)
    livekit.put(IN)
    livekit.inject(Refuse(DOWN), "list", kind)
    inventory.invalidate()
    with pytest.raises(Unavailable):
        await inventory.ensure()
    assert dict(inventory.snapshot.by_id) == before
    await inventory.ensure()
    assert len(inventory.snapshot) == 2, "what was invalid before the failure still is"


@in_virtual_time
async def test_everyone_who_waits_shares_one_snapshot() -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    await asyncio.gather(*(inventory.ensure() for _ in range(50)))
    assert len(livekit.calls) == 3


@in_virtual_time
async def test_one_who_gives_up_waiting_does_not_end_the_snapshot_of_the_others() -> None:
    livekit, released = FakeLiveKit(), asyncio.Event()
    inventory = make(livekit)
    livekit.inject(Hang(released), "list")
    impatient, patient = (asyncio.create_task(inventory.ensure()) for _ in range(2))
    await asyncio.sleep(1)
    impatient.cancel()
    await asyncio.sleep(1)
    released.set()
    await patient
    assert (inventory.loaded, len(livekit.calls)) == (True, 3)


@in_virtual_time
async def test_at_most_one_snapshot_a_second_however_many_invalidate() -> None:
    livekit, loop = FakeLiveKit(), asyncio.get_running_loop()
    inventory = make(livekit)
    started = loop.time()
    for _ in range(20):
        inventory.invalidate()
        await inventory.ensure()
    assert len(livekit.calls) == 60
    assert loop.time() - started >= 19


@in_virtual_time
async def test_failed_snapshots_are_paced_too() -> None:
    livekit, loop = FakeLiveKit(always=DOWN), asyncio.get_running_loop()
    inventory = make(livekit)
    started = loop.time()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await inventory.ensure()
    assert loop.time() - started >= 4


@in_virtual_time
async def test_what_is_contradicted_during_a_snapshot_asks_for_another() -> None:
    livekit, released = FakeLiveKit(), asyncio.Event()
    inventory = make(livekit)
    await inventory.ensure()
    livekit.inject(Hang(released), "list", Kind.OUTBOUND_TRUNK)
    snapshot = asyncio.create_task(refreshed(inventory))
    await asyncio.sleep(2.5)
    livekit.put(RULE)  # the rules are listed already
    inventory.invalidate()
    released.set()
    await snapshot
    await inventory.ensure()
    assert (len(inventory.snapshot), len(livekit.calls)) == (1, 9)


@in_virtual_time
async def test_a_replaced_object_that_is_gone_asks_for_a_snapshot() -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    made = await inventory.create(OUT, OWNER)
    await inventory.ensure()
    livekit.drop(made.id)
    with pytest.raises(Gone):
        await inventory.replace(replace(OUT, id=made.id))
    await inventory.ensure()
    assert len(inventory.snapshot) == 0


@pytest.mark.parametrize("late", [LoseReply(), ApplyLate()], ids=["applied", "late"])
@in_virtual_time
async def test_a_create_without_answer_is_open_until_a_snapshot_after_its_time(late: LoseReply | ApplyLate) -> None:
    livekit, loop = FakeLiveKit(), asyncio.get_running_loop()
    inventory = make(livekit)
    await inventory.ensure()
    livekit.inject(late, "create")
    with pytest.raises(Unavailable):
        await inventory.create(OUT, OWNER)
    until = inventory.unsettled([OWNER])
    assert until == pytest.approx(loop.time() + LATE_S)
    await refreshed(inventory)
    assert inventory.unsettled([OWNER]) == until
    await asyncio.sleep(LATE_S)
    assert inventory.unsettled([OWNER]) == until
    livekit.apply_late()
    await inventory.ensure(begun_after=until)
    assert inventory.unsettled([OWNER]) == 0
    assert len(inventory.snapshot.owned([OWNER], PHONE, RecordedIds()).outbound) == 1


@in_virtual_time
async def test_a_refused_create_is_settled() -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    livekit.inject(Refuse(DOWN), "create")
    with pytest.raises(Unavailable):
        await inventory.create(OUT, OWNER)
    assert inventory.unsettled([OWNER]) == 0


@in_virtual_time
async def test_lists_that_shrank_by_more_than_half_are_taken_again() -> None:
    livekit = Forgetful(seed=1)
    inventory = make(livekit)
    for index in range(5):
        livekit.put(replace(OUT, name=f"n{index}"))
    await inventory.ensure()
    livekit.forget = 1
    await refreshed(inventory)
    assert (len(inventory.snapshot), len(livekit.calls)) == (5, 9)
    livekit.forget = 2
    await refreshed(inventory)
    assert (len(inventory.snapshot), len(livekit.calls)) == (0, 15), "two in a row are believed"


class Forgetful(FakeLiveKit):
    """Loses a page of outbound trunks `forget` times."""

    forget = 0

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        found = await super().list_all(of)
        if of.kind is not Kind.OUTBOUND_TRUNK:
            return found
        self.forget -= 1
        return [] if self.forget >= 0 else found


@in_virtual_time
async def test_where_no_passwords_are_listed_the_digest_of_what_we_wrote_is_kept() -> None:
    livekit = FakeLiveKit(lists_passwords=False)
    inventory = make(livekit)
    made = await inventory.create(OUT, OWNER)
    unknown = livekit.put(OUT)
    for _ in range(2):
        await refreshed(inventory)
        kept, other = inventory.snapshot.by_id[made.id], inventory.snapshot.by_id[unknown]
        assert isinstance(kept, OutboundTrunk)
        assert isinstance(other, OutboundTrunk)
        assert (kept.password, kept.password_listed) == (MASK("pass"), True)
        assert (other.password, other.password_listed) == (None, False)
    livekit.edit(made.id, username=MASK("somebody else"))
    await refreshed(inventory)
    changed = inventory.snapshot.by_id[made.id]
    assert isinstance(changed, OutboundTrunk)
    assert not changed.password_listed


@in_virtual_time
async def test_indexes_follow_what_is_written() -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    await inventory.ensure()
    trunk = await inventory.create(replace(IN, numbers=("+1 (987) 654-3210",)), OWNER)
    assert [each.id for each in inventory.snapshot.trunks_with(PHONE)] == [trunk.id]
    await inventory.replace(replace(trunk, numbers=("+15550100000",)))
    assert inventory.snapshot.trunks_with(PHONE) == []
    assert [each.id for each in inventory.snapshot.trunks_with("+15550100000")] == [trunk.id]
    await inventory.remark(Kind.INBOUND_TRUNK, trunk.id, "{}")
    assert not inventory.snapshot.owned([OWNER], "+15550100000", RecordedIds())
    wildcard = livekit.put(replace(RULE, name="theirs", trunk_ids=()))
    await refreshed(inventory)
    assert [rule.id for rule in inventory.snapshot.foreign_rules([PHONE], Owned()).wildcards] == [wildcard]
    await inventory.delete(Kind.DISPATCH_RULE, wildcard)
    assert inventory.snapshot.foreign_rules([PHONE], Owned()) == ForeignRules()
    assert len(inventory.snapshot) == 1


@in_virtual_time
async def test_rules_of_others_are_found_by_trunk_and_by_called_number() -> None:
    livekit = FakeLiveKit()
    inventory = make(livekit)
    await inventory.ensure()
    trunk = await inventory.create(IN, OWNER)
    ours = await inventory.create(replace(RULE, trunk_ids=(trunk.id,)), OWNER)
    theirs = replace(RULE, name="theirs", selection=Selection(pin=MASK("1")))
    on_ours = livekit.put(replace(theirs, trunk_ids=("ST_other", trunk.id)))
    livekit.put(replace(theirs, trunk_ids=("ST_other",)))
    elsewhere = livekit.put(replace(theirs, trunk_ids=(), selection=Selection(numbers=("+15550100000",))))
    here = livekit.put(replace(theirs, trunk_ids=(), selection=Selection(numbers=("1 (987) 654-3210",))))
    await refreshed(inventory)
    owned = inventory.snapshot.owned([OWNER], PHONE, RecordedIds())
    assert owned.rules == (ours,)
    found = inventory.snapshot.foreign_rules([PHONE], owned)
    assert ([rule.id for rule in found.on_trunk], [rule.id for rule in found.wildcards]) == ([on_ours], [here])
    assert [rule.id for rule in inventory.snapshot.foreign_rules(["+15550100000"], Owned()).wildcards] == [elsewhere]
    assert found.contradicting == ()
    other = livekit.put(replace(theirs, trunk_ids=(), selection=Selection(numbers=(PHONE,))))
    await refreshed(inventory)
    assert set(inventory.snapshot.foreign_rules(["+15550100000"], Owned()).contradicting) == {here, other}
    livekit.drop(on_ours)
    livekit.drop(other)
    await refreshed(inventory)
    gone = inventory.snapshot.foreign_rules([PHONE], owned)
    assert (gone.on_trunk, gone.contradicting) == ((), ())


@in_virtual_time
async def test_a_snapshot_that_has_just_ended_is_not_awaited_for_ever() -> None:
    """Its callback has not run yet. To await it again and again would keep the loop from running the callback."""
    inventory = make(FakeLiveKit(seed=1))
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    inventory._snapshot_task = ended
    await inventory.ensure()
    assert inventory.loaded
    assert inventory._snapshot_task is None
