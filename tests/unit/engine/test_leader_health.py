"""How /readyz reports that no replica leads."""

import asyncio

import pytest

from byoc_operator.cluster.fake import FakeApi
from byoc_operator.engine.leader import DURATION_S
from candidates import Runs
from operated import candidate, now_s
from virtual_time import in_virtual_time


def without_right(api: FakeApi, verb: str) -> None:
    api.without = {(verb, "leases")}


@pytest.mark.parametrize("verb", ["get", "create"])
@in_virtual_time
async def test_who_can_never_lead_is_not_well_and_says_why_seldom(verb: str, caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi(now_s)
    without_right(api, verb)
    leader = candidate(api, "a")
    taking = Runs(leader.acquire())
    await asyncio.sleep(120)
    assert leader.problem().startswith("no replica is seen to lead: the Lease could not be reached: ")
    assert f"cannot {verb} resource" in leader.problem()
    assert len([each for each in caplog.records if "could not be reached" in each.getMessage()]) == 1
    without_right(api, "nothing")
    await taking.ends(5)
    assert leader.problem() == ""


@in_virtual_time
async def test_a_lease_that_nobody_renews_shows_no_life() -> None:
    api = FakeApi(now_s)
    dead = candidate(api, "dead")
    await dead.acquire()
    without_right(api, "update")
    standby = candidate(api, "b")
    Runs(standby.acquire())
    for _ in range(40):
        await asyncio.sleep(1)
        assert standby.problem() != ""


@in_virtual_time
async def test_who_sees_the_leader_renew_is_well_and_stays_so_through_a_take_over() -> None:
    api = FakeApi(now_s)
    leader, standby, third = candidate(api, "a"), candidate(api, "b"), candidate(api, "c")
    await leader.acquire()
    keeping, taking, waiting = Runs(leader.keep()), Runs(standby.acquire()), Runs(third.acquire())
    await asyncio.sleep(5)
    assert (standby.problem(), third.problem()) == ("", "")
    await keeping.cancel()
    for _ in range(200):
        await asyncio.sleep(0.1)
        assert (standby.problem(), third.problem()) == ("", "")
        for run, each in ((taking, standby), (waiting, third)):
            if run.done:
                await each._tried(each._renew)
    assert standby.holds or third.holds
    await taking.cancel()
    await waiting.cancel()


@in_virtual_time
async def test_when_the_leader_dies_and_nobody_can_take_over_who_stands_by_is_not_well() -> None:
    api = FakeApi(now_s)
    leader, standby = candidate(api, "a"), candidate(api, "b")
    await leader.acquire()
    keeping = Runs(leader.keep())
    Runs(standby.acquire())
    await asyncio.sleep(5)
    await keeping.cancel()
    without_right(api, "update")
    await asyncio.sleep(DURATION_S + 10)
    assert "cannot update resource" in standby.problem()
