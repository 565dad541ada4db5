"""After a change of `LIVEKIT_URL`, a finding names the old server for as long as objects may be there."""

from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.recorded_status import MAX_LEFT_HOSTS
from byoc_operator.api.resource import Key
from byoc_operator.cluster.numbers import NumberApi
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from operated import NAME, NAMESPACE, STATUS_PATCH, World, manifest
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
FIRST, SECOND, THIRD = "livekit.example.com", "second.example.com", "third.example.com"
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")


def said(world: World, name: str = NAME) -> str:
    """The message of the finding, empty if there is none."""
    return next(
        (each["message"] for each in world.status(name).get("findings", ()) if each["code"] == "LeftBehind"), ""
    )


async def move(world: World, host: str, livekit: FakeLiveKit) -> None:
    """Started again with another `LIVEKIT_URL`."""
    await world.crash()
    world.installation = replace(world.installation, live_kit=host)
    world.livekit = livekit
    await world.start()


async def moved() -> tuple[World, FakeLiveKit, tuple[str, ...]]:
    """One number, moved to an empty second server; with the first server and the IDs there."""
    world = await World.in_step()
    first, ids = world.livekit, world.ids()
    await move(world, SECOND, FakeLiveKit(seed=2))
    return world, first, ids


@in_virtual_time
async def test_a_move_makes_new_objects_and_says_where_the_old_ones_are() -> None:
    world, first, ids = await moved()
    assert (world.ready(), world.status()["liveKit"]) == (SYNCED, SECOND)
    assert not set(ids) & set(world.ids())
    assert FIRST in said(world)
    assert [each for each in ids if each not in said(world)] == []
    assert len(first.objects()) == 3


@in_virtual_time
async def test_it_stays_and_costs_nothing() -> None:
    world, _, _ = await moved()
    message = said(world)
    world.forget_counts()
    await world.sweep()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert said(world) == message


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ({"terminationUri": "not a host"}, {"terminationUri": "sip.example.com"}),
        ({"managementPolicy": "Observe"}, {"managementPolicy": "Manage"}),
        ({"inboundAgentId": None}, {"inboundAgentId": "agent_support"}),
    ],
)
@in_virtual_time
async def test_it_outlives_whatever_happens_to_the_spec(change: dict[str, str | None], back: dict[str, str]) -> None:
    world, _, _ = await moved()
    message = said(world)
    world.api.edit(NAMESPACE, NAME, **change)
    await world.settle()
    world.api.edit(NAMESPACE, NAME, **back)
    await world.settle()
    assert (world.ready(), said(world)) == (SYNCED, message)


@in_virtual_time
async def test_it_outlives_a_pause() -> None:
    world, _, _ = await moved()
    message = said(world)
    world.api.annotate(NAMESPACE, NAME, paused="true")
    await world.settle()
    world.api.annotate(NAMESPACE, NAME, paused=None)
    await world.settle()
    assert (world.ready(), said(world)) == (SYNCED, message)


@in_virtual_time
async def test_it_outlives_an_outage() -> None:
    world, _, _ = await moved()
    message = said(world)
    world.livekit.always = DOWN
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.elapse(100)
    assert (world.ready(), said(world)) == (("False", "LiveKitUnavailable"), message)
    world.livekit.always = None
    await world.elapse(20)
    assert (world.ready(), said(world)) == (SYNCED, message)


@in_virtual_time
async def test_a_move_to_a_server_that_is_down_forgets_nothing() -> None:
    world = await World.in_step()
    ids = world.ids()
    second = FakeLiveKit(always=DOWN, seed=2)
    await move(world, SECOND, second)
    await world.elapse(600)
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.elapse(600)
    assert world.ids() == ids
    second.always = None
    await world.elapse(20)
    assert world.ready() == SYNCED
    assert [each for each in (FIRST, *ids) if each not in said(world)] == []


@in_virtual_time
async def test_back_before_anything_was_made_elsewhere_nothing_is_left_behind() -> None:
    world = await World.in_step()
    first, ids = world.livekit, world.ids()
    await move(world, SECOND, FakeLiveKit(always=DOWN, seed=2))
    await world.elapse(100)
    await move(world, FIRST, first)
    assert (world.ready(), world.ids(), said(world)) == (SYNCED, ids, "")


