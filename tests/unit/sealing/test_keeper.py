"""The task that keeps the sealing keys: when it looks, and what ends it."""

import asyncio
import logging

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.engine.leader import Alone
from byoc_operator.errors import Unavailable
from byoc_operator.sealing.keeper import JITTER, RETRY_S, Keeper
from byoc_operator.sealing.store import SealingKeys
from operated import PASSWORD, SWEEP_S, SYSTEM, World, now_s
from sealing_world import Sealed, stored
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")


@in_virtual_time
async def test_a_bug_in_a_look_is_counted_and_logged_once_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Sealed):
        async def found(self) -> str:
            raise ZeroDivisionError(PASSWORD)

    bugs: list[int] = []
    keys = SealingKeys(FakeApi(now_s), SYSTEM, asyncio.get_running_loop().time)
    keeper = Keeper(keys, nobody_hears, SWEEP_S, may_create=True, count_bug=lambda: bugs.append(1))
    for _ in range(3):
        await keeper.look(Broken(""))
    logged = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert (len(bugs), len(logged), keys.ring) == (3, 1, None)
    assert "ZeroDivisionError" in logged[0]
    assert PASSWORD not in caplog.text
    await keeper.look(Sealed(""))
    assert keys.ring is not None


@pytest.mark.parametrize(("answers", "period_s"), [(True, SWEEP_S), (False, RETRY_S)])
@in_virtual_time
async def test_the_keeper_looks_once_in_an_interval_and_sooner_after_no_answer(
    period_s: float, *, answers: bool
) -> None:
    api = FakeApi(now_s)
    keys = SealingKeys(api, SYSTEM, asyncio.get_running_loop().time)
    keeper = Keeper(keys, nobody_hears, SWEEP_S, may_create=False, count_bug=lambda: None)
    for _ in range(0 if answers else 100):
        api.inject(Fail(DOWN), "GET", "secrets")
    await keeper.look(Sealed(""))
    api.requests.clear()
    task = asyncio.create_task(keeper.run(Sealed("")))
    await asyncio.sleep(period_s * 10)
    task.cancel()
    assert 10 / (1 + JITTER) - 1 <= api.requests["GET", "secrets"] <= 10 / (1 - JITTER)


@in_virtual_time
async def test_a_replica_that_stands_by_makes_no_keys() -> None:
    world = World(ring=None, leader=Standby())
    await world.start()
    await world.sweep()
    assert stored(world.api) is None


class Standby(Alone):
    """A replica that never leads."""

    async def acquire(self) -> None:
        await asyncio.Event().wait()


def nobody_hears(_reason: str, _note: str) -> None:
    """An Event that no test asks for."""
