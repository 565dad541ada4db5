"""LiveKit or the API server in trouble, bugs of our own: who is told, and what goes on."""

import asyncio
from typing import Any

import pytest

from byoc_operator.cluster.fake import Fail
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import Kind, OutboundTrunk
from byoc_operator.errors import OperatorError, Stalled, Unavailable
from byoc_operator.livekit_sip.faults import ApplyLate, Hang, LoseReply, Refuse
from operated import (
    FINALIZER_PATCH,
    NAME,
    NAMESPACE,
    PASSWORD,
    STATUS_PATCH,
    USER,
    World,
    foreign,
    manifest,
)
from virtual_time import in_virtual_time

DOWN = Unavailable(
    "LiveKitUnavailable", "LiveKit cannot be reached at LIVEKIT_URL; the operator tries again by itself."
)
UNAUTHORIZED = Stalled("LiveKitUnauthorized", "LiveKit does not accept the API key", server_wide=True)
LIMITED = Unavailable("LiveKitRateLimited", "LiveKit asks for fewer requests", retry_after_s=5.0)
API_DOWN = Unavailable("KubernetesUnavailable", "the API server does not answer")


# LiveKit as a whole


@pytest.mark.parametrize("trouble", [DOWN, UNAUTHORIZED, LIMITED], ids=lambda each: each.reason)
@in_virtual_time
async def test_an_outage_is_told_once_and_only_to_who_wants_something(trouble: OperatorError) -> None:
    world = await World.in_step()
    world.livekit.always = trouble
    await world.sweep()
    await world.elapse(1000)
    assert world.api_writes() == []
    assert world.troubles == [f"{trouble.reason}: {trouble.message}"]
    assert world.engine.livekit.trouble is not None
    await world.apply("new", phoneNumber="+15550100000")
    await world.elapse(1000)
    assert world.ready("new") == ("False", trouble.reason)
    # The finalizer was put on before LiveKit was tried; retries write nothing.
    assert world.api_writes() == [FINALIZER_PATCH, STATUS_PATCH]
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_after_an_outage_all_comes_right() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.apply("new", phoneNumber="+15550100000")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert world.ready() == ("False", "LiveKitUnavailable")
    assert world.conditions()["Reconciling"][0] == "True"
    world.livekit.always = None
    await world.elapse(700)
    assert (world.ready(), world.ready("new")) == (("True", "Synced"), ("True", "Synced"))
    assert world.engine.livekit.trouble is None


@in_virtual_time
async def test_a_restart_during_an_outage_changes_nothing() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.restart()
    await world.elapse(600)
    assert (world.api_writes(), world.ready()) == ([], ("True", "Synced"))


@in_virtual_time
async def test_a_run_that_nothing_was_asked_of_says_nothing_of_an_outage() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.restart()
    world.api.strip_finalizer(NAMESPACE, NAME)
    await world.elapse(100)
    assert (world.api_writes(), world.ready()) == ([], ("True", "Synced"))
    world.livekit.always = None
    await world.elapse(700)
    assert world.api_writes() == [FINALIZER_PATCH]


@in_virtual_time
async def test_an_edit_during_an_outage_is_tried_at_once_whatever_the_back_off() -> None:
    world = await World.running()
    world.livekit.inject(Refuse(DOWN), "create")
    await world.apply()
    assert world.ready() == ("False", "LiveKitUnavailable")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.elapse(2)  # one probe asks for everybody
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_one_hanging_call_delays_nobody_else() -> None:
    world, released = await World.running(), asyncio.Event()
    world.livekit.inject(Hang(released), "create", Kind.OUTBOUND_TRUNK)
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    world.api.apply(manifest("other", phoneNumber="+15550100000"))
    await asyncio.sleep(0.1)
    assert world.ready("other") == ("True", "Synced")
    assert world.ready() == ("", "")
    released.set()
    await world.settle()
    assert world.ready() == ("True", "Synced")


@pytest.mark.parametrize("kind", Kind)
@in_virtual_time
async def test_a_create_with_a_lost_reply_is_found_again_by_its_mark(kind: Kind) -> None:
    world = await World.running()
    world.livekit.inject(LoseReply(), "create", kind)
    await world.apply()
    await world.elapse(5)
    assert world.ready() == ("True", "Synced")
    assert world.livekit.count()["create", kind] == 1
    assert len(world.livekit.objects()) == 3


@in_virtual_time
async def test_a_create_that_is_applied_late_is_removed_as_a_duplicate() -> None:
    world = await World.running()
    world.livekit.inject(ApplyLate(), "create", Kind.OUTBOUND_TRUNK)
    await world.apply()
    await world.elapse(20)
    kept = world.ids()[0]
    theirs = world.livekit.put(foreign(world.outbound()[0], metadata="", name="theirs"))
    world.livekit.apply_late()
    assert len(world.outbound()) == 3
    await world.elapse(60)  # not only at the next sweep
    assert {each.id for each in world.outbound()} == {kept, theirs}
    assert world.ids()[0] == kept


# The API server


