"""Two engines on one cluster: one leads, the other stands by and takes over."""

import asyncio
from collections import Counter
from collections.abc import Callable

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.core.trunk import Kind
from byoc_operator.engine.leader import Leader
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip import faults
from operated import LEASE, NAME, NAMESPACE, STATUS_PATCH, SYSTEM, CutOff, World, candidate, held_by, manifest, now_s
from virtual_time import in_virtual_time

API_DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
SYNCED = ("True", "Synced")


async def replicas() -> tuple[World, World]:
    """A leader with one number in step, and a standby."""
    api = FakeApi(now_s)
    one = await World.running(api=api, leader=candidate(api, "a", 1e6))
    await one.apply()
    other = World(livekit=one.livekit, api=api, leader=candidate(api, "b", -500.0))
    await other.start()
    await one.elapse(2)
    one.forget_counts()
    return one, other


def needless(world: World) -> list[str]:
    """Writes to the cluster that are not about the Lease."""
    return [each for each in world.api_writes() if not each.endswith("leases")]


@in_virtual_time
async def test_a_standby_knows_everything_and_does_nothing() -> None:
    one, other = await replicas()
    assert (one.engine.leading, other.engine.leading) == (True, False)
    one.api.apply(manifest("second", phoneNumber="+15550100001"))
    one.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await one.elapse(1000)
    assert one.ready("second") == SYNCED
    assert {number.key.name for number in other.ports.cache.all()} == {NAME, "second"}
    assert other.ports.secrets.known(NAMESPACE, "sip") is not None
    assert not other.ports.inventory.loaded
    assert Counter(method for method, _ in one.livekit_writes()) == {"create": 3, "replace": 2}
    assert (other.engine.problems(), other.engine.queue.depth) == ([], 0)


@in_virtual_time
async def test_a_standby_takes_over_with_one_sweep_and_no_needless_write() -> None:
    one, other = await replicas()
    await one.kill()
    one.forget_counts()
    await other.elapse(21)
    assert other.engine.leading
    assert (needless(other), other.livekit_writes()) == ([], [])
    assert len(other.livekit.calls) == 3
    await other.apply("second", phoneNumber="+15550100001")
    assert other.ready("second") == SYNCED


@in_virtual_time
async def test_a_standby_finishes_what_the_leader_died_over() -> None:
    one, other = await replicas()
    one.livekit.inject(faults.Hang(asyncio.Event()), "create", Kind.INBOUND_TRUNK)
    one.api.apply(manifest("second", phoneNumber="+15550100001"))
    await asyncio.sleep(1)
    await one.kill()
    one.api.delete(NAMESPACE, NAME)
    await other.elapse(21)
    assert other.ready("second") == SYNCED
    assert not other.exists()
    assert len(other.livekit.objects()) == 3
    assert other.livekit.count()["create", Kind.OUTBOUND_TRUNK] == 1


@in_virtual_time
async def test_a_clean_end_hands_over_within_two_seconds() -> None:
    one, other = await replicas()
    await one.engine.stop(20)
    one.deafen()
    await other.elapse(2)
    assert other.engine.leading
    assert held_by(other.api) == "b"
    assert not one.engine.tasks.died.done()


@in_virtual_time
async def test_an_engine_whose_leadership_is_lost_dies_and_writes_no_more_to_livekit() -> None:
    one, other = await replicas()
    one.api.edit_lease(SYSTEM, LEASE, holderIdentity="somebody else")
    await one.elapse(5)
    assert one.engine.tasks.died.done()
    one.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await one.elapse(1)
    assert one.livekit_writes() == []
    assert not other.engine.tasks.died.done()
    await one.kill()
    await other.elapse(25)
    assert other.ready() == SYNCED
    assert other.outbound()[0].name == "Support"


@in_virtual_time
async def test_an_engine_that_does_not_lead_any_more_tells_users_nothing() -> None:
    """A leader between its renewal deadline and the end of its process: the messages do not blame LiveKit."""
    one, _ = await replicas()
    one.api.edit_lease(SYSTEM, LEASE, holderIdentity="somebody else")
    await one.elapse(5)
    one.forget_counts()
    before = one.status()
    one.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await one.elapse(1)
    assert (one.status(), one.api.events) == (before, [])


