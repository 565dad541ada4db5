"""Events are posted aside: bounded in number and time, and nobody waits for them."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.resource import Key
from byoc_operator.cluster.event_queue import MAX_WAITING
from byoc_operator.cluster.events import MAX_AGE_S, SPACING_S, Dropped, Events
from byoc_operator.cluster.fake import Fail, FakeApi, Hold, Refuse
from byoc_operator.errors import Unavailable
from byoc_operator.telemetry.table import DROPPED
from operated import LEASE, SYSTEM, now_s
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
QUOTA = Refuse(403, 'events "main.1" is forbidden: exceeded quota: events')
POST = ("POST", "events")


@dataclass
class Poster:
    """Events with an API server in memory. `dropped`: how many, by cause."""

    most: int = MAX_WAITING
    api: FakeApi = field(default_factory=lambda: FakeApi(now_s))
    dropped: Counter[str] = field(default_factory=Counter)
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        """Made inside a running loop."""
        clock = asyncio.get_running_loop().time
        self.events = Events(self.api, "operator-1", lambda cause: self.dropped.update([cause]), clock, self.most)

    def say(self, note: str, namespace: str = "voice") -> None:
        """Have an Event posted."""
        self.events.about_key(Key(namespace, "main"), "Synced", "Reconcile", note)

    def notes(self) -> list[str]:
        """What was posted, in order."""
        return [each["note"] for each in self.api.events]

    async def stop(self) -> None:
        """End `run`."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def posting(most: int = MAX_WAITING) -> AsyncIterator[Poster]:
    """Events whose `run` is under way."""
    poster = Poster(most)
    poster.task = asyncio.create_task(poster.events.run())
    yield poster
    await poster.stop()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of the log."""
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@in_virtual_time
async def test_a_thousand_events_are_posted_at_fifty_a_second() -> None:
    async with posting() as poster:
        for count in range(1000):
            poster.say(str(count))
        await asyncio.sleep(10)
        assert len(poster.notes()) == pytest.approx(10 / SPACING_S, abs=5)
        await asyncio.sleep(11)
        assert poster.notes() == [str(count) for count in range(1000)]
        assert (poster.events.waiting, poster.dropped) == (0, {})


@in_virtual_time
async def test_while_the_api_server_hangs_the_newest_events_wait_and_the_others_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with posting(most=100) as poster:
        until = asyncio.Event()
        poster.api.inject(Hold(until), *POST)
        poster.say("held")
        await asyncio.sleep(1)
        for count in range(1000):
            poster.say(str(count))
        assert (poster.events.waiting, poster.dropped) == (101, {Dropped.FULL: 900})
        until.set()
        await asyncio.sleep(10)
        assert poster.notes() == ["held", *(str(count) for count in range(900, 1000))]
        assert told(caplog) == ["an Event could not be written: more than 100 Events wait for the API server"]


@in_virtual_time
async def test_an_event_outlives_an_api_server_that_restarts() -> None:
    async with posting() as poster:
        for _ in range(3):
            poster.api.inject(Fail(DOWN), *POST)
        poster.say("one")
        poster.say("two")
        await asyncio.sleep(6)
        assert poster.notes() == []
        await asyncio.sleep(2)
        assert (poster.notes(), poster.dropped) == (["one", "two"], {})


@in_virtual_time
async def test_an_event_whose_answer_is_lost_is_there_once() -> None:
    async with posting() as poster:
        poster.api.inject(Fail(DOWN, applied=True), *POST)
        poster.say("one")
        await asyncio.sleep(5)
        assert (poster.notes(), poster.events.waiting, poster.dropped) == (["one"], 0, {})


@in_virtual_time
async def test_events_of_a_long_outage_are_dropped_when_they_are_old(caplog: pytest.LogCaptureFixture) -> None:
    async with posting() as poster:
        for _ in range(200):
            poster.api.inject(Fail(DOWN), *POST)
        for count in range(5):
            poster.say(str(count))
        await asyncio.sleep(MAX_AGE_S + 20)
        assert (poster.events.waiting, poster.dropped) == (0, {Dropped.LATE: 5})
        assert poster.api.requests[POST] < 60
        assert len(told(caplog)) == 2, "one line while they wait, one when they are dropped"


@in_virtual_time
async def test_the_api_server_says_when_to_try_again() -> None:
    async with posting() as poster:
        busy = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server answers 429", retry_after_s=30.0)
        poster.api.inject(Fail(busy), *POST)
        poster.say("one")
        await asyncio.sleep(29)
        assert poster.notes() == []
        await asyncio.sleep(2)
        assert poster.notes() == ["one"]


@in_virtual_time
async def test_refused_events_are_logged_once_per_cause_even_if_others_are_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with posting() as poster:
        for count in range(50):
            poster.api.inject(QUOTA, *POST)
            poster.say(f"refused {count}")
            await asyncio.sleep(0.1)
            poster.say(f"accepted {count}")
            await asyncio.sleep(0.1)
        assert poster.notes() == [f"accepted {count}" for count in range(50)]
        assert poster.dropped == {Dropped.REFUSED: 50}
        assert len(told(caplog)) == 1
        assert "exceeded quota" in told(caplog)[0]


@in_virtual_time
async def test_a_bug_of_one_event_ends_nothing() -> None:
    async with posting() as poster:
        poster.api.inject(Fail(TypeError()), *POST)  # type: ignore[arg-type]  # a bug is no OperatorError
        poster.say("one")
        poster.say("two")
        await asyncio.sleep(1)
        assert (poster.notes(), poster.dropped) == (["two"], {Dropped.BUG: 1})


@in_virtual_time
async def test_at_the_end_what_waits_is_posted_also_what_was_under_way_and_the_event_on_the_lease() -> None:
    async with posting() as poster:
        poster.api.inject(Hold(asyncio.Event()), *POST)
        poster.say("under way")
        await asyncio.sleep(1)
        for count in range(10):
            poster.say(str(count))
        poster.events.about_lease(SYSTEM, LEASE, "LiveKitUnavailable", "the installation")
        await poster.stop()
        await poster.events.finish(20)
        assert sorted(poster.notes()) == sorted(["under way", "the installation", *map(str, range(10))])
        assert (poster.events.waiting, poster.dropped) == (0, {})


@in_virtual_time
async def test_the_end_waits_no_longer_than_the_grace_period_for_an_api_server_that_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with posting() as poster:
        await poster.stop()
        poster.api.inject(Hold(asyncio.Event()), *POST)
        for count in range(3):
            poster.say(str(count))
        before = asyncio.get_running_loop().time()
        await poster.events.finish(7)
        assert asyncio.get_running_loop().time() - before == pytest.approx(7)
        assert (poster.events.waiting, poster.dropped) == (0, {Dropped.STOPPED: 3})
        assert told(caplog) == ["3 Events were not written before the end of the process"]


@in_virtual_time
async def test_the_end_does_not_wait_for_an_api_server_that_is_gone() -> None:
    async with posting() as poster:
        await poster.stop()
        poster.api.inject(Fail(DOWN), *POST)
        poster.say("one")
        before = asyncio.get_running_loop().time()
        await poster.events.finish(20)
        assert asyncio.get_running_loop().time() == before
        assert poster.dropped == {Dropped.STOPPED: 1}


def test_the_metric_has_the_causes_of_the_queue() -> None:
    assert tuple(Dropped) == DROPPED
