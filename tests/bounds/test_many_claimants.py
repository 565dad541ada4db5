"""Many objects that name one phone number: the work grows with the changes only, and the event loop is not blocked."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.resource import PhoneNumber
from byoc_operator.cluster.answers import ApiRefused
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.ownership import Mark, Owner, rule_name
from byoc_operator.core.run_outcome import REFUSED_LONGEST_S
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.engine.claimants import PER_RUN
from byoc_operator.engine.gather import Gatherer
from byoc_operator.engine.gauges import reasons
from byoc_operator.engine.in_steps import STEPS
from operated import NAME, NAMESPACE, PHONE, World, manifest, now_s
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
SIZES = (60, 120, 240)


class Counted(Gatherer):
    """Counts judgements, and how many there are in one turn of the event loop."""

    def __init__(self, world: World) -> None:
        super().__init__(world.ports, world.engine._reconciler.claims.refused_aliases)
        self.judged = 0
        self.most_in_a_turn = 0
        self._in_this_turn = 0

    def assess(self, situation: Any) -> Any:
        """As the base class."""
        self.judged += 1
        self._in_this_turn += 1
        if self._in_this_turn == 1:
            asyncio.get_running_loop().call_soon(self._turn)
        self.most_in_a_turn = max(self.most_in_a_turn, self._in_this_turn)
        return super().assess(situation)

    def _turn(self) -> None:
        self._in_this_turn = 0


def counted(world: World) -> Counted:
    counter = Counted(world)
    world.engine._reconciler._gatherer = counter
    return counter


async def crowded(size: int, **changes: Any) -> World:
    """A holder in step, and so many others that were told."""
    world = await World.in_step()
    for count in range(size):
        world.api.apply(manifest(f"copy-{count}", **changes))
    await world.elapse(120)
    assert {world.ready(f"copy-{count}") for count in range(size)} == {("False", "NumberClaimed")}
    return world


@pytest.mark.parametrize("size", SIZES)
@in_virtual_time
async def test_who_was_told_is_not_judged_again_when_the_holder_changes(size: int) -> None:
    world = await crowded(size)
    counter = counted(world)
    world.forget_counts()
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    assert counter.judged <= 3
    await world.sweep()
    assert counter.judged <= 6
    assert len(world.api_writes()) == 1


@pytest.mark.parametrize("size", SIZES)
@in_virtual_time
async def test_one_more_costs_what_it_alone_costs(size: int) -> None:
    world = await crowded(size)
    counter = counted(world)
    world.forget_counts()
    await world.apply("one-more")
    assert world.ready("one-more") == ("False", "NumberClaimed")
    assert counter.judged <= 6
    assert world.api.requests["PATCH", "byocphonenumbers/status"] == 1


@pytest.mark.parametrize("size", SIZES)
@in_virtual_time
async def test_a_restart_judges_each_once_and_writes_nothing(size: int) -> None:
    world = await crowded(size)
    await world.crash()
    world.forget_counts()
    await world.start(settle=False)
    counter = counted(world)
    await world.elapse(120)
    assert counter.judged <= size + 3 * (size // PER_RUN + 2)
    assert counter.most_in_a_turn <= 2 * STEPS
    assert world.api_writes() == []
    assert world.ready() == SYNCED


@pytest.mark.parametrize("size", SIZES)
@in_virtual_time
async def test_deletions_that_something_else_holds_up_cost_nothing(size: int) -> None:
    world = await crowded(size)
    for count in range(size):
        name = f"copy-{count}"
        at = ("byocphonenumbers", NAMESPACE, name)
        world.api._objects[at]["metadata"]["finalizers"] = ["somebody.example/else"]
        world.api.delete(NAMESPACE, name)
    await world.elapse(60)
    counter = counted(world)
    world.forget_counts()
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    await world.sweep()
    assert counter.judged <= 8
    assert world.livekit.count()["replace", Kind.OUTBOUND_TRUNK] == 1


@in_virtual_time
async def test_deletions_that_wait_for_us_are_let_go_a_few_a_run_and_all_in_the_end() -> None:
    world = await crowded(150)
    for count in range(150):
        name = f"copy-{count}"
        world.api._objects["byocphonenumbers", NAMESPACE, name]["metadata"]["finalizers"] = [
            "byoc.talkifai.dev/finalizer"
        ]
    await world.restart()
    for count in range(150):
        world.api.delete(NAMESPACE, f"copy-{count}")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await asyncio.sleep(0.5)
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    await world.elapse(60)
    assert len(world.api.numbers()) == 1


@pytest.mark.parametrize("size", SIZES)
@in_virtual_time
async def test_observers_of_one_number_are_judged_a_few_at_a_time(size: int) -> None:
    """The number has no holder, and each change in LiveKit concerns all claimants."""
    world = await World.running()
    for count in range(size):
        world.api.apply(manifest(f"copy-{count}", managementPolicy="Observe"))
    await world.elapse(120)
    assert {world.ready(f"copy-{count}") for count in range(size)} == {("False", "ChangesPending")}
    counter = counted(world)
    world.api.edit(NAMESPACE, "copy-7", friendlyName="Support")
    await world.settle()
    assert counter.judged <= STEPS + PER_RUN + 5
    assert world.status("copy-7")["observedGeneration"] == 2
    before = counter.judged
    await world.sweep()
    assert counter.judged - before <= 2 * (STEPS + PER_RUN)
    assert counter.most_in_a_turn <= 2 * STEPS


@in_virtual_time
async def test_all_observers_hear_of_a_change_in_livekit_in_the_end() -> None:
    world = await World.running()
    for count in range(120):
        world.api.apply(manifest(f"copy-{count}", managementPolicy="Observe"))
    await world.elapse(120)
    mark = Mark(Owner("cluster-a", NAMESPACE, "copy-9")).dump()
    outbound = OutboundTrunk("x", mark, "h", "TLS", (PHONE,), id="ST_out")
    inbound = InboundTrunk("x", mark, (PHONE,), id="ST_in")
    rule = DispatchRule(rule_name(Owner("cluster-a", NAMESPACE, "copy-9")), ("ST_in",), "call-", "a", "{}", id="SDR_r")
    for each in (outbound, inbound, rule):
        world.livekit.put(each)
    for _ in range(8):
        await world.sweep()
    reasons = {world.ready(f"copy-{count}")[1] for count in range(120) if count != 9}
    assert reasons == {"NumberClaimed"}
    assert world.ids("copy-9") == ("ST_out", "ST_in", "SDR_r")


# Claimants that fail again and again


def _refuse_statuses(world: World, prefix: str) -> list[str]:
    """The API server stores no status of these objects, as when one is too large; every attempt by name."""
    numbers, tried = world.ports.numbers, list[str]()
    patch_status = numbers.patch_status

    async def hooked(number: PhoneNumber, patch: Mapping[str, Any]) -> dict[str, Any]:
        if not number.key.name.startswith(prefix):
            return await patch_status(number, patch)
        tried.append(number.key.name)
        raise ApiRefused(Reason.KUBERNETES_REFUSED, "PATCH byocphonenumbers/status: 413", status=413)

    object.__setattr__(numbers, "patch_status", hooked)
    return tried


@in_virtual_time
async def test_statuses_that_can_never_be_written_are_tried_once_a_minute_and_keep_nobody_waiting() -> None:
    world = await World.in_step()
    tried = _refuse_statuses(world, "large-")
    for count in range(60):
        world.api.apply(manifest(f"large-{count:02}"))
    await world.elapse(600)
    assert len(set(tried)) == 60
    # A pause grows to a minute, of which jitter takes half.
    assert len(tried) <= (2 * 600 / REFUSED_LONGEST_S + 6) * PER_RUN
    await world.apply("one-more")
    assert world.ready("one-more") == ("False", "NumberClaimed")
    assert world.ready() == SYNCED


@in_virtual_time
async def test_observers_whose_secrets_are_missing_do_not_have_them_asked_for_without_a_pause() -> None:
    world = await World.running()
    for count in range(60):
        secret = {"name": f"missing-{count}", "key": "password"}
        world.api.apply(manifest(f"copy-{count}", managementPolicy="Observe", sipPasswordSecretRef=secret))
    await world.elapse(60)
    assert {world.ready(f"copy-{count}") for count in range(60)} == {("False", "SecretNotFound")}
    world.forget_counts()
    await world.elapse(300)
    # Every 30 s at most, and a sweep that asks for each.
    assert world.api.requests["GET", "secrets"] <= 300 / 30 * 2 * PER_RUN + 3 * 60


# Claimants that ask to adopt


@in_virtual_time
async def test_new_wishes_to_adopt_force_few_lists_however_many_there_are() -> None:
    world = await World.running()
    world = await World.running(installation=replace(world.installation, adoption_allowed=True))
    await world.apply()
    world.forget_counts()
    for count in range(40):
        world.api.annotate(NAMESPACE, NAME, adopt=f"ST_nowhere{count}")
        await world.elapse(2)
    assert world.livekit.count()["list", Kind.OUTBOUND_TRUNK] <= 1 + 80 / 30 + 1
    assert world.ready() == SYNCED


@in_virtual_time
async def test_a_wish_that_had_to_wait_is_looked_for_all_the_same() -> None:
    world = await World.running()
    world = await World.running(installation=replace(world.installation, adoption_allowed=True))
    await world.apply(annotations={"adopt": "ST_nowhere"})
    made = OutboundTrunk("theirs", "", "sip.example.com", "TLS", ("+15550100000",), id="ST_made")
    world.livekit.put(made)
    world.api.apply(
        manifest("second", phoneNumber="+15550100000", inboundAgentId=None, annotations={"adopt": "ST_made,force"})
    )
    await world.elapse(40)
    assert world.ready("second") == SYNCED
    assert world.ids("second")[0] == "ST_made"


@in_virtual_time
async def test_the_memory_of_gone_objects_is_given_back() -> None:
    world = await World.running()
    world = await World.running(installation=replace(world.installation, adoption_allowed=True, reservation_s=10.0))
    for count in range(30):
        name = f"n{count}"
        world.api.apply(manifest(name, phoneNumber=f"+155501000{count:02}", annotations={"adopt": "ST_x" * 50}))
        world.api.apply(manifest(f"claimant{count}", phoneNumber=f"+155501000{count:02}"))
    await world.elapse(90)
    for count in range(30):
        world.api.delete(NAMESPACE, f"n{count}")
        world.api.delete(NAMESPACE, f"claimant{count}")
    await world.sweep()
    await world.sweep()
    reconciler = world.engine._reconciler
    kept = (
        reconciler.claims._held,
        reconciler.claims._released,
        reconciler._claimants._known,
        reconciler._objects._lookups._looked_for,
        reconciler._reporter._otherwise,
        reconciler._objects._contradictions._contradicted,
        world.ports.cache._since,
        world.ports.cache._expected,
    )
    assert [len(each) for each in kept] == [0] * len(kept)
    assert [len(each) for each in world.ports.cache.memories] == [0] * len(world.ports.cache.memories)


# What a scrape costs


@in_virtual_time
async def test_reasons_are_counted_as_they_change() -> None:
    world = await crowded(20)
    await world.apply("other", phoneNumber="+15550100000", terminationUri="sip:x")
    cache = world.ports.cache
    assert reasons(cache) == {("Synced",): 1, ("NumberClaimed",): 20, ("InvalidSpec",): 1}
    assert sum(cache.reasons().values()) == len(cache)
    for count in range(20):
        world.api.delete(NAMESPACE, f"copy-{count}")
    world.api.edit(NAMESPACE, "other", terminationUri="sip.example.com")
    await world.settle()
    assert reasons(cache) == {("Synced",): 2}
    assert {reason for (reason,) in reasons(cache)} <= set(map(str, Reason))


class SlowForOthers(FakeApi):
    """The object of a claimant takes the API server seconds to write."""

    async def request(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """As it is, but late for some."""
        if method == "PATCH" and "/copy-" in path:
            await asyncio.sleep(4)
        return await super().request(method, path, **more)


@in_virtual_time
async def test_objects_that_take_seconds_to_write_do_not_keep_the_holder_waiting() -> None:
    world = await World.running(api=SlowForOthers(now_s))
    await world.apply()
    for count in range(20):
        world.api.apply(manifest(f"copy-{count}"))
    await asyncio.sleep(6)
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await asyncio.sleep(9)
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    await world.elapse(200)
    assert {world.ready(f"copy-{count}") for count in range(20)} == {("False", "NumberClaimed")}