@in_virtual_time
async def test_two_that_believe_never_write_at_once() -> None:
    """The leader is cut off from the API server but not from LiveKit, while users go on."""
    api = FakeApi(now_s)
    way = CutOff(api, hangs=False)
    first = Leader(LeaseApi(way, SYSTEM, LEASE), "a", asyncio.get_running_loop().time)
    one = await World.running(api=api, leader=first)
    await one.apply()
    other = World(livekit=one.livekit, api=api, leader=candidate(api, "b"))
    await other.start()
    way.cut = True
    both = 0
    for turn in range(60):
        if not one.engine.tasks.died.done():
            both += first.holds and other.engine.leading
        elif one.engine.intake.number_event in api.watch_numbers:
            await one.kill()  # as the process does
        api.edit(NAMESPACE, NAME, friendlyName=f"name {turn}")
        await asyncio.sleep(0.5)
    assert both == 0
    await other.settle()
    assert (other.engine.leading, other.outbound()[0].name) == (True, "name 59")


@in_virtual_time
async def test_a_new_leader_finds_numbers_that_its_watch_did_not_tell_of() -> None:
    one, other = await replicas()
    other.deafen()  # a watch that is broken without an error
    await one.apply("second", phoneNumber="+15550100001")
    await one.apply("third", phoneNumber="+15550100002")
    one.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await one.settle()
    other.api.watch_numbers.append(other.engine.intake.number_event)
    other.api.watch_secrets.append(other.engine.intake.secret_event)
    await one.kill()
    await other.elapse(25)
    assert {number.key.name for number in other.ports.cache.all()} == {NAME, "second", "third"}
    assert len(other.livekit.objects()) == 9
    assert other.outbound()[0].name in {"Support", "+15550100001", "+15550100002"}


@in_virtual_time
async def test_a_new_leader_with_a_broken_watch_takes_no_living_number_for_an_orphan() -> None:
    one, other = await replicas()
    await other.kill()
    other = World(livekit=one.livekit, api=one.api, leader=candidate(one.api, "b"), deletes_orphans=True)
    await other.start()
    other.deafen()
    await one.apply("second", phoneNumber="+15550100001")
    other.api.watch_numbers.append(other.engine.intake.number_event)
    other.api.watch_secrets.append(other.engine.intake.secret_event)
    await one.kill()
    await other.elapse(25)
    await other.sweep()
    await other.sweep()
    assert len(other.livekit.objects()) == 6


@in_virtual_time
async def test_a_new_leader_forgets_numbers_that_vanished_behind_its_back() -> None:
    one, other = await replicas()
    await one.apply("second", phoneNumber="+15550100001")
    other.deafen()
    one.api.delete(NAMESPACE, "second")
    await one.settle()
    other.api.watch_numbers.append(other.engine.intake.number_event)
    other.api.watch_secrets.append(other.engine.intake.secret_event)
    await one.kill()
    other.forget_counts()
    await other.elapse(25)
    assert {number.key.name for number in other.ports.cache.all()} == {NAME}
    assert (needless(other), other.livekit_writes()) == ([], [])


async def _takes_over_while(break_api: Callable[[FakeApi], None]) -> World:
    one, other = await replicas()
    await one.engine.stop(20)
    one.deafen()
    break_api(other.api)
    await other.elapse(60)
    return other


@in_virtual_time
async def test_a_list_that_fails_at_the_take_over_is_tried_again() -> None:
    other = await _takes_over_while(lambda api: api.inject(Fail(API_DOWN), "GET", "byocphonenumbers"))
    assert not other.engine.tasks.died.done()
    assert other.engine.leading


@in_virtual_time
async def test_a_slow_list_at_the_take_over_costs_no_leadership() -> None:
    def slow(api: FakeApi) -> None:
        until = asyncio.Event()
        asyncio.get_running_loop().call_later(14, until.set)
        api.inject(Hold(until), "GET", "byocphonenumbers")

    other = await _takes_over_while(slow)
    assert not other.engine.tasks.died.done()
    assert other.engine.leading
    assert STATUS_PATCH not in other.api_writes()
