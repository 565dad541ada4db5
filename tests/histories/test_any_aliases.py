"""Any history of three objects that share numbers and aliases: each is on one trunk at most, and nobody is robbed."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import InboundTrunk, normalised
from operated import NAMESPACE, PHONE, SWEEP_S, manifest
from two_claims import ELSEWHERE, RESERVED_S, TwoClaims, of
from virtual_time import in_virtual_time

NUMBERS = {"mine": PHONE, "twin": "+15550100002", "theirs": "+15550100003"}
PLACES = {"mine": NAMESPACE, "twin": NAMESPACE, "theirs": ELSEWHERE}
ALIASES = [(), ("100",), ("+100", "200"), ("200",), *((number.removeprefix("+"),) for number in NUMBERS.values())]
Act = Callable[[TwoClaims], Any]


def _there(name: str, act: Act) -> Act:
    return lambda world: act(world) if world.api.number(PLACES[name], name) is not None else None


def _apply(name: str, aliases: tuple[str, ...]) -> Act:
    inbound = {"aliases": [each for each in aliases if f"+{each}" != NUMBERS[name]]}
    raw = of(PLACES[name], manifest(name, phoneNumber=NUMBERS[name], inbound=inbound))
    return lambda world: world.api.apply(raw)


def _edit(name: str, **fields: Any) -> Act:
    return _there(name, lambda world: world.api.edit(PLACES[name], name, **fields))


def _pause(name: str, paused: str | None) -> Act:
    return _there(name, lambda world: world.api.annotate(PLACES[name], name, paused=paused))


def _flush(world: TwoClaims) -> None:
    """LiveKit loses all its objects."""
    for each in world.livekit.objects():
        world.livekit.drop(each.id)


RESTART = "restart"
ACTIONS: dict[str, Act] = {"flush LiveKit": _flush}
for _name in NUMBERS:
    ACTIONS |= {f"apply {_name} with {aliases}": _apply(_name, aliases) for aliases in ALIASES}
    ACTIONS |= {
        f"delete {_name}": _there(_name, lambda world, name=_name: world.api.delete(PLACES[name], name)),  # type: ignore[misc]
        f"observe {_name}": _edit(_name, managementPolicy="Observe"),
        f"manage {_name}": _edit(_name, managementPolicy="Manage"),
        f"pause {_name}": _pause(_name, "true"),
        f"go on with {_name}": _pause(_name, None),
        f"no agent for {_name}": _edit(_name, inboundAgentId=None),
        f"an agent for {_name}": _edit(_name, inboundAgentId="agent"),
    }
pauses = st.sampled_from([0.0, 0.01, 0.5, 5.0, 250.0, 400.0])
moves = st.lists(st.tuples(st.sampled_from([*sorted(ACTIONS), RESTART]), pauses), min_size=4, max_size=16)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(moves)
def test_a_number_is_on_one_inbound_trunk_whether_as_number_or_as_alias(history: list[tuple[str, float]]) -> None:
    _played(history)


@in_virtual_time
async def _played(history: list[tuple[str, float]]) -> None:
    world = await TwoClaims.begun()
    for name in NUMBERS:
        _apply(name, ("100",))(world)
    await world.settle()
    for action, pause_s in history:
        if action == RESTART:
            await world.restart()
        else:
            ACTIONS[action](world)
        await world.elapse(pause_s)
        _alone(world)
    await world.elapse(RESERVED_S + 2.5 * SWEEP_S)
    _alone(world)
    _judge(world)
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


def _trunks(world: TwoClaims) -> list[InboundTrunk]:
    return [each for each in world.livekit.objects() if isinstance(each, InboundTrunk)]


def _alone(world: TwoClaims) -> None:
    """No two inbound trunks have the same number, however it is written."""
    counts = Counter(number for trunk in _trunks(world) for number in {normalised(each) for each in trunk.numbers})
    assert not [number for number, count in counts.items() if count > 1]


def _judge(world: TwoClaims) -> None:
    """An object in step has all its aliases; its status tells the aliases that its trunk has."""
    numbers = {owner.name: trunk.numbers for trunk in _trunks(world) if (owner := owner_of(trunk)) is not None}
    for raw in world.api.numbers():
        name, spec, status = raw["metadata"]["name"], raw["spec"], raw["status"]
        (ready,) = (each for each in status["conditions"] if each["type"] == "Ready")
        if ready["reason"] == "Synced" and spec.get("managementPolicy") != "Observe":
            aliases = spec.get("inbound", {}).get("aliases", []) if spec.get("inboundAgentId") else []
            assert sorted(map(normalised, aliases)) == status.get("aliases", [])
        if ready["reason"] in ("Synced", "AliasUnavailable"):
            there = sorted(normalised(each) for each in numbers.get(name, ()) if each != spec["phoneNumber"])
            assert there == status.get("aliases", []), (name, ready)
