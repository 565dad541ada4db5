"""Refresh and recreate: carried out once per value, whatever happens in between."""

from byoc_operator.core.ownership import parse_mark
from operated import CREATES, NAME, NAMESPACE, PASSWORD, USER, World
from virtual_time import in_virtual_time


@in_virtual_time
async def test_refresh_replaces_all_in_place_once() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.annotate(NAMESPACE, NAME, refresh="1")
    await world.settle()
    assert [method for method, _ in world.livekit_writes()] == ["replace"] * 3
    assert (world.ids(), world.status()["lastHandledRefresh"]) == (before, "1")
    assert world.event_reasons() == []
    world.forget_counts()
    await world.restart()
    await world.sweep()
    assert world.livekit_writes() == []


@in_virtual_time
async def test_recreate_makes_new_ids_once_even_if_the_status_is_lost() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.annotate(NAMESPACE, NAME, recreate="1")
    await world.settle()
    after = world.ids()
    assert set(before).isdisjoint(after)
    mark = parse_mark(world.outbound()[0].metadata)
    assert mark is not None
    assert mark.recreate == "1"
    world.api.wipe_status(NAMESPACE, NAME)
    await world.settle()
    await world.restart()
    assert world.ids() == after
    assert world.status()["lastHandledRecreate"] == "1"


@in_virtual_time
async def test_an_object_never_seen_answers_refresh_without_an_extra_replace() -> None:
    world = await World.running()
    await world.apply(annotations={"refresh": "1", "recreate": "2"})
    assert world.livekit_writes() == CREATES
    assert (world.status()["lastHandledRefresh"], world.status()["lastHandledRecreate"]) == ("1", "2")


@in_virtual_time
async def test_refresh_and_recreate_wait_while_paused() -> None:
    world = await World.in_step()
    world.api.annotate(NAMESPACE, NAME, paused="true", refresh="1", recreate="2")
    await world.settle()
    assert world.livekit_writes() == []
    assert "lastHandledRefresh" not in world.status()
    world.api.annotate(NAMESPACE, NAME, paused=None)
    await world.settle()
    assert (world.status()["lastHandledRefresh"], world.status()["lastHandledRecreate"]) == ("1", "2")
    assert [method for method, _ in world.livekit_writes()] == ["delete"] * 3 + ["create"] * 3


@in_virtual_time
async def test_a_refresh_waits_until_nothing_is_in_the_way() -> None:
    world = await World.in_step()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "with newline\n"})
    world.api.annotate(NAMESPACE, NAME, refresh="1")
    await world.settle()
    await world.elapse(100)
    assert (world.livekit_writes(), world.ready()) == ([], ("False", "SecretInvalid"))
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.settle()
    assert [method for method, _ in world.livekit_writes()] == ["replace"] * 3
    assert world.status()["lastHandledRefresh"] == "1"


@in_virtual_time
async def test_a_pause_that_is_none_is_told() -> None:
    world = await World.in_step()
    world.api.annotate(NAMESPACE, NAME, paused="yes")
    await world.settle()
    assert world.ready() == ("True", "Synced")
    told = [each["message"] for each in world.status()["findings"] if each["code"] == "AnnotationIgnored"]
    ignored = "An annotation is ignored, as its value is neither true nor false; correct it or take it away."
    assert told == [f"{ignored} (byoc.talkifai.dev/paused)"]
    world.api.annotate(NAMESPACE, NAME, paused=None)
    await world.settle()
    assert "AnnotationIgnored" not in [each["code"] for each in world.status()["findings"]]
