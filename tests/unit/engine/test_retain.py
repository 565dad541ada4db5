"""deletionPolicy Retain: the LiveKit objects that stay, their limit, and the reports about them."""

import asyncio
from dataclasses import replace

import pytest

from byoc_operator.core.desired import Installation
from byoc_operator.core.ownership import Mark, Owner, owner_of, parse_mark
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from operated import DELETES, NAME, NAMESPACE, PHONE, World, manifest
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
NORMAL = Installation(("cluster-a",), "livekit.example.com", sip_uri="sip.example.org")
OTHER_PHONE = "+15550100000"


async def running(limit: int | None) -> World:
    return await World.running(installation=replace(NORMAL, retained_at_most=limit))


async def left(world: World, name: str, phone: str) -> None:
    """Create a number with Retain, delete it again."""
    await world.apply(name, phoneNumber=phone, deletionPolicy="Retain")
    assert world.ready(name) == SYNCED
    world.api.delete(NAMESPACE, name)
    await world.settle()
    assert not world.exists(name)


def phones(world: World) -> list[str]:
    return sorted(each.numbers[0] for each in world.outbound())


def codes(world: World, name: str = NAME) -> set[str]:
    return {each["code"] for each in world.status(name).get("findings", ())}


def policies(world: World) -> set[str]:
    trunks: list[InboundTrunk | OutboundTrunk] = [*world.inbound(), *world.outbound()]
    marks = [parse_mark(each.metadata) for each in trunks]
    return {mark.deletion_policy for mark in marks if mark}


@in_virtual_time
async def test_where_it_is_denied_a_deletion_deletes_and_says_so_before_and_after() -> None:
    world = await running(0)
    await world.apply(deletionPolicy="Retain")
    assert (world.ready(), policies(world)) == (SYNCED, {"Delete"})
    assert "RetainNotAllowed" in codes(world)
    assert "BYOC_RETAIN=Deny" in world.told()
    world.forget_counts()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.livekit.objects(), world.livekit_writes()) == (False, [], DELETES)
    assert world.event_reasons() == ["RetainNotAllowed"]


@pytest.mark.parametrize("limit", [None, 0, 3])
@in_virtual_time
async def test_nothing_is_said_where_nothing_is_retained(limit: int | None) -> None:
    world = await running(limit)
    await world.apply()
    assert "RetainNotAllowed" not in codes(world)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.event_reasons() == ["Synced"]


@pytest.mark.parametrize("restarts", [True, False])
@in_virtual_time
async def test_a_namespace_leaves_no_more_than_its_limit(*, restarts: bool) -> None:
    world = await running(2)
    for count in range(5):
        await left(world, f"n{count}", f"+1555010000{count}")
        if restarts:
            await world.restart()
    assert phones(world) == ["+15550100000", "+15550100001"]
    assert policies(world) == {"Retain"}
    assert world.event_reasons().count("RetainNotAllowed") == 3
    await world.apply(deletionPolicy="Retain")
    assert "RetainNotAllowed" in codes(world)
    assert "BYOC_RETAIN=2" in world.told()


@in_virtual_time
async def test_deletions_at_once_leave_no_more_than_the_limit() -> None:
    world = await running(2)
    names = [f"n{count}" for count in range(9)]
    for count, name in enumerate(names):
        world.api.apply(manifest(name, phoneNumber=f"+1555010000{count}", deletionPolicy="Retain"))
    await world.settle()
    for name in names:
        world.api.delete(NAMESPACE, name)
    await world.settle()
    assert len(phones(world)) == 2
    assert policies(world) == {"Retain"}


@in_virtual_time
async def test_a_sweep_counts_what_is_left_once_however_many_numbers_there_are() -> None:
    world = await running(2)
    await left(world, "gone", OTHER_PHONE)
    for count in range(100):
        world.api.apply(manifest(f"n{count}", phoneNumber=f"+155502{count:05}", deletionPolicy="Retain"))
    await world.settle()
    counts, retained_in = list[str](), Snapshot.retained_in

    def counted(snapshot: Snapshot, namespace: str) -> list[tuple[str, Owner]]:
        counts.append(namespace)
        return retained_in(snapshot, namespace)

    with pytest.MonkeyPatch.context() as patched:  # each sweep has a snapshot of its own
        patched.setattr(Snapshot, "retained_in", counted)
        await world.sweep()
    assert 0 < len(counts) <= 3


@in_virtual_time
async def test_what_was_taken_over_a_moment_ago_makes_room_at_once() -> None:
    world = await running(1)
    await left(world, "a", PHONE)
    await world.apply("b", phoneNumber=OTHER_PHONE, deletionPolicy="Retain")
    assert "RetainNotAllowed" in codes(world, "b")
    world.api.apply(manifest("a"))
    world.api.delete(NAMESPACE, "b")
    await world.settle()
    assert not world.exists("b")
    assert OTHER_PHONE in phones(world)


