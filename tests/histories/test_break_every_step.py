"""Every request of a create, update, recreate and deletion fails once in every way; in the end all is in step."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from breaking import CRASHES, Break, SteppedApi, SteppedLiveKit, Steps
from byoc_operator.core.trunk import InboundTrunk, OutboundTrunk
from operated import MASK, NAME, NAMESPACE, PASSWORD, PHONE, SWEEP_S, USER, World, manifest
from virtual_time import in_virtual_time

FOREIGN_IN = InboundTrunk("theirs", "{}", ("+15550109999",), id="ST_foreign_in")
FOREIGN_OUT = OutboundTrunk("theirs", "{}", "sip.example.net", "TCP", (PHONE,), id="ST_foreign_out")
NEW_PASSWORD = "another-password"


Act = Callable[[World], None]


async def _nothing(_: World) -> None:
    """The world as it begins."""


async def _one_number(world: World) -> None:
    await world.apply(annotations={"recreate": "first"})


def _create(world: World) -> None:
    world.api.apply(manifest())


def _update(world: World) -> None:
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": NEW_PASSWORD})
    world.api.edit(NAMESPACE, NAME, terminationUri="sip2.example.com", friendlyName="Support")


def _recreate(world: World) -> None:
    world.api.annotate(NAMESPACE, NAME, recreate="second")


def _refresh(world: World) -> None:
    world.api.annotate(NAMESPACE, NAME, refresh="now")


def _without_agent(world: World) -> None:
    world.api.edit(NAMESPACE, NAME, inboundAgentId=None)


def _delete(world: World) -> None:
    world.api.delete(NAMESPACE, NAME)


def _create_and_delete(world: World) -> None:
    world.api.apply(manifest())
    asyncio.get_running_loop().call_later(0.005, _delete, world)


BRIEF_LIFE = "delete while it is created"
SCENARIOS: dict[str, tuple[Callable[[World], Coroutine[Any, Any, None]], Act]] = {
    "create": (_nothing, _create),
    "update": (_one_number, _update),
    "recreate": (_one_number, _recreate),
    "refresh": (_one_number, _refresh),
    "agent taken away": (_one_number, _without_agent),
    "delete": (_one_number, _delete),
    BRIEF_LIFE: (_nothing, _create_and_delete),
}


async def _run(scenario: str, steps: Steps) -> World:
    """Play the scenario with a fault, and with enough time to recover."""
    prepare, act = SCENARIOS[scenario]
    world = World(livekit=SteppedLiveKit(steps), api=SteppedApi(steps))
    world.livekit.put(FOREIGN_IN)
    world.livekit.put(FOREIGN_OUT)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.start()
    await prepare(world)
    await world.elapse(2)  # what was fetched for one run is not shared with the next
    steps.armed = True
    act(world)
    if steps.how in CRASHES:
        await asyncio.wait_for(steps.crash.wait(), 60)
        await world.crash()
        await world.start()
    await world.elapse(70)
    steps.armed = False
    await world.elapse(2.5 * SWEEP_S)
    return world


@in_virtual_time
async def _dry(scenario: str) -> list[str]:
    steps = Steps()
    await _run(scenario, steps)
    return steps.names


def _ways(scenario: str, step: str) -> list[Break]:
    """What can go wrong with a step."""
    if step.startswith(("GET", "list")):
        return [Break.REFUSED, Break.CRASH_BEFORE]  # whether a read was done, nobody can tell
    if not step.startswith("create "):
        return [how for how in Break if how is not Break.VERY_LATE]
    if scenario == BRIEF_LIFE:
        # A create request that LiveKit applies after the operator died and the object went: no process knows of it.
        return [how for how in Break if how is not Break.LATE_AND_CRASH]
    return list(Break)


CASES = [
    pytest.param(scenario, at, how, id=f"{scenario}: {at} {step}: {how}")
    for scenario in SCENARIOS
    for at, step in enumerate(_dry(scenario))
    for how in _ways(scenario, step)
]


@pytest.mark.parametrize(("scenario", "at", "how"), CASES)
def test_a_number_comes_right_whatever_goes_wrong(scenario: str, at: int, how: Break) -> None:
    _broken(scenario, at, how)


@in_virtual_time
async def _broken(scenario: str, at: int, how: Break) -> None:
    steps = Steps(at, how)
    world = await _run(scenario, steps)
    assert len(steps.names) > at, "the request never came"
    assert not world.engine.tasks.died.done()
    assert PASSWORD not in world.told()
    assert NEW_PASSWORD not in world.told()
    stored = {each.id: each for each in world.livekit.objects()}
    assert stored.pop(FOREIGN_IN.id) == FOREIGN_IN
    assert stored.pop(FOREIGN_OUT.id) == FOREIGN_OUT
    if scenario.startswith("delete"):
        assert not world.exists()
        assert stored == {}
        return
    _in_step(world, scenario, len(stored))
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


def _in_step(world: World, scenario: str, stored: int) -> None:
    assert world.ready() == ("True", "Synced")
    assert set(world.conditions()) == {"Ready", "CredentialsResolved"}
    status, password = world.status(), PASSWORD
    ours = [trunk for trunk in world.outbound() if trunk.id != FOREIGN_OUT.id]
    inbound = [trunk for trunk in world.inbound() if trunk.id != FOREIGN_IN.id]
    (outbound,) = ours
    if scenario == "update":
        password = NEW_PASSWORD
        assert (outbound.address, outbound.name) == ("sip2.example.com", "Support")
    if scenario == "recreate":
        assert status["lastHandledRecreate"] == json.loads(outbound.metadata)["recreate"] == "second"
    if scenario == "refresh":
        assert status["lastHandledRefresh"] == "now"
    assert status["observedGeneration"] == world.raw()["metadata"]["generation"]
    assert world.livekit.stored_password(outbound.id) == password
    assert outbound.username == MASK(USER)
    if scenario == "agent taken away":
        assert (stored, world.ids()) == (1, (outbound.id, "", ""))
        return
    assert stored == 3
    (rule,) = world.rules()
    assert rule.trunk_ids == (inbound[0].id,)
    assert world.ids() == (outbound.id, inbound[0].id, rule.id)
