"""A deleted number that a foreign finalizer keeps: its status shows no ID of a deleted LiveKit object."""

from collections.abc import Callable
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import FINALIZER, PLURAL
from byoc_operator.cluster.fake import Refuse
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from operated import DELETES, FINALIZER_PATCH, NAME, NAMESPACE, STATUS_PATCH, World
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")
SYNCED, DELETING = ("True", "Synced"), ("False", "Deleting")
IDS = ("inboundTrunkId", "outboundTrunkId", "dispatchRuleId")


def hold(world: World, *others: str, first: bool = False) -> None:
    """Put foreign finalizers on the number, before or after ours."""
    metadata = world.api._objects[PLURAL, NAMESPACE, NAME]["metadata"]
    kept = metadata.get("finalizers", [])
    finalizers = [*others, *kept] if first else [*kept, *others]
    world.api._merge(NAMESPACE, NAME, {"metadata": {"finalizers": finalizers}})


def finalizers(world: World) -> list[str]:
    found: list[str] = world.raw()["metadata"]["finalizers"]
    return found


async def held(*others: str, first: bool = False, **changes: Any) -> World:
    """A number in step that foreign finalizers hold, too. Requests are counted from here."""
    world = await World.in_step(**changes)
    hold(world, *(others or ("example.com/audit",)), first=first)
    await world.settle()
    world.forget_counts()
    return world


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("others", [["example.com/audit"], ["foregroundDeletion"], ["orphan"], ["a.b/c", "d.e/f"]])
@in_virtual_time
async def test_the_status_says_deleting_and_names_nothing_that_is_gone(others: list[str], *, first: bool) -> None:
    world = await held(*others, first=first, allowedAddresses=None)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.livekit.objects(), finalizers(world)) == ([], others)
    assert (world.ready(), world.conditions()["Reconciling"]) == (DELETING, ("True", "Deleting"))
    assert not {*IDS, "liveKit", "findings", "pendingChanges", "credentials"} & set(world.status())
    assert (world.api_writes(), world.livekit_writes()) == ([STATUS_PATCH, FINALIZER_PATCH], DELETES)
    assert "LiveKit has nothing of it" in world.message()
    world.forget_counts()
    await world.sweep()
    await world.restart()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes(), world.ready()) == ([], [], DELETING)


@in_virtual_time
async def test_a_finalizer_that_may_not_go_is_told_whenever_anybody_looks() -> None:
    world = await held()
    world.api.without = {("patch", PLURAL)}
    world.api.delete(NAMESPACE, NAME)
    for _ in range(10):
        await world.elapse(61)
        assert (world.ready(), FINALIZER in finalizers(world)) == (DELETING, True)
        assert "cannot patch resource" in world.message()
        assert not set(IDS) & set(world.status())
    world.api.without = set()
    await world.elapse(10)
    assert finalizers(world) == ["example.com/audit"]
    assert "LiveKit has nothing of it" in world.message()


@in_virtual_time
async def test_an_ordinary_deletion_costs_no_status() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.api_writes()) == (False, [FINALIZER_PATCH])


@in_virtual_time
async def test_the_object_goes_with_the_last_finalizer_and_the_number_is_free() -> None:
    world = await held()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply("heir")
    assert world.ready("heir") == SYNCED
    world.api._merge(NAMESPACE, NAME, {"metadata": {"finalizers": None}})
    await world.settle()
    assert (world.exists(), world.ready("heir")) == (False, SYNCED)


class Keeps(FakeLiveKit):
    """Refuses, while told so, to delete objects of one kind."""

    stubborn: Kind | None = None

    async def delete(self, kind: Kind, id: str) -> None:
        if kind is self.stubborn:
            raise Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: in use")
        await super().delete(kind, id)


@in_virtual_time
async def test_ids_go_one_by_one_where_livekit_fails_in_between() -> None:
    livekit = Keeps(seed=1)
    world = await World.running(livekit=livekit)
    await world.apply()
    hold(world, "example.com/audit")
    livekit.stubborn = Kind.OUTBOUND_TRUNK
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert set(IDS) & set(world.status()) == {"outboundTrunkId"}
    assert world.ready() == ("False", "RejectedByLiveKit")
    livekit.stubborn = None
    await world.sweep()
    assert not set(IDS) & set(world.status())
    assert (world.ready(), finalizers(world)) == (DELETING, ["example.com/audit"])


