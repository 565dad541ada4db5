"""The Event at the first Ready of a number: once per object, whatever came before."""

import asyncio

from adopting import ALL, IN, OUT, RULE, world_with
from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail, Hold
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PASSWORD, USER, World, candidate, held_by, manifest
from virtual_time import in_virtual_time

FIRST = "The number is ready. Enter this origination URI at the carrier: sip:sip.example.org;transport=tls"
AGAIN = "LiveKit is in step with this object."
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit does not answer")
STATUS = ("PATCH", "byocphonenumbers/status")
POST = ("POST", "events")


def notes(world: World, name: str = NAME) -> list[str]:
    """The notes of the Events `Synced` about a number, in order."""
    found = [each for each in world.api.events if each["regarding"]["name"] == name and each["reason"] == "Synced"]
    assert {each["type"] for each in found} <= {"Normal"}
    return [each["note"] for each in found]


async def world_without_secret() -> World:
    """An operator, and one number whose Secret is missing."""
    world = World()
    await world.start()
    await world.apply()
    assert world.ready() == ("False", "SecretNotFound")
    return world


@in_virtual_time
async def test_a_created_number_gets_one_event() -> None:
    world = await World.running()
    await world.apply()
    await world.sweep()
    await world.restart()
    assert world.event_reasons() == ["Synced"]
    assert notes(world) == [FIRST]


@in_virtual_time
async def test_a_crash_between_creation_and_status_does_not_lose_the_event() -> None:
    world = await World.running()
    world.api.inject(Hold(asyncio.Event()), *STATUS)
    world.api.apply(manifest())
    await asyncio.sleep(1)
    assert len(world.livekit.objects()) == 3
    await world.restart()
    assert notes(world) == [FIRST]


@in_virtual_time
async def test_a_status_that_is_written_at_the_second_try_gives_one_event() -> None:
    world = await World.running()
    lost = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer", outcome_unknown=True)
    world.api.inject(Fail(lost), *STATUS)
    world.api.apply(manifest())
    await world.elapse(30)
    assert notes(world) == [FIRST]


@in_virtual_time
async def test_an_adopted_number_gets_one_event() -> None:
    world = await world_with(OUT, IN, RULE)
    await world.apply(annotations={"adopt": ALL})
    await world.sweep()
    assert notes(world) == [FIRST]


@in_virtual_time
async def test_a_number_under_observe_gets_none() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    world.forget_counts()
    await world.apply(managementPolicy="Observe", deletionPolicy="Retain")
    await world.sweep()
    assert notes(world) == []


@in_virtual_time
async def test_a_number_whose_first_tries_failed_gets_it_after_a_restart_too() -> None:
    world = await world_without_secret()
    await world.restart()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.elapse(60)
    assert world.event_reasons() == ["SecretNotFound", "Synced"]
    assert notes(world) == [FIRST]


@in_virtual_time
async def test_a_return_to_ready_says_no_more_that_the_number_is_ready_for_the_first_time() -> None:
    world = await World.running()
    await world.apply()
    for paused in ("true", None) * 2:
        world.api.annotate(NAMESPACE, NAME, paused=paused)
        await world.elapse(3)
    assert notes(world) == [FIRST, AGAIN, AGAIN]


@in_virtual_time
async def test_a_number_that_was_created_during_an_outage_gets_it_when_livekit_is_back() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.apply("late", phoneNumber="+15550100001")
    await world.elapse(400)
    assert (world.ready("late")[1], notes(world, "late")) == ("LiveKitUnavailable", [])
    world.livekit.always = None
    await world.elapse(60)
    assert (notes(world, "late"), notes(world)) == ([FIRST], [])


@in_virtual_time
async def test_no_run_waits_for_an_event_that_the_api_server_holds() -> None:
    world = await World.running(workers=1)
    world.api.inject(Hold(asyncio.Event()), *POST)
    for count in range(20):
        world.api.apply(manifest(f"n{count}", phoneNumber=f"+155501000{count:02}"))
    await asyncio.sleep(5)
    assert {world.ready(f"n{count}") for count in range(20)} == {("True", "Synced")}
    assert (world.api.events, world.ports.events.waiting) == ([], 20)


@in_virtual_time
async def test_a_stop_releases_the_lease_first_and_then_posts_the_events() -> None:
    world = World()
    world.leader = candidate(world.api, "one")
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.start()
    await asyncio.sleep(2)
    until = asyncio.Event()
    for _ in range(2):  # the one that is under way at the stop, and its second try
        world.api.inject(Hold(until), *POST)
    world.api.apply(manifest())
    await asyncio.sleep(1)
    stopping = asyncio.create_task(world.engine.stop(20))
    await asyncio.sleep(1)
    assert (held_by(world.api), stopping.done(), world.api.events) == ("", False, [])
    until.set()
    await stopping
    assert notes(world) == [FIRST]