@in_virtual_time
async def test_a_finalizer_patch_that_fails_its_test_is_done_again_on_the_new_version() -> None:
    world = await World.running()
    world.api.watch_numbers.clear()
    world.api.apply(manifest())
    raw = world.raw()
    world.api.annotate(NAMESPACE, NAME, refresh="somebody was quicker")
    world.engine.intake.number_event("ADDED", raw)
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert world.api_writes().count(FINALIZER_PATCH) == 2


@in_virtual_time
async def test_an_object_deleted_while_it_was_judged_gets_nothing_made() -> None:
    world = await World.running()
    world.api.watch_numbers.clear()
    world.api.apply(manifest())
    raw = world.raw()
    world.api.delete(NAMESPACE, NAME)
    world.engine.intake.number_event("ADDED", raw)
    await world.settle()
    assert world.livekit.objects() == []


@pytest.mark.parametrize("resource", ["byocphonenumbers", "byocphonenumbers/status", "secrets"])
@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
@in_virtual_time
async def test_an_api_server_that_fails_once_is_asked_again(resource: str, *, applied: bool) -> None:
    world = await World.running()
    await world.elapse(2)
    world.api.inject(Fail(API_DOWN, applied=applied), None, resource)
    await world.apply()
    await world.elapse(40)
    assert world.ready() == ("True", "Synced")
    assert len(world.livekit.objects()) == 3


@in_virtual_time
async def test_the_lists_at_the_start_are_tried_until_they_work() -> None:
    world = World()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    world.api.apply(manifest())
    for _ in range(3):
        world.api.inject(Fail(API_DOWN), "GET")
    await world.start()
    assert world.ready() == ("True", "Synced")


# Bugs of our own


@in_virtual_time
async def test_a_bug_in_one_number_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.running()
    secret = "the text of an exception may hold what it was handed"
    world.livekit.inject(Refuse(_bug(secret)), "create")
    await world.apply()
    assert world.ready() == ("", "")
    await world.apply("other", phoneNumber="+15550100000")
    assert world.ready("other") == ("True", "Synced")
    await world.elapse(5)
    assert world.ready() == ("True", "Synced")
    assert "TypeError" in caplog.text
    assert secret not in caplog.text
    assert not world.engine.tasks.died.done()


def _bug(text: str) -> Any:
    return TypeError(text)


@in_virtual_time
async def test_a_task_of_our_own_that_dies_is_noticed() -> None:
    world = await World.running()
    world.livekit.inject(Refuse(UNAUTHORIZED), "list")
    world.livekit.inject(Refuse(_bug("broken")), "probe")
    await world.sweep()
    assert isinstance(world.engine.tasks.died.result(), TypeError)


@in_virtual_time
@pytest.mark.parametrize("name", ["leader", "sweeper", "worker 0"])
async def test_a_task_of_our_own_that_is_cancelled_is_noticed(name: str) -> None:
    world = await World.running()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert str(world.engine.tasks.died.result()) == f"{name} ended"


@in_virtual_time
async def test_a_bug_in_reading_livekits_lists_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.running()
    secret = "the text of an exception may hold what it was handed"
    for _ in range(3):
        world.livekit.inject(Refuse(_bug(secret)), "list")
    await world.sweep()
    assert "LiveKit's lists cannot be taken in (TypeError)" in caplog.text
    assert secret not in caplog.text
    await world.apply()
    assert world.ready() == ("True", "Synced")
    assert not world.engine.tasks.died.done()


class Deaf(World):
    """Nobody hears what concerns the installation: telling it is a bug."""

    async def _hear(self, reason: str, note: str) -> None:
        raise TypeError(reason + note)


@in_virtual_time
async def test_a_bug_in_the_search_for_orphans_is_told_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    world = await Deaf.running()
    mark = Mark(Owner("cluster-a", "voice", "gone")).dump()
    world.livekit.put(OutboundTrunk("stray", mark, "sip.example.com", "TLS", ("+15550100009",)))
    for _ in range(4):
        await world.sweep()
    assert caplog.text.count("a bug: TypeError while looking at orphans") == 1
    await world.apply()
    assert world.ready() == ("True", "Synced")
    assert not world.engine.tasks.died.done()


@in_virtual_time
async def test_stop_finishes_what_is_under_way_and_takes_nothing_more_in() -> None:
    world, released = await World.running(), asyncio.Event()
    world.livekit.inject(Hang(released), "create", Kind.DISPATCH_RULE)
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(world.engine.stop(20))
    await asyncio.sleep(1)
    assert not stopping.done()
    world.api.apply(manifest("while stopping", phoneNumber="+15550100001"))
    await asyncio.sleep(1)
    released.set()
    await stopping
    assert world.ready("while stopping") == ("", "")
    assert world.ready() == ("True", "Synced")
    world.forget_counts()
    world.api.apply(manifest("late", phoneNumber="+15550100000"))
    await asyncio.sleep(100)
    assert (world.api_writes(), world.livekit.calls) == ([], [])
    assert not world.engine.tasks.died.done()


@in_virtual_time
async def test_stop_gives_up_after_the_grace_period() -> None:
    world = await World.running()
    world.livekit.inject(Hang(asyncio.Event()), "create")
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    before = asyncio.get_running_loop().time()
    await world.engine.stop(20)
    assert asyncio.get_running_loop().time() == pytest.approx(before + 20)
    assert asyncio.all_tasks() == {asyncio.current_task()}
