"""Every order in which a holder goes, waits and comes back while a claimant of another namespace waits."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.engine.in_steps import STEPS
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PHONE, World, manifest
from two_claims import CLAIMANT, ELSEWHERE, RESERVED_S, TwoClaims, claimant, namespaces_with
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")
Step = Callable[[TwoClaims], Any]


def edit(**fields: Any) -> Step:
    return lambda world: world.api.edit(NAMESPACE, NAME, **fields)


def annotate(**annotations: str | None) -> Step:
    return lambda world: world.api.annotate(NAMESPACE, NAME, **annotations)


def apply(name: str = NAME, **changes: Any) -> Step:
    return lambda world: world.api.apply(manifest(name, **changes))


def delete(name: str = NAME) -> Step:
    return lambda world: world.api.delete(NAMESPACE, name)


def wait(seconds: float) -> Step:
    return lambda world: world.elapse(seconds)


def strip(world: TwoClaims) -> None:
    """Remove the finalizer and delete the object: its LiveKit objects stay."""
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)


def flush(world: TwoClaims) -> None:
    """LiveKit loses all its objects."""
    for each in world.livekit.objects():
        world.livekit.drop(each.id)


def wipe(world: TwoClaims) -> None:
    """Every status is emptied, as by a restore."""
    world.api.wipe_status(NAMESPACE, NAME)


async def crash(world: TwoClaims) -> None:
    await world.crash()


async def start(world: TwoClaims) -> None:
    await world.start()


async def restart(world: TwoClaims) -> None:
    await world.restart()


def down(world: TwoClaims) -> None:
    world.livekit.always = DOWN


def up(world: TwoClaims) -> None:
    world.livekit.always = None


async def sweep(world: TwoClaims) -> None:
    await world.sweep()


def installation(**changes: Any) -> Step:
    """A restart with other settings."""

    async def act(world: TwoClaims) -> None:
        await world.crash()
        world.installation = replace(world.installation, **changes)
        await world.start()

    return act


def deaf(world: TwoClaims) -> None:
    """The watch breaks, and does not report later changes."""
    world.api.watch_numbers.clear()


def hears(world: TwoClaims) -> None:
    world.api.watch_numbers.append(world.engine.intake.number_event)


def move(world: TwoClaims) -> None:
    """Helm renames: the new object comes first."""
    world.api.apply(manifest("renamed"))
    world.api.delete(NAMESPACE, NAME)


OBSERVE, MANAGE = edit(managementPolicy="Observe"), edit(managementPolicy="Manage")
PAUSE, GO_ON = annotate(paused="true"), annotate(paused=None)
RETAIN = edit(deletionPolicy="Retain")

COMES_BACK: dict[str, tuple[Step, ...]] = {
    "Observe and back": (OBSERVE, sweep, MANAGE),
    "Observe over a restart": (OBSERVE, restart, sweep, MANAGE),
    "Observe and back while LiveKit is down": (down, OBSERVE, wait(30), MANAGE, wait(30), up, wait(30)),
    "paused and back": (PAUSE, sweep, GO_ON),
    "paused over a restart": (PAUSE, restart, sweep, GO_ON),
    "an invalid spec and back": (edit(terminationUri="sip:x"), sweep, edit(terminationUri="sip.example.com")),
    "invalid over a restart": (edit(terminationUri="sip:x"), restart, sweep, edit(terminationUri="sip.example.com")),
    "its host is allowed no longer, and again": (
        installation(termination_hosts=("claimant.example",)),
        sweep,
        installation(termination_hosts=()),
    ),
    "its host is allowed no longer, its outbound trunk goes, and it is allowed again": (
        installation(termination_hosts=("claimant.example",), removes_refused=True),
        sweep,
        installation(termination_hosts=()),
    ),
    "no inbound agent, and one again": (edit(inboundAgentId=None), sweep, edit(inboundAgentId="agent_support")),
    "no inbound agent over Observe": (edit(inboundAgentId=None), OBSERVE, sweep, MANAGE, edit(inboundAgentId="agent")),
    "deleted and made anew at once": (delete(), apply()),
    "deleted, gone, made anew": (delete(), wait(1), apply()),
    "made anew after a minute": (delete(), wait(60), apply()),
    "made anew just in time": (delete(), wait(RESERVED_S - 5), apply()),
    "made anew again and again": (delete(), wait(200), apply(), wait(5), delete(), wait(200), apply()),
    "made anew as Observe, then Manage": (delete(), wait(9), apply(managementPolicy="Observe"), wait(9), MANAGE),
    "made anew under another name": (delete(), wait(20), apply("renamed")),
    "renamed, the new one first": (move,),
    "a second object in the namespace takes over": (apply("second"), delete()),
    "Retain, deleted, made anew": (RETAIN, delete(), wait(5), apply()),
    "Retain, made anew much later": (RETAIN, delete(), wait(3 * RESERVED_S), apply()),
    "Retain, made anew after a restart": (RETAIN, delete(), restart, wait(2 * RESERVED_S), restart, apply()),
    "Retain, a release installed under another name, then the old one": (
        RETAIN,
        delete(),
        wait(400),
        apply("renamed"),
        delete("renamed"),
        apply(),
    ),
    "its finalizer is lost": (strip, sweep, sweep, apply()),
    "its finalizer is lost while the watch is broken": (deaf, strip, hears, sweep, apply()),
    "it vanishes while the operator is away": (crash, strip, start, sweep, apply()),
    "deleted while the operator is away": (crash, delete(), apply(), start, wait(2), apply()),
    "deleted, and the operator is started anew at once": (delete(), restart, apply()),
    "deleted, and the operator is started anew later": (delete(), wait(5), restart, wait(200), apply()),
    "let go by force while LiveKit is down": (
        down,
        delete(),
        annotate(force_orphan="true"),
        wait(9),
        up,
        wait(400),
        apply(),
    ),
    "its status is wiped": (wipe,),
    "its status is wiped, then a restart": (crash, wipe, start),
    "restored from a backup": (crash, strip, apply(), start),
    "restored from a backup without LiveKit's objects": (crash, strip, flush, apply(), start),
    "LiveKit loses all": (flush, sweep),
    "LiveKit loses all while it is paused": (PAUSE, flush, sweep, sweep, GO_ON),
    "LiveKit loses all over a restart": (crash, flush, start),
    "LiveKit loses all over a restart, and is down first": (crash, flush, down, start, wait(60), up, wait(60)),
    "LiveKit loses all, then it is observed for a moment": (crash, flush, OBSERVE, start, wait(60), MANAGE),
    "a new installation ID, the old one known": (installation(ids=("cluster-b", "cluster-a")), sweep),
    "a new installation ID and back": (installation(ids=("cluster-b",)), sweep, installation(ids=("cluster-a",))),
    "a new installation ID without the old, then with it": (
        installation(ids=("cluster-b",)),
        sweep,
        sweep,
        installation(ids=("cluster-b", "cluster-a")),
    ),
    "just a restart": (restart,),
    "recreate": (annotate(recreate="1"),),
}


async def waits_from_later(world: TwoClaims) -> None:
    """The ordinary claimant: made after the holder."""
    world.api.apply(manifest())
    await world.settle()
    await world.elapse(5)
    world.api.apply(claimant())


async def wants_to_call_only(world: TwoClaims) -> None:
    """A claimant without an inbound agent: a foreign inbound trunk does not block it."""
    world.api.apply(manifest())
    await world.settle()
    await world.elapse(5)
    world.api.apply(claimant(inboundAgentId=None))


async def sleeps_observing(world: TwoClaims) -> None:
    """An older one, which observed until now."""
    world.api.apply(claimant(managementPolicy="Observe"))
    await world.elapse(5)
    world.api.apply(manifest())
    await world.elapse(5)
    world.api.edit(ELSEWHERE, CLAIMANT, managementPolicy="Manage")


async def sleeps_paused(world: TwoClaims) -> None:
    """An older one, which was paused until now."""
    world.api.apply(claimant(annotations={"paused": "true"}))
    await world.elapse(5)
    world.api.apply(manifest())
    await world.elapse(5)
    world.api.annotate(ELSEWHERE, CLAIMANT, paused=None)


WAITERS: dict[str, Callable[[TwoClaims], Awaitable[None]]] = {
    each.__name__: each for each in (waits_from_later, wants_to_call_only, sleeps_observing, sleeps_paused)
}


async def begun(waiter: str) -> TwoClaims:
    world = await TwoClaims.begun()
    await WAITERS[waiter](world)
    await world.settle()
    assert (world.ready(), world.told_claimant()[0]) == (SYNCED, "NumberClaimed")
    world.claimant_has_nothing()
    return world


async def played(world: TwoClaims, steps: tuple[Step, ...]) -> None:
    for step in steps:
        done = step(world)
        if asyncio.iscoroutine(done):
            await done
        if world.api.watch_numbers:
            await world.settle()
        assert world.ledger.broken == []


@pytest.mark.parametrize("waiter", WAITERS)
@pytest.mark.parametrize("steps", COMES_BACK.values(), ids=COMES_BACK)
def test_whoever_comes_back_has_its_number_again(steps: tuple[Step, ...], waiter: str) -> None:
    _comes_back(steps, waiter)


@in_virtual_time
async def _comes_back(steps: tuple[Step, ...], waiter: str) -> None:
    world = await begun(waiter)
    await played(world, steps)
    await world.elapse(30)
    await world.sweep()
    (name,) = [raw["metadata"]["name"] for raw in world.api.numbers() if raw["metadata"]["namespace"] == NAMESPACE]
    assert world.ready(name) == SYNCED
    assert namespaces_with(world.livekit.objects()) == {NAMESPACE}
    assert world.told_claimant()[0] == "NumberClaimed"
    world.claimant_has_nothing()
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


GOES: dict[str, tuple[Step, ...]] = {
    "deleted": (delete(),),
    "deleted while the operator is away": (crash, delete(), start),
    "deleted, then a restart": (delete(), restart),
    "observed, with nothing in LiveKit any more": (OBSERVE, flush, sweep, sweep),
    "paused, with nothing in LiveKit any more and its status wiped": (PAUSE, wipe, flush, sweep),
    "deleted with Observe before, and cleared by hand": (OBSERVE, delete(), flush, restart),
}


@pytest.mark.parametrize("waiter", WAITERS)
@pytest.mark.parametrize("steps", GOES.values(), ids=GOES)
def test_whoever_waits_has_the_number_once_the_reservation_is_over(steps: tuple[Step, ...], waiter: str) -> None:
    _goes(steps, waiter)


@in_virtual_time
async def _goes(steps: tuple[Step, ...], waiter: str) -> None:
    world = await begun(waiter)
    await played(world, steps)
    world.claimant_has_nothing()
    reason, message = world.told_claimant()
    assert reason == "NumberClaimed"
    assert "reserved for a while" in message
    assert NAMESPACE not in message
    await world.elapse(RESERVED_S + 10)
    assert world.told_claimant()[0] == "Synced"
    assert namespaces_with(world.livekit.objects()) == {ELSEWHERE}


KEPT: dict[str, tuple[Step, ...]] = {
    "Retain": (RETAIN, delete()),
    "Retain, over a restart": (RETAIN, delete(), restart),
    "a lost finalizer": (strip,),
    "a lost finalizer, over a restart": (strip, restart),
    "Observe": (OBSERVE, delete()),
    "force-orphan": (down, delete(), annotate(force_orphan="true"), wait(9), up),
}


@pytest.mark.parametrize("waiter", WAITERS)
@pytest.mark.parametrize("steps", KEPT.values(), ids=KEPT)
def test_what_is_left_in_livekit_is_nobody_elses(steps: tuple[Step, ...], waiter: str) -> None:
    _kept(steps, waiter)


@in_virtual_time
async def _kept(steps: tuple[Step, ...], waiter: str) -> None:
    world = await begun(waiter)
    await played(world, steps)
    await world.elapse(3 * RESERVED_S)
    kept = [each.id for each in world.livekit.objects() if each.id.startswith("ST_")]
    reason, message = world.told_claimant()
    assert reason == "NumberClaimed"
    assert all(each in message for each in kept)
    assert "kubectl byoc release" in message
    assert NAMESPACE not in message
    world.claimant_has_nothing()
    world.api.delete(ELSEWHERE, CLAIMANT)  # a new object finds the same
    await world.settle()
    world.api.apply(claimant())
    await world.elapse(30)
    assert world.told_claimant()[0] == "NumberClaimed"
    world.claimant_has_nothing()
    flush(world)
    await world.elapse(3 * RESERVED_S)
    assert world.told_claimant()[0] == "Synced"


# The same namespace


@in_virtual_time
async def test_without_a_reservation_whoever_waits_takes_over_at_once() -> None:
    world = World()
    world = await TwoClaims.begun(installation=replace(world.installation, reservation_s=0.0))
    await waits_from_later(world)
    await world.settle()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.told_claimant()[0] == "Synced"


@in_virtual_time
async def test_a_new_number_waits_for_nobody_after_a_restart() -> None:
    world = await TwoClaims.begun()
    await world.restart()
    await world.apply()
    assert world.ready() == SYNCED


@in_virtual_time
async def test_two_that_fall_asleep_and_wake_up_keep_their_order() -> None:
    """The age counts from the first claim: an object that observed for years is the younger claimant."""
    world = await TwoClaims.begun()
    world.api.apply(claimant(managementPolicy="Observe"))
    await world.elapse(50)
    missing = {"sipPasswordSecretRef": {"name": "not-yet", "key": "password"}, "inboundAgentId": None}
    world.api.apply(manifest("a", **missing))  # holds the number, and has nothing in LiveKit yet
    await world.elapse(50)
    world.api.edit(ELSEWHERE, CLAIMANT, managementPolicy="Manage")
    await world.elapse(50)
    assert (world.ready("a"), world.told_claimant()[0]) == (("False", "SecretNotFound"), "NumberClaimed")
    await world.restart()
    await world.sweep()
    assert (world.ready("a"), world.told_claimant()[0]) == (("False", "SecretNotFound"), "NumberClaimed")


@in_virtual_time
async def test_a_foreign_trunk_that_goes_leaves_the_number_to_its_first_claimant() -> None:
    world = await TwoClaims.begun()
    await waits_from_later(world)
    for each in world.livekit.objects():
        if hasattr(each, "metadata"):
            world.livekit.edit(each.id, metadata="")
    await world.crash()
    world.api.wipe_status(NAMESPACE, NAME)
    await world.start()
    await world.sweep()
    assert (world.ready(), world.told_claimant()[0]) == (("False", "NumberConflict"), "NumberClaimed")
    assert world.ids()[:2] == ("", "")
    flush(world)
    await world.sweep()
    assert (world.ready(), world.told_claimant()[0]) == (SYNCED, "NumberClaimed")
    assert PHONE in world.outbound()[0].numbers


@in_virtual_time
async def test_what_a_run_lets_go_while_a_sweep_tidies_up_disturbs_nothing() -> None:
    world = await World.running()
    phones = [f"+1202556{count:04}" for count in range(3 * STEPS)]
    claims = world.engine._reconciler.claims
    claims._held.update(dict.fromkeys(phones, NAMESPACE))  # of objects that are gone, all at once
    tidying = asyncio.create_task(claims.tidy())
    await asyncio.sleep(0)
    for phone in phones:
        claims.at_once(phone)
    await tidying
    assert claims._held == {}
    assert {claims.at_once(phone).reserved_for for phone in phones} == {NAMESPACE}
    await world.elapse(RESERVED_S + 1)
    await claims.tidy()
    assert claims._released == {}
