"""Requests that the API server refuses: reported once in the log, /readyz and metrics, until they succeed again."""

import asyncio
import logging

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.answers import Asked
from byoc_operator.cluster.fake import Refuse
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, World, manifest
from virtual_time import in_virtual_time

NUMBERS, STATUS = "byocphonenumbers", "byocphonenumbers/status"
POLICY = (
    "byocphonenumbers.byoc.talkifai.dev \"main\" is forbidden: ValidatingAdmissionPolicy 'labels' with binding "
    "'labels' denied request: a label is missing"
)
PATCH = Asked("patch", "byoc.talkifai.dev", STATUS, "voice", "a")


def gauge(world: World, verb: str, resource: str) -> float | None:
    return world.ports.metrics.registry.get_sample_value("byoc_refused_requests", {"verb": verb, "resource": resource})


def told(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records if record.levelno >= logging.INFO)


@in_virtual_time
async def test_a_finalizer_that_may_not_be_written_is_told_in_the_status_and_nothing_is_made() -> None:
    world = await World.running()
    world.api.without = {("patch", NUMBERS)}
    world.api.apply(manifest())
    await world.elapse(30)
    assert world.ready() == ("False", "KubernetesRefused")
    assert "cannot patch resource" in world.status()["conditions"][0]["message"]
    assert world.livekit.objects() == []
    assert world.engine.problems() != []
    world.api.without = set()
    await world.elapse(10)
    assert (world.ready(), world.engine.problems()) == (("True", "Synced"), [])


@in_virtual_time
async def test_a_deletion_that_is_refused_says_so_and_names_no_dead_trunk(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = await World.in_step()
    world.api.without = {("patch", NUMBERS)}
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(240)
    assert world.ready() == ("False", "Deleting")
    assert "cannot patch resource" in world.status()["conditions"][0]["message"]
    assert "outboundTrunkId" not in world.status()
    assert world.livekit.objects() == []
    assert told(caplog, "the API server refuses") == 1
    world.api.without = set()
    await world.elapse(10)
    assert not world.exists()
    assert gauge(world, "patch", NUMBERS) is None


@in_virtual_time
async def test_what_stays_in_livekit_is_said_once_however_often_the_finalizer_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = await World.in_step()
    annotations = {"byoc.talkifai.dev/force-orphan": "true"}
    world.api._merge(NAMESPACE, NAME, {"metadata": {"annotations": annotations}})
    world.api.without = {("patch", NUMBERS)}
    world.livekit.always = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached")
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(1200)
    assert world.ready() == ("False", "Deleting")
    assert told(caplog, "force-orphan: the object goes") == 1


@in_virtual_time
async def test_an_admission_policy_hits_one_object_and_not_the_readiness(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = await World.running()
    for _ in range(3):
        world.api.inject(Refuse(403, POLICY), "PATCH", NUMBERS)
    world.api.apply(manifest())
    await world.settle()
    assert world.ready() == ("False", "KubernetesRefused")
    assert world.engine.problems() == []
    assert gauge(world, "patch", NUMBERS) == 1
    await world.elapse(240)
    assert world.ready() == ("True", "Synced")
    assert told(caplog, "a label is missing") == 1
    assert gauge(world, "patch", NUMBERS) is None


@in_virtual_time
async def test_a_refused_object_that_is_gone_is_refused_no_longer() -> None:
    world = await World.running()
    for _ in range(50):
        world.api.inject(Refuse(403, POLICY), "PATCH", NUMBERS)
    world.api.apply(manifest())
    await world.settle()
    assert gauge(world, "patch", NUMBERS) == 1
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert gauge(world, "patch", NUMBERS) is None


@in_virtual_time
async def test_events_that_may_not_be_written_are_told_once_and_are_asked_for_by_themselves(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = await World.in_step()
    world.api.without = {("create", "events")}
    for turn in range(6):
        world.api.annotate(NAMESPACE, NAME, paused="true" if turn % 2 == 0 else None)
        await world.elapse(3)
    assert told(caplog, "cannot create resource") == 1
    assert world.engine.problems() != []
    world.api.without = set()
    await asyncio.sleep(11)
    assert world.engine.problems() == []


@in_virtual_time
async def test_a_get_that_is_refused_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    world = await World.in_step()
    world.api.without = {("get", NUMBERS)}
    await world.apply("other")
    await world.elapse(60)
    assert told(caplog, "a bug") == 0
    assert told(caplog, "the API server refuses") == 1
    world.api.without = set()
    await world.elapse(10)
    assert world.ready("other") == ("False", "NumberClaimed")
