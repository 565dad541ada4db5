"""How a leader renews its Lease, and what ends its leadership."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.engine.leader import DURATION_S, RENEW_DEADLINE_S, Leader
from byoc_operator.errors import Unavailable
from candidates import API_DOWN, Runs, now, two
from operated import LEASE, SYSTEM, CutOff, candidate, held_by, now_s
from virtual_time import in_virtual_time


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
    assert taken - stopped >= DURATION_S - RENEW_DEADLINE_S - 1
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
    """A wrong clock: a live leader is not replaced, and a dead one is replaced as soon as usual."""
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
