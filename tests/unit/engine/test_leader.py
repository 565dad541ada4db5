"""Leader election: candidates with clocks of their own on one Lease."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from byoc_operator.api.names import LEFT_ALONE
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.engine.leader import BELIEF_S, DURATION_S, Alone, Leader
from byoc_operator.errors import Unavailable
from operated import LEASE, SYSTEM, CutOff, candidate, held_by, now_s
from virtual_time import in_virtual_time

API_DOWN = Unavailable("KubernetesUnavailable", "the API server does not answer")


def now() -> float:
    return asyncio.get_running_loop().time()


def two(api: FakeApi) -> tuple[Leader, Leader]:
    return candidate(api, "a", 1e6), candidate(api, "b", -500.0)


class Runs:
    """A task whose end is remembered, with the time."""

    def __init__(self, work: Awaitable[None]) -> None:
        self.ended_at = float("inf")
        self._work = work
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self._work
        self.ended_at = now()

    @property
    def done(self) -> bool:
        return self._task.done()

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ends(self, within_s: float) -> float:
        """Wait for it; when it ended."""
        await asyncio.wait_for(asyncio.shield(self._task), within_s)
        return self.ended_at


# Who leads


@in_virtual_time
async def test_alone_always_leads() -> None:
    alone = Alone()
    await alone.acquire()
    alone.must_hold()
    keeping = Runs(alone.keep())
    await asyncio.sleep(1e6)
    assert not keeping.done
    await keeping.cancel()
    await alone.release()


@in_virtual_time
async def test_of_two_only_one_leads_for_as_long_as_it_lives() -> None:
    api = FakeApi(now_s)
    one, other = two(api)
    acquiring = [Runs(one.acquire()), Runs(other.acquire())]
    await asyncio.sleep(1)
    assert sorted(each.done for each in acquiring) == [False, True]
    assert one.holds != other.holds
    leader, follower = (one, acquiring[1]) if one.holds else (other, acquiring[0])
    keeping = Runs(leader.keep())
    for _ in range(400):
        await asyncio.sleep(1.7)
        assert leader.holds
        leader.must_hold()
        assert not follower.done
    lease = api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["spec"]["leaseDurationSeconds"] == DURATION_S
    await keeping.cancel()
    await follower.cancel()


@in_virtual_time
async def test_who_does_not_lead_must_not_write() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    with pytest.raises(Unavailable):
        leader.must_hold()
    await leader.acquire()
    leader.must_hold()
    with pytest.raises(Unavailable):
        follower.must_hold()


@pytest.mark.parametrize("after_s", [0.0, 0.4, 2.9, 60.3])
@in_virtual_time
async def test_silence_is_followed_by_a_take_over_within_twenty_seconds(after_s: float) -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    await asyncio.sleep(after_s)
    await keeping.cancel()  # kill -9
    died = now()
    assert await taking.ends(60) - died <= 20
    assert held_by(api) == "b"
    lease = api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1


@in_virtual_time
async def test_a_released_lease_is_taken_within_two_seconds() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    await asyncio.sleep(33.3)
    await keeping.cancel()
    await leader.release()
    released = now()
    assert not leader.holds
    assert await taking.ends(60) - released <= 2
    follower.must_hold()


@in_virtual_time
async def test_release_of_what_is_not_held_asks_nobody() -> None:
    api = FakeApi(now_s)
    await candidate(api, "a").release()
    assert sum(api.requests.values()) == 0


@in_virtual_time
async def test_a_release_that_fails_is_no_error_and_ends_leadership_all_the_same() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    api.inject(Fail(API_DOWN), "PUT", "leases")
    await leader.release()
    assert not leader.holds
    taking, began = Runs(follower.acquire()), now()
    assert await taking.ends(60) - began <= 20


@in_virtual_time
async def test_a_lease_that_was_annotated_since_its_renewal_is_released_all_the_same() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    await LeaseApi(api, SYSTEM, LEASE).amend(LEFT_ALONE, lambda _: "SDR_a")
    await leader.release()
    assert held_by(api) == ""
    taking, began = Runs(follower.acquire()), now()
    assert await taking.ends(60) - began <= 2
    found = await LeaseApi(api, SYSTEM, LEASE).read()
    assert found is not None
    assert found.annotations == {LEFT_ALONE: "SDR_a"}


@in_virtual_time
async def test_a_late_release_does_not_take_the_lease_from_its_new_holder() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    await follower.acquire()
    await leader.release()
    assert held_by(api) == "b"


@in_virtual_time
async def test_the_same_process_name_takes_its_lease_back_at_once() -> None:
    api = FakeApi(now_s)
    await candidate(api, "a").acquire()
    began = now()
    await candidate(api, "a").acquire()
    assert now() - began < 1


# Renewal


@pytest.mark.parametrize("hangs", [False, True], ids=["refused", "hangs"])
@in_virtual_time
async def test_a_leader_that_is_cut_off_stops_before_another_can_lead(*, hangs: bool) -> None:
    api = FakeApi(now_s)
    way = CutOff(api, hangs=hangs)
    leader = Leader(LeaseApi(way, SYSTEM, LEASE), "a", lambda: now() + 77)
    follower = candidate(api, "b", -500.0)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    await asyncio.sleep(31.3)
    way.cut = True
    while leader.holds:  # noqa: ASYNC110 - to see when it ends
        await asyncio.sleep(0.05)
    stopped = now()
    with pytest.raises(Unavailable):
        leader.must_hold()
    taken = await taking.ends(60)
    assert taken - stopped >= DURATION_S - BELIEF_S - 1
    assert await keeping.ends(60) < taken + 5
    way.cut = False
    await asyncio.sleep(60)
    assert (leader.holds, held_by(api)) == (False, "b")


@pytest.mark.parametrize("down_s", [1.0, 4.0, 6.5])
@in_virtual_time
async def test_an_api_server_away_for_a_moment_costs_no_leadership(down_s: float) -> None:
    api = FakeApi(now_s)
    ways = [CutOff(api, hangs=False), CutOff(api, hangs=True)]
    leader = Leader(LeaseApi(ways[0], SYSTEM, LEASE), "a", now)
    follower = Leader(LeaseApi(ways[1], SYSTEM, LEASE), "b", now)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    for _ in range(10):
        await asyncio.sleep(20)
        ways[0].cut = ways[1].cut = True
        await asyncio.sleep(down_s)
        ways[0].cut = ways[1].cut = False
    assert not keeping.done
    assert leader.holds
    assert not taking.done
    await keeping.cancel()
    await taking.cancel()


@in_virtual_time
async def test_nobody_leads_while_the_api_server_is_away_and_one_does_afterwards() -> None:
    api = FakeApi(now_s)
    way = CutOff(api, hangs=True)
    leader, follower = (Leader(LeaseApi(way, SYSTEM, LEASE), name, now) for name in "ab")
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    await asyncio.sleep(10)
    way.cut = True
    await asyncio.sleep(3600)
    assert keeping.done
    assert (leader.holds, follower.holds, taking.done) == (False, False, False)
    way.cut = False
    began = now()
    assert await taking.ends(60) - began <= 20
    assert not leader.holds


@in_virtual_time
async def test_a_renewal_whose_reply_was_lost_is_recognised() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    for _ in range(10):
        api.inject(Fail(API_DOWN, applied=True), "PUT", "leases")
        await asyncio.sleep(7)
        assert leader.holds
    assert not keeping.done
    assert not taking.done
    await keeping.cancel()
    await taking.cancel()


@in_virtual_time
async def test_a_take_over_whose_reply_was_lost_is_recognised() -> None:
    api = FakeApi(now_s)
    leader = candidate(api, "a")
    api.inject(Fail(API_DOWN, applied=True), "POST", "leases")
    began = now()
    await leader.acquire()
    assert now() - began <= 2
    assert (leader.holds, held_by(api)) == (True, "a")


@in_virtual_time
async def test_somebody_who_edits_the_lease_costs_no_leadership() -> None:
    api = FakeApi(now_s)
    leader = candidate(api, "a")
    await leader.acquire()
    keeping = Runs(leader.keep())
    for count in range(10):
        api.edit_lease(SYSTEM, LEASE, leaseTransitions=count + 100)
        await asyncio.sleep(4)
    assert leader.holds
    assert not keeping.done
    await keeping.cancel()


@in_virtual_time
async def test_a_lease_given_to_somebody_else_ends_leadership_at_the_next_renewal() -> None:
    api = FakeApi(now_s)
    leader = candidate(api, "a")
    await leader.acquire()
    keeping, began = Runs(leader.keep()), now()
    api.edit_lease(SYSTEM, LEASE, holderIdentity="b")
    assert await keeping.ends(60) - began <= 4
    assert not leader.holds


@in_virtual_time
async def test_a_deleted_lease_ends_leadership_at_the_next_renewal_and_another_leads() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    await asyncio.sleep(10)
    api.delete_lease(SYSTEM, LEASE)
    began = now()
    assert await keeping.ends(60) - began <= 4
    assert await taking.ends(60) - began <= 20
    assert [leader.holds, follower.holds] == [False, True]


@in_virtual_time
async def test_of_many_that_take_an_old_lease_at_once_one_gets_it() -> None:
    api = FakeApi(now_s)
    await candidate(api, "old").acquire()
    many = [candidate(api, f"n{index}", 1000.0 * index) for index in range(8)]
    acquiring = [Runs(each.acquire()) for each in many]
    await asyncio.sleep(20)
    assert sum(each.holds for each in many) == 1
    assert sum(each.done for each in acquiring) == 1
    for each in acquiring:
        await each.cancel()


@pytest.mark.parametrize("skew_s", [-86_400.0, -20.0, 20.0, 86_400.0])
@in_virtual_time
async def test_what_a_renew_time_says_means_nothing(skew_s: float) -> None:
    """Somebody's clock is wrong: neither is a living leader replaced, nor a dead one waited for longer."""
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    for _ in range(30):
        stamp = (datetime.now(UTC) + timedelta(seconds=skew_s)).isoformat().replace("+00:00", "Z")
        api.edit_lease(SYSTEM, LEASE, renewTime=stamp, acquireTime=stamp)
        await asyncio.sleep(3.1)
        assert (leader.holds, taking.done) == (True, False)
    await keeping.cancel()
    died = now()
    taken = await taking.ends(60)
    assert DURATION_S - 4 <= taken - died <= 20


@in_virtual_time
async def test_a_lease_without_a_duration_is_not_taken_from_a_living_holder() -> None:
    api = FakeApi(now_s)
    leader, follower = two(api)
    await leader.acquire()
    keeping, taking = Runs(leader.keep()), Runs(follower.acquire())
    for _ in range(10):
        api.edit_lease(SYSTEM, LEASE, leaseDurationSeconds=None)
        await asyncio.sleep(2)
    holders = [leader.holds, follower.holds]
    await keeping.cancel()
    await taking.cancel()
    assert holders.count(True) <= 1


# Whether anybody leads


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