@in_virtual_time
async def test_while_livekit_is_away_the_status_says_that_and_then_deleting() -> None:
    world = await held()
    world.livekit.always = DOWN
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(30)
    assert (world.ready(), FINALIZER in finalizers(world)) == (("False", "LiveKitUnavailable"), True)
    world.livekit.always = None
    await world.elapse(700)
    assert (world.ready(), world.livekit.objects()) == (DELETING, [])


def _observe(world: World) -> None:
    world.api.edit(NAMESPACE, NAME, managementPolicy="Observe")


def _retain(world: World) -> None:
    world.api.edit(NAMESPACE, NAME, deletionPolicy="Retain")


@pytest.mark.parametrize("change", [_observe, _retain])
@in_virtual_time
async def test_what_stays_in_livekit_is_named_and_the_number_is_not_ready(change: Callable[[World], None]) -> None:
    world = await held()
    ids = world.ids()
    change(world)
    await world.settle()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.ready(), world.ids(), len(world.livekit.objects())) == (DELETING, ids, 3)
    assert all(each in world.message() for each in ids)
    for each in world.livekit.objects():
        world.livekit.drop(each.id)
    await world.sweep()
    await world.sweep()
    assert (world.ready(), world.ids()) == (DELETING, ("", "", ""))


@in_virtual_time
async def test_a_paused_number_goes_as_others_do() -> None:
    world = await held()
    world.api.annotate(NAMESPACE, NAME, paused="true")
    await world.settle()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.ready(), world.ids(), world.livekit.objects()) == (DELETING, ("", "", ""), [])


@pytest.mark.parametrize("observes", [True, False])
@in_virtual_time
async def test_who_only_waited_for_the_number_says_so_no_longer(*, observes: bool) -> None:
    world = await World.in_step()
    await world.apply("late", managementPolicy="Observe" if observes else "Manage")
    assert world.ready("late") == ("False", "NumberClaimed")
    world.api._merge(NAMESPACE, "late", {"metadata": {"finalizers": ["example.com/audit"]}})
    world.api.delete(NAMESPACE, "late")
    await world.settle()
    assert (world.ready("late"), world.ready()) == (DELETING, SYNCED)
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_an_invalid_number_that_was_never_managed_says_deleting() -> None:
    world = await World.running()
    await world.apply(terminationUri="not a host")
    hold(world, "example.com/audit")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.ready(), world.livekit.objects()) == (DELETING, [])


@in_virtual_time
async def test_our_finalizer_taken_by_hand_under_the_deletion_leaves_no_dead_id() -> None:
    world = await held()
    world.livekit.always = DOWN
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(5)
    world.api.strip_finalizer(NAMESPACE, NAME)
    await world.elapse(5)
    world.livekit.always = None
    await world.elapse(700)
    assert (world.ready(), world.ids(), world.livekit.objects()) == (DELETING, ("", "", ""), [])


@in_virtual_time
async def test_force_orphan_lets_go_and_the_status_keeps_what_may_be_there() -> None:
    world = await held()
    ids = world.ids()
    world.livekit.always = DOWN
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    world.api.annotate(NAMESPACE, NAME, force_orphan="true")
    await world.settle()
    assert (world.ready(), world.ids(), finalizers(world)) == (DELETING, ids, ["example.com/audit"])
    assert "LiveKit has nothing" not in world.message()


@in_virtual_time
async def test_a_status_that_is_refused_holds_no_deletion_and_is_written_later() -> None:
    world = await held()
    world.api.inject(Refuse(403, "no right to patch the status"), "PATCH", "byocphonenumbers/status")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (finalizers(world), world.livekit.objects()) == (["example.com/audit"], [])
    await world.elapse(60)
    assert (world.ready(), world.ids()) == (DELETING, ("", "", ""))
