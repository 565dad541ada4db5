"""Any edits by users with a request that fails: in the end LiveKit is in step with the objects."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breaking import CRASHES, Break, SteppedApi, SteppedLiveKit, Steps
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import InboundTrunk, OutboundTrunk
from operated import NAME, NAMESPACE, PASSWORD, PHONE, SWEEP_S, USER, World, manifest
from virtual_time import in_virtual_time

SECOND = "second"
FOREIGN = OutboundTrunk("theirs", "{}", "sip.example.net", "TCP", (PHONE,), id="ST_foreign_out")
FOREIGN_IN = InboundTrunk("theirs", "{}", ("+15550109999",), id="ST_foreign_in")


def _if_there(name: str, act: Callable[[World], Any]) -> Callable[[World], Any]:
    return lambda world: act(world) if world.exists(name) else None


def _drop(world: World, position: int) -> None:
    ours = [each for each in world.livekit.objects() if not each.id.startswith("ST_foreign")]
    if ours:
        world.livekit.drop(ours[position % len(ours)].id)


def _lose_a_mark(world: World) -> None:
    """A trunk that a status names: a trunk without a mark that no status names is foreign."""
    recorded = world.ids()[:2] if world.exists(NAME) else ()
    for trunk in world.livekit.objects():
        if trunk.id in recorded:
            world.livekit.edit(trunk.id, metadata="{}")
            return


def _wipe(world: World) -> None:
    if all(owner_of(each) or each.id.startswith("ST_foreign") for each in world.livekit.objects()):
        world.api.wipe_status(NAMESPACE, NAME)


ACTIONS: dict[str, Callable[[World], Any]] = {
    "apply": lambda world: world.api.apply(manifest()),
    "apply second": lambda world: world.api.apply(manifest(SECOND)),
    "move": _if_there(NAME, lambda world: world.api.edit(NAMESPACE, NAME, terminationUri="sip2.example.com")),
    "move back": _if_there(NAME, lambda world: world.api.edit(NAMESPACE, NAME, terminationUri="sip.example.com")),
    "no agent": _if_there(NAME, lambda world: world.api.edit(NAMESPACE, NAME, inboundAgentId=None)),
    "an agent": _if_there(NAME, lambda world: world.api.edit(NAMESPACE, NAME, inboundAgentId="agent")),
    "refresh": _if_there(NAME, lambda world: world.api.annotate(NAMESPACE, NAME, refresh="a")),
    "recreate": _if_there(NAME, lambda world: world.api.annotate(NAMESPACE, NAME, recreate="b")),
    "pause": _if_there(NAME, lambda world: world.api.annotate(NAMESPACE, NAME, paused="true")),
    "go on": _if_there(NAME, lambda world: world.api.annotate(NAMESPACE, NAME, paused=None)),
    "delete": _if_there(NAME, lambda world: world.api.delete(NAMESPACE, NAME)),
    "delete second": _if_there(SECOND, lambda world: world.api.delete(NAMESPACE, SECOND)),
    "wipe the status": _if_there(NAME, _wipe),
    "bad password": lambda world: world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "x\n"}),
    "good password": lambda world: world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD}),
    "drop the first": lambda world: _drop(world, 0),
    "drop the last": lambda world: _drop(world, -1),
    "lose a mark": _lose_a_mark,
}
pauses = st.sampled_from([0.0, 0.004, 0.012, 0.5, 3.0, 70.0])
breaks = st.none() | st.tuples(st.integers(0, 8), st.sampled_from([how for how in Break if how not in CRASHES]))
RESTART = "restart"
LATE = (Break.LATE, Break.VERY_LATE)
moves = st.lists(st.tuples(st.sampled_from([*sorted(ACTIONS), RESTART]), breaks, pauses), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(moves)
def test_any_sequence_comes_right(sequence: list[tuple[str, tuple[int, Break] | None, float]]) -> None:
    _played(sequence)


@in_virtual_time
async def _played(sequence: list[tuple[str, tuple[int, Break] | None, float]]) -> None:
    steps = Steps(armed=True)
    world = World(livekit=SteppedLiveKit(steps), api=SteppedApi(steps))
    world.livekit.put(FOREIGN)
    world.livekit.put(FOREIGN_IN)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.start()
    mortal = any(action == RESTART for action, _, _ in sequence)
    for action, broken, pause_s in sequence:
        if broken:
            after, how = broken
            # A new process does not know a create request whose answer the old process did not get.
            steps.at, steps.how = len(steps.names) + after, Break.REPLY_LOST if mortal and how in LATE else how
        if action == RESTART:
            await world.crash()
            await world.start()
        else:
            ACTIONS[action](world)
        await asyncio.sleep(pause_s)
    steps.at = None
    ACTIONS["good password"](world)
    ACTIONS["go on"](world)
    await world.elapse(700)
    await world.elapse(2.5 * SWEEP_S)
    _judge(world)
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


def _judge(world: World) -> None:
    assert not world.engine.tasks.died.done()
    assert PASSWORD not in world.told()
    stored = {each.id: each for each in world.livekit.objects()}
    assert (stored.pop(FOREIGN.id), stored.pop(FOREIGN_IN.id)) == (FOREIGN, FOREIGN_IN)
    there = [raw["metadata"]["name"] for raw in world.api.numbers()]
    synced = [name for name in there if world.ready(name) == ("True", "Synced")]
    assert len(synced) == min(1, len(there)), world.told()
    if not there:
        assert stored == {}
        return
    (holder,) = synced
    assert {world.ready(name) for name in there} - {("True", "Synced")} <= {("False", "NumberClaimed")}
    assert set(filter(None, world.ids(holder))) == set(stored)
    assert len(stored) == (3 if world.raw(holder)["spec"].get("inboundAgentId") else 1)
    assert {getattr(owner_of(each), "name", "") for each in stored.values()} == {holder}
