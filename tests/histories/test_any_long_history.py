"""Long histories: users, strangers, outages, hanging calls, sleeping machines, lost leaderships, orphans, in any order.

As `test_any_edits_with_a_broken_request`, with more that can happen and with points of rest in between, at which
everything must hold.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breaking import CRASHES, Break, SteppedApi, SteppedLiveKit, Steps
from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject, kind_of
from byoc_operator.errors import Failure, OperatorError, Stalled, Unavailable
from byoc_operator.livekit_sip.faults import Hang
from operated import LEASE, NAME, NAMESPACE, PASSWORD, PHONE, SWEEP_S, SYSTEM, USER, World, candidate, manifest
from virtual_time import VirtualTimeLoop, in_virtual_time

SECOND, OTHER = "second", "other"
PHONES = {NAME: PHONE, SECOND: PHONE, OTHER: "+15550100001"}
NEW_PASSWORD = "another-secret-text"
DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")
WRONG_KEY = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key", server_wide=True)
FOREIGN_OUT = OutboundTrunk("theirs", "{}", "sip.example.net", "TCP", (PHONE,), id="ST_foreign_out")
FOREIGN_IN = InboundTrunk("theirs", "{}", ("+15550109999",), id="ST_foreign_in")
FOREIGN_RULE = DispatchRule("theirs", ("ST_foreign_in",), "x-", "their agent", "{}", id="SDR_foreign")
REASONS = {"NumberClaimed", "ChangesPending"}


@dataclass
class History:
    """The history so far, and the engine that works now."""

    world: World
    steps: Steps
    foreign: dict[str, SipObject] = field(default_factory=dict)
    hanging: list[asyncio.Event] = field(default_factory=list)
    processes: int = 1

    def there(self, name: str) -> bool:
        return self.world.exists(name)

    def ours(self) -> list[SipObject]:
        return [each for each in self.world.livekit.objects() if each.id not in self.foreign]

    def all_marked(self) -> bool:
        return all(owner_of(each) for each in self.ours())

    async def fail_over(self) -> None:
        """The process dies, and a standby leads as soon as the Lease is free."""
        before = self.world
        await before.kill()
        self.processes += 1
        leader = candidate(before.api, f"p{self.processes}") if before.leader else None
        self.world = World(livekit=before.livekit, api=before.api, leader=leader, deletes_orphans=True)
        self.world.troubles += before.troubles
        await self.world.start(settle=False)

    async def mourn(self) -> None:
        """A process that ends by itself is started again; only for reasons that are none of our bugs."""
        died = self.world.engine.tasks.died
        if not died.done():
            return
        assert isinstance(died.result(), OperatorError) or "leader ended" in str(died.result()), died.result()
        await self.fail_over()


Act = Callable[[History], Any]


def _if(name: str, act: Act) -> Act:
    return lambda history: act(history) if history.there(name) else None


def _edit(name: str, **fields: Any) -> Act:
    return _if(name, lambda history: history.world.api.edit(NAMESPACE, name, **fields))


def _annotate(name: str, **annotations: str | None) -> Act:
    return _if(name, lambda history: history.world.api.annotate(NAMESPACE, name, **annotations))


def _apply(name: str) -> Act:
    return lambda history: history.world.api.apply(manifest(name, phoneNumber=PHONES[name]))


def _delete(name: str) -> Act:
    return _if(name, lambda history: history.world.api.delete(NAMESPACE, name))


def _secret(password: str) -> Act:
    return lambda history: history.world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": password})


def _strangers_edit(position: int, **changes: Any) -> Act:
    """Somebody changes one of our objects, of the kind that has such a field."""

    def act(history: History) -> None:
        fitting = [each for each in history.ours() if {field.name for field in fields(each)}.issuperset(changes)]
        if fitting:
            history.world.livekit.edit(fitting[position % len(fitting)].id, **changes)

    return act


def _drop(position: int) -> Act:
    def act(history: History) -> None:
        ours = history.ours()
        if ours:
            history.world.livekit.drop(ours[position % len(ours)].id)

    return act


def _lose_a_mark(history: History) -> None:
    """A trunk that a status names: a trunk without a mark that no status names is foreign."""
    recorded = history.world.ids()[:2] if history.there(NAME) else ()
    for each in history.ours():
        if each.id in recorded:
            history.world.livekit.edit(each.id, metadata="{}")
            return


def _lose_the_object(name: str) -> Act:
    """Delete the object after removing its finalizer: its LiveKit objects stay, with their mark."""

    def act(history: History) -> None:
        if history.all_marked():
            history.world.api.strip_finalizer(NAMESPACE, name)
            _delete(name)(history)  # unless it is deleted by now

    return _if(name, act)


def _wipe(history: History) -> None:
    if history.all_marked():
        history.world.api.wipe_status(NAMESPACE, NAME)


def _strangers_own(history: History) -> None:
    """Other users of LiveKit change their own objects."""
    changed = history.foreign[FOREIGN_OUT.id]
    assert isinstance(changed, OutboundTrunk)
    history.world.livekit.edit(changed.id, name=f"{changed.name}+")
    history.foreign = {each.id: each for each in history.world.livekit.objects() if each.id in history.foreign}


def _hang(method: str) -> Act:
    def act(history: History) -> None:
        released = asyncio.Event()
        history.hanging.append(released)
        history.world.livekit.inject(Hang(released), method)

    return act


def _release(history: History) -> None:
    for each in history.hanging:
        each.set()
    history.hanging.clear()


def _livekit(trouble: Failure | None) -> Act:
    def act(history: History) -> None:
        history.world.livekit.always = trouble

    return act


def _sleep(seconds: float) -> Act:
    """The machine sleeps: the clocks go on, and no task runs."""

    def act(_: History) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        loop.jump(seconds)

    return act


def _rob(history: History) -> None:
    """Another process takes the Lease."""
    if history.world.api.lease(SYSTEM, LEASE):
        history.world.api.edit_lease(SYSTEM, LEASE, holderIdentity="a thief")


def _lose_the_lease(history: History) -> None:
    if history.world.api.lease(SYSTEM, LEASE):
        history.world.api.delete_lease(SYSTEM, LEASE)


FAIL_OVER, REST = "fail over", "rest"
ACTIONS: dict[str, Act] = {
    **{f"apply {name}": _apply(name) for name in PHONES},
    **{f"delete {name}": _delete(name) for name in PHONES},
    **{f"lose {name}": _lose_the_object(name) for name in PHONES},
    "move": _edit(NAME, terminationUri="sip2.example.com"),
    "move back": _edit(NAME, terminationUri="sip.example.com"),
    "no agent": _edit(NAME, inboundAgentId=None),
    "an agent": _edit(NAME, inboundAgentId="agent"),
    "observe other": _edit(OTHER, managementPolicy="Observe"),
    "manage other": _edit(OTHER, managementPolicy="Manage"),
    "refresh": _annotate(NAME, refresh="a"),
    "recreate": _annotate(NAME, recreate="b"),
    "pause": _annotate(NAME, paused="true"),
    "wipe the status": _if(NAME, _wipe),
    "bad password": _secret("x\n"),
    "new password": _secret(NEW_PASSWORD),
    "stranger moves a trunk": _strangers_edit(0, address="evil.example.net"),
    "stranger opens a trunk": _strangers_edit(0, allowed_addresses=()),
    "stranger renumbers a trunk": _strangers_edit(1, numbers=("+15550105555",)),
    "stranger opens a rule": _strangers_edit(0, trunk_ids=()),
    "stranger edits the stranger's": _strangers_own,
    "lose a mark": _lose_a_mark,
    "drop the first": _drop(0),
    "drop the last": _drop(-1),
    "a list hangs": _hang("list"),
    "a create hangs": _hang("create"),
    "a replace hangs": _hang("replace"),
    "hanging ends": _release,
    "LiveKit down": _livekit(DOWN),
    "LiveKit locked": _livekit(WRONG_KEY),
    "LiveKit up": _livekit(None),
    "short sleep": _sleep(8.0),
    "long sleep": _sleep(4000.0),
    "Lease robbed": _rob,
    "Lease deleted": _lose_the_lease,
}
pauses = st.sampled_from([0.0, 0.004, 0.012, 0.5, 4.0, 20.0, 400.0])
LATE = (Break.LATE, Break.VERY_LATE)
breaks = st.none() | st.tuples(
    st.integers(0, 8), st.sampled_from([how for how in Break if how not in (*CRASHES, *LATE)])
)
Moves = list[tuple[str, tuple[int, Break] | None, float]]
moves = st.lists(
    st.tuples(st.sampled_from([*sorted(ACTIONS), FAIL_OVER, REST]), breaks, pauses), min_size=3, max_size=14
)


@settings(max_examples=24, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(moves)
def test_any_history_comes_right(history: Moves) -> None:
    _played(history, elects=False)


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(moves)
def test_any_history_of_elected_replicas_comes_right(history: Moves) -> None:
    """Fewer steps, because a renewal every three seconds takes most of the time."""
    _played(history, elects=True)


@in_virtual_time
async def _played(moves: Moves, *, elects: bool) -> None:
    history = await _begun(elects=elects)
    for action, broken, pause_s in moves:
        if broken:
            after, history.steps.how = broken
            history.steps.at = len(history.steps.names) + after
        if action == FAIL_OVER:
            await history.fail_over()
        elif action == REST:
            await _rest(history)
        else:
            ACTIONS[action](history)
        await asyncio.sleep(pause_s)
        await history.mourn()
        _always(history)
    await _rest(history)


async def _begun(*, elects: bool) -> History:
    steps = Steps(armed=True)
    api = SteppedApi(steps)
    leader = candidate(api, "p1") if elects else None
    world = World(livekit=SteppedLiveKit(steps), api=api, leader=leader, deletes_orphans=True)
    history = History(world, steps)
    for each in (FOREIGN_OUT, FOREIGN_IN, FOREIGN_RULE):
        history.foreign[world.livekit.put(each)] = each
    _secret(PASSWORD)(history)
    _apply(NAME)(history)
    await world.start()
    return history


def _always(history: History) -> None:
    """At every moment."""
    stored = {each.id: each for each in history.world.livekit.objects()}
    assert {id_: stored.get(id_) for id_ in history.foreign} == history.foreign
    told = history.world.told()
    assert PASSWORD not in told
    assert NEW_PASSWORD not in told


async def _rest(history: History) -> None:
    """All faults outside end, time passes, and then everything must be in step."""
    history.steps.at = None
    for action in ("LiveKit up", "hanging ends"):
        ACTIONS[action](history)
    _secret(PASSWORD)(history)
    _annotate(NAME, paused=None)(history)
    for _ in range(5):
        await asyncio.sleep(25)
        await history.mourn()
    # An orphan counts at the second sweep; the third one handles the objects that it blocked.
    await history.world.elapse(3.5 * SWEEP_S)
    _always(history)
    _judge(history)
    history.world.forget_counts()
    await history.world.sweep()
    writes = [each for each in history.world.api_writes() if not each.endswith("leases")]
    assert (writes, history.world.livekit_writes()) == ([], [])


def _judge(history: History) -> None:
    world = history.world
    assert (world.engine.leading, world.engine.tasks.died.done(), world.engine.problems()) == (True, False, [])
    there = [raw["metadata"]["name"] for raw in world.api.numbers()]
    assert not any("deletionTimestamp" in raw["metadata"] for raw in world.api.numbers())
    readiness = {name: world.ready(name) for name in there}
    assert all(ready == ("True", "Synced") or ready[1] in REASONS for ready in readiness.values()), readiness
    ours = Counter((getattr(owner_of(each), "name", ""), kind_of(each)) for each in history.ours())
    assert not ours or max(ours.values()) == 1, ours
    assert {name for name, _ in ours} <= set(there)
    for phone in set(PHONES.values()):
        managed = [name for name in there if PHONES[name] == phone and not _observes(world, name)]
        synced = [name for name in managed if readiness[name] == ("True", "Synced")]
        assert len(synced) == min(1, len(managed)), readiness
        for name in synced:
            kinds = 3 if world.raw(name)["spec"].get("inboundAgentId") else 1
            assert sum(owner == name for owner, _ in ours) == kinds
            assert set(filter(None, world.ids(name))) == {
                each.id for each in history.ours() if getattr(owner_of(each), "name", "") == name
            }


def _observes(world: World, name: str) -> bool:
    return bool(world.raw(name)["spec"].get("managementPolicy") == "Observe")
