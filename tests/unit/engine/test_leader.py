"""Leader election: candidates with clocks of their own on one Lease."""

import asyncio

import pytest

from byoc_operator.api.names import RETAINED_IDS
from byoc_operator.cluster.fake import Fail, FakeApi
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.engine.leader import DURATION_S, Alone
from byoc_operator.errors import Unavailable
from candidates import API_DOWN, Runs, now, two
from operated import LEASE, SYSTEM, candidate, held_by, now_s
from virtual_time import in_virtual_time


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
    await LeaseApi(api, SYSTEM, LEASE).amend(RETAINED_IDS, lambda _: "SDR_a")
    await leader.release()
    assert held_by(api) == ""
    taking, began = Runs(follower.acquire()), now()
    assert await taking.ends(60) - began <= 2
    found = await LeaseApi(api, SYSTEM, LEASE).read()
    assert found is not None
    assert found.annotations == {RETAINED_IDS: "SDR_a"}


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