@in_virtual_time
async def test_another_namespace_has_a_limit_of_its_own_and_what_is_taken_over_counts_no_longer() -> None:
    world = await running(1)
    world.livekit.put(
        OutboundTrunk(
            "left", Mark(Owner("cluster-a", "other", "x"), deletion_policy="Retain").dump(), "h", "TLS", (OTHER_PHONE,)
        )
    )
    await world.restart()
    await left(world, "a", PHONE)
    assert PHONE in phones(world)
    await world.apply("a", deletionPolicy="Delete")  # it is back
    assert world.ready("a") == SYNCED
    await left(world, "b", "+15550100009")
    assert "+15550100009" in phones(world)


@in_virtual_time
async def test_where_there_is_a_limit_a_lost_finalizer_leaves_orphans_and_nothing_retained() -> None:
    world = await running(2)
    await world.apply(deletionPolicy="Retain")
    world.api.annotate(NAMESPACE, NAME, paused="true")
    await world.settle()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.sweep()
    await world.sweep()
    assert (world.engine.orphans.count, world.engine.orphans.retained_count) == (3, 0)
    assert [each for each in world.troubles if each.startswith("OrphansFound")] != []


@in_virtual_time
async def test_what_is_retained_is_counted_and_told_once() -> None:
    world = await running(None)
    await left(world, "a", PHONE)
    for _ in range(4):
        await world.sweep()
    (note,) = world.troubles
    assert note.startswith("RetainedFound")
    assert all(part in note for part in (PHONE, NAMESPACE, *(each.id for each in world.outbound()), "release"))
    read = world.ports.metrics.registry.get_sample_value
    assert read("byoc_retained_numbers") == 1
    await world.apply("a", phoneNumber=PHONE)
    await world.sweep()
    assert read("byoc_retained_numbers") == 0


@in_virtual_time
async def test_many_retained_numbers_make_one_note_of_bounded_length() -> None:
    world = await running(None)
    for count in range(60):
        owner = Owner("cluster-a", NAMESPACE, f"gone-{count}")
        world.livekit.put(
            OutboundTrunk("left", Mark(owner, deletion_policy="Retain").dump(), "h", "TLS", (f"+155501{count:05}",))
        )
    await world.sweep()
    await world.sweep()
    (note,) = world.troubles
    assert "and 40 more" in note


@in_virtual_time
async def test_a_retained_number_keeps_its_rule_when_its_name_takes_another_number() -> None:
    world = await running(None)
    await left(world, NAME, PHONE)
    before = world.livekit.objects()
    await world.apply(phoneNumber=OTHER_PHONE)
    await world.sweep()
    assert world.ready() == SYNCED
    assert [each for each in before if each not in world.livekit.objects()] == []
    rule = next(each for each in world.rules() if each.id == world.ids()[2])
    assert rule.trunk_ids == (world.ids()[1],)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.livekit.objects() == before
    await world.apply(phoneNumber=PHONE)  # an object that comes back has all of them
    assert set(world.ids()) == {each.id for each in before}


@in_virtual_time
async def test_what_a_lost_object_left_is_not_turned_to_another_number_of_its_name() -> None:
    world = await running(None)
    await world.apply()
    before = world.livekit.objects()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.apply(phoneNumber=OTHER_PHONE, managementPolicy="Observe")
    await world.sweep()
    await world.sweep()
    assert world.livekit.objects() == before
    assert world.engine.orphans.count == 3  # although an object of that name exists
    assert {getattr(owner_of(each), "name", "") for each in before} == {NAME}


@in_virtual_time
async def test_a_number_that_a_stranger_changed_on_our_trunk_is_put_right() -> None:
    world = await World.in_step()
    world.livekit.edit(world.inbound()[0].id, numbers=(OTHER_PHONE,))
    before = world.ids()
    await world.sweep()
    assert (world.ready(), world.ids()) == (SYNCED, before)
    assert world.inbound()[0].numbers == (PHONE,)


@in_virtual_time
async def test_retain_that_is_allowed_costs_no_more_calls_than_before() -> None:
    world = await World.in_step(deletionPolicy="Retain")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.livekit_writes(), world.api_writes()) == ([], ["PATCH byocphonenumbers"])


@in_virtual_time
async def test_with_a_limit_the_marks_are_written_as_the_number_goes() -> None:
    world = await running(1)
    await world.apply(deletionPolicy="Retain")
    await asyncio.sleep(2)
    world.forget_counts()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.livekit_writes() == [("set_metadata", Kind.INBOUND_TRUNK), ("set_metadata", Kind.OUTBOUND_TRUNK)]
    assert {type(each) for each in world.livekit.objects()} == {DispatchRule, InboundTrunk, OutboundTrunk}