@in_virtual_time
async def test_back_where_the_objects_are_it_is_the_other_server_where_some_are_left() -> None:
    world, first, ids = await moved()
    elsewhere = world.ids()
    await move(world, FIRST, first)
    assert (world.ready(), world.ids()) == (SYNCED, ids)
    assert FIRST not in said(world)
    assert [each for each in (SECOND, *elsewhere) if each not in said(world)] == []
    assert len(first.objects()) == 3


@in_virtual_time
async def test_a_second_move_does_not_forget_the_first_server() -> None:
    world, _, ids = await moved()
    elsewhere = world.ids()
    await move(world, THIRD, FakeLiveKit(seed=3))
    assert [each for each in (SECOND, *elsewhere, FIRST, *ids) if each not in said(world)] == []


@in_virtual_time
async def test_another_name_of_the_same_server_leaves_nothing_behind() -> None:
    world = await World.in_step()
    ids = world.ids()
    await move(world, SECOND, world.livekit)
    assert (world.ready(), world.ids(), said(world)) == (SYNCED, ids, "")
    assert world.status()["liveKit"] == SECOND
    assert world.livekit_writes() == []


@in_virtual_time
async def test_a_new_number_never_left_anything() -> None:
    world, _, _ = await moved()
    world.api.apply(manifest("new", phoneNumber="+15550100001"))
    await world.settle()
    assert said(world, "new") == ""


@in_virtual_time
async def test_a_deletion_after_a_move_is_not_held_by_what_was_left() -> None:
    world, first, _ = await moved()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), len(first.objects())) == (False, 3)


def typed(world: World) -> dict[str, list[str]]:
    """The IDs in `status.leftBehind`, by host."""
    return {each["liveKit"]: each["ids"] for each in world.status().get("leftBehind", ())}


@in_virtual_time
async def test_the_status_names_hosts_and_ids_in_a_field_of_its_own() -> None:
    world, _, ids = await moved()
    elsewhere = world.ids()
    assert {host: set(left) for host, left in typed(world).items()} == {FIRST: set(ids)}
    await move(world, THIRD, FakeLiveKit(seed=3))
    assert {host: set(left) for host, left in typed(world).items()} == {FIRST: set(ids), SECOND: set(elsewhere)}


async def written_by_the_version_before(world: World, message: str) -> None:
    """A status without `leftBehind`: only the words of the finding say what was left."""
    number = world.ports.cache.get(Key(NAMESPACE, NAME))
    assert number is not None
    await world.crash()
    findings = [each for each in world.status().get("findings", ()) if each["code"] != "LeftBehind"]
    findings += [{"code": "LeftBehind", "message": message}] if message else []
    before = {"leftBehind": None, "findings": findings or None}
    await NumberApi(world.api, ()).patch_status(number, before)
    world.forget_counts()


@in_virtual_time
async def test_after_an_upgrade_the_words_of_the_finding_are_remembered_once_more() -> None:
    world, _, ids = await moved()
    message, before = said(world), typed(world)
    await written_by_the_version_before(world, message)
    await world.start()
    assert (said(world), typed(world)) == (message, before)
    assert world.api_writes() == [STATUS_PATCH]
    await world.restart()
    await move(world, THIRD, FakeLiveKit(seed=3))
    assert set(typed(world)) == {FIRST, SECOND}
    assert set(typed(world)[FIRST]) == set(ids)


@in_virtual_time
async def test_an_upgrade_writes_nothing_for_a_number_that_left_nothing() -> None:
    world = await World.in_step()
    await written_by_the_version_before(world, "")
    await world.start()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    assert "leftBehind" not in world.status()


@pytest.mark.parametrize(
    "words",
    ["", " (", " ()", " (: )", " (; ; )", " (a)", " (a: )", "a: b", f" ({'h' * 600}: ST_1)", f" (h: {'i' * 300})"],
)
@in_virtual_time
async def test_words_that_say_nothing_leave_nothing_behind(words: str) -> None:
    world = await World.in_step()
    await written_by_the_version_before(world, f"Somebody's words{words}")
    await world.start()
    assert (world.ready(), said(world), typed(world)) == (SYNCED, "", {})


@in_virtual_time
async def test_of_many_moves_the_latest_are_remembered() -> None:
    world, _, _ = await moved()
    for count in range(MAX_LEFT_HOSTS + 2):
        await move(world, f"host{count}.example.com", FakeLiveKit(seed=10 + count))
    assert list(typed(world)) == [f"host{count}.example.com" for count in range(1, MAX_LEFT_HOSTS + 1)]
    assert world.ready() == SYNCED
