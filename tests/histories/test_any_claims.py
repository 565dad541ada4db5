"""Any history of two namespaces that claim one number: the last holder keeps it until it lets it go."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import DispatchRule
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PHONE, SWEEP_S, manifest
from two_claims import CLAIMANT, CLAIMANT_SPEC, ELSEWHERE, RESERVED_S, TwoClaims, asks, namespaces_with, of
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")
SECOND = "second"
OBJECTS = {"mine": (NAMESPACE, NAME), "my second": (NAMESPACE, SECOND), "theirs": (ELSEWHERE, CLAIMANT)}
Act = Callable[[TwoClaims], Any]


def _there(at: tuple[str, str], act: Act) -> Act:
    return lambda world: act(world) if world.api.number(*at) is not None else None


def _apply(at: tuple[str, str], **changes: Any) -> Act:
    spec = CLAIMANT_SPEC if at[0] == ELSEWHERE else {}
    return lambda world: world.api.apply(of(at[0], manifest(at[1], **{**spec, **changes})))


def _edit(at: tuple[str, str], **fields: Any) -> Act:
    return _there(at, lambda world: world.api.edit(*at, **fields))


def _pause(at: tuple[str, str], paused: str | None) -> Act:
    return _there(at, lambda world: world.api.annotate(*at, paused=paused))


def _delete(at: tuple[str, str]) -> Act:
    return _there(at, lambda world: world.api.delete(*at))


def _lose(at: tuple[str, str]) -> Act:
    """Without its finalizer the object goes at once, and its LiveKit objects stay."""

    def act(world: TwoClaims) -> None:
        world.api.strip_finalizer(*at)
        _delete(at)(world)

    return _there(at, act)


def _flush(world: TwoClaims) -> None:
    """LiveKit loses all its objects."""
    for each in world.livekit.objects():
        world.livekit.drop(each.id)


def _down(world: TwoClaims) -> None:
    world.livekit.always = DOWN


def _up(world: TwoClaims) -> None:
    world.livekit.always = None


def _acts(label: str, at: tuple[str, str]) -> dict[str, Act]:
    return {
        f"apply {label}": _apply(at),
        f"delete {label}": _delete(at),
        f"replace {label}": lambda world: (_delete(at)(world), _apply(at)(world)),
        f"observe {label}": _edit(at, managementPolicy="Observe"),
        f"manage {label}": _edit(at, managementPolicy="Manage"),
        f"pause {label}": _pause(at, "true"),
        f"go on with {label}": _pause(at, None),
        f"break {label}": _edit(at, terminationUri="sip:broken"),
        f"mend {label}": _edit(at, terminationUri="sip.example.com"),
        f"retain {label}": _edit(at, deletionPolicy="Retain"),
        f"lose {label}": _lose(at),
        f"no agent for {label}": _edit(at, inboundAgentId=None),
        f"an agent for {label}": _edit(at, inboundAgentId="agent"),
    }


RESTART, REST = "restart", "rest"
ACTIONS: dict[str, Act] = {
    **{name: act for label, at in OBJECTS.items() for name, act in _acts(label, at).items()},
    "wipe my status": _there(OBJECTS["mine"], lambda world: world.api.wipe_status(*OBJECTS["mine"])),
    "flush LiveKit": _flush,
    "LiveKit down": _down,
    "LiveKit up": _up,
}
pauses = st.sampled_from([0.0, 0.01, 0.5, 5.0, 40.0, 250.0, 400.0])
moves = st.lists(st.tuples(st.sampled_from([*sorted(ACTIONS), RESTART, REST]), pauses), min_size=3, max_size=16)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(moves)
def test_nobody_gets_a_number_that_another_namespace_had_before_it_let_go_for_good(
    history: list[tuple[str, float]],
) -> None:
    _played(history)


@in_virtual_time
async def _played(history: list[tuple[str, float]]) -> None:
    world = await TwoClaims.begun()
    _apply(OBJECTS["mine"])(world)
    await world.settle()
    _apply(OBJECTS["theirs"])(world)
    await world.settle()
    for action, pause_s in history:
        if action == RESTART:
            await world.restart()
        elif action == REST:
            await _rest(world)
        else:
            ACTIONS[action](world)
        await world.elapse(pause_s)
        assert world.ledger.broken == []
        _settled(world)
    await _rest(world)


async def _rest(world: TwoClaims) -> None:
    """LiveKit answers, a reservation passes, and everything must hold."""
    _up(world)
    await world.elapse(RESERVED_S + 2.5 * SWEEP_S)
    assert world.ledger.broken == []
    _settled(world)
    _judge(world)
    world.forget_counts()
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


def _settled(world: TwoClaims) -> None:
    """`NumberClaimed` means no LiveKit objects; two namespaces never both have a trunk of the number."""
    assert len(namespaces_with(world.livekit.objects())) <= 1
    if world.livekit.always is not None:
        return
    marked = {(owner.namespace, owner.name) for each in world.livekit.objects() if (owner := owner_of(each))}
    for raw in world.api.numbers():
        metadata, conditions = raw["metadata"], raw["status"].get("conditions", ())
        if any(each["reason"] == "NumberClaimed" for each in conditions) and "deletionTimestamp" not in metadata:
            assert not {"outboundTrunkId", "inboundTrunkId", "dispatchRuleId"} & set(raw["status"])
            assert (metadata["namespace"], metadata["name"]) not in marked


def _judge(world: TwoClaims) -> None:
    """A claimant has the number, unless a holder that does not claim it keeps it, or a gone object left trunks."""
    reasons = {_key(raw): _reason(raw) for raw in world.api.numbers()}
    asking = [_key(raw) for raw in world.api.numbers() if asks(raw)]
    trunks = [each for each in world.livekit.objects() if not isinstance(each, DispatchRule) and PHONE in each.numbers]
    owners = {(owner.namespace, owner.name) for each in trunks if (owner := owner_of(each))}
    assert len(owners) <= 1
    synced = [key for key in asking if reasons[key] == "Synced"]
    assert len(synced) <= 1
    assert set(synced) <= owners
    if asking and not synced:
        # Then the holder does not claim it at present, or a gone object left its trunks.
        holding = owners or {_key(raw) for raw in world.api.numbers() if raw["status"].get("outboundTrunkId")}
        assert holding, reasons
        assert not holding & set(asking), (reasons, owners)


def _key(raw: dict[str, Any]) -> tuple[str, str]:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]


def _reason(raw: dict[str, Any]) -> str:
    conditions = raw["status"].get("conditions", ())
    return next((str(each["reason"]) for each in conditions if each["type"] == "Ready"), "")
