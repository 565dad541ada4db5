"""The real livekit-server behind a proxy that breaks calls, and real `kill -9`: a sample of what the fake goes through.

Each test lets many numbers do the same thing at once and breaks each kind of call on the way once in every manner; all
numbers must come right. All points on the fake: `tests/histories/test_break_every_step.py`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from livekit.protocol.sip import SIPOutboundTrunkInfo

from integration.deployment import Deployment
from integration.scene import Scene, recorded
from integration.sip import plain
from testbed.livekit_proxy import Forward, LiveKitProxy

SETTINGS = {
    "BYOC_LEADER_ELECTION": "false",  # nobody is to wait for the Lease of a process that was killed
    "BYOC_LIVEKIT_CONCURRENCY": "32",  # a quarter of it recreates: enough to have one hang in each step
    "BYOC_LOG_LEVEL": "DEBUG",
}
PASSWORDS = ("Qz7-first-password", "Qz7-second-password")
SECRET = {"sipPasswordSecretRef": {"name": "sip"}}
NAMES = [f"n{index:03}" for index in range(8)]
FOREIGN_NUMBER = "+12025550166"

CREATES = ("CreateSIPOutboundTrunk", "CreateSIPInboundTrunk", "CreateSIPDispatchRule")
UPDATES = ("UpdateSIPOutboundTrunk", "UpdateSIPInboundTrunk", "UpdateSIPDispatchRule")
DELETES = ("DeleteSIPDispatchRule", "DeleteSIPTrunk")
LISTS = ("ListSIPDispatchRule", "ListSIPInboundTrunk", "ListSIPOutboundTrunk")
LATE_S = 1.5


@dataclass
class Table:
    """Fault points: action, call, manner → whether all came right."""

    rows: dict[tuple[str, str, str], bool] = field(default_factory=dict)

    def begin(self, action: str, methods: tuple[str, ...], manners: tuple[str, ...]) -> None:
        self.rows |= {(action, method, manner): False for method in methods for manner in manners}

    def passed(self, action: str, manners: tuple[str, ...]) -> None:
        self.rows |= {row: True for row in self.rows if row[0] == action and row[2] in manners}

    def text(self) -> str:
        run, good = Counter(row[::2] for row in self.rows), Counter(row[::2] for row, well in self.rows.items() if well)
        lines = [
            f"{action:<9} {manner:<34} {count:>3} run {good[action, manner]:>3} passed"
            for (action, manner), count in run.items()
        ]
        return "\n".join([*lines, f"{'all':<44} {len(self.rows):>3} run {sum(self.rows.values()):>3} passed"])


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    kept = Table()
    yield kept
    print(kept.text())


@pytest.fixture
def reported(table: Table, record_property: Callable[[str, object], None]) -> Iterator[Table]:
    """The table, which goes into the test's properties as it is in the end."""
    yield table
    record_property("points", table.text())


@dataclass(frozen=True)
class Action:
    """What the numbers do, the calls on the way, and what is true in the end."""

    name: str
    methods: tuple[str, ...]
    act: Callable[[Scene], None]
    exists_before: bool = True


def _create(scene: Scene) -> None:
    scene.numbers(len(NAMES), **SECRET)


def _update(scene: Scene) -> None:
    """All three objects of each number: carrier and password, who may call, which agent answers."""
    scene.secret({"username": "alice", "password": PASSWORDS[1]})
    changes = {
        "terminationUri": "sip2.example.com",
        "carrier": "Generic",
        "inboundAgentId": "agent_second",
        "inbound": {"allowedCallers": ["+15551230000"]},
    }
    _on_all(scene, "patch", "--type=merge", "-p", json.dumps({"spec": changes}))


def _recreate(scene: Scene) -> None:
    _on_all(scene, "annotate", "byoc.talkifai.dev/recreate=second")


def _delete(scene: Scene) -> None:
    _on_all(scene, "delete", "--wait=false")


def _on_all(scene: Scene, verb: str, *args: str) -> None:
    scene.kubectl(verb, "bpn", *NAMES, *args)


ACTIONS = [
    Action("create", CREATES, _create, exists_before=False),
    Action("update", UPDATES, _update),
    Action("recreate", (*DELETES, *CREATES), _recreate),
    Action("delete", DELETES, _delete),
]
IDS = [action.name for action in ACTIONS]
UNHARMED = ("fails, not applied", "applied, reply lost", "fails, applied later")
DELETED_S = 100.0
"""A deletion waits for up to a minute where a create was left without an answer: LiveKit may still apply it."""

KILLED_BEFORE, KILLED_AFTER = "killed, never applied", "killed, applied after the death"


@pytest.fixture
def prepared(stage: Scene, deployment: Deployment) -> Callable[[Action], dict[str, str]]:
    """Starts the operator and makes what an action begins with; what was in LiveKit before is somebody else's."""

    def prepare(action: Action) -> dict[str, str]:
        deployment.stop()
        deployment.start(SETTINGS)
        stage.secret({"username": "alice", "password": PASSWORDS[0]})
        if action.exists_before:
            _create(stage)
            stage.all_ready(len(NAMES))
        return {number["metadata"]["name"]: number["spec"]["phoneNumber"] for number in stage.all()}

    return prepare


@pytest.fixture
def foreign(stage: Scene) -> Iterator[None]:
    """A foreign trunk, which must not change."""
    stage.sip.create_outbound(SIPOutboundTrunkInfo(name="t", address="sip.example.net", numbers=[FOREIGN_NUMBER]))
    before = stage.held(FOREIGN_NUMBER).bytes
    yield
    assert stage.held(FOREIGN_NUMBER).bytes == before


def _right(scene: Scene, action: Action, before: dict[str, str]) -> None:
    """All numbers are in step with exactly one object of each kind, or gone; nothing of LiveKit's is left over."""
    if action.act is _delete:
        scene.until(lambda: not scene.all(), "all are gone", within_s=DELETED_S)
        _nothing_more(scene, before)
        return
    scene.until(lambda: _handled(scene, action), "all are in step", within_s=40)
    scene.proxy.settle()
    scene.until(lambda: len(scene.sip.outbound()) == len(NAMES) + 1, "no duplicate is left")
    scene.after_a_sweep()
    scene.all_ready(len(NAMES))
    phones = [number["spec"]["phoneNumber"] for number in scene.all()]
    scene.one_each(phones)
    _as_wanted(scene, action)
    assert (len(scene.sip.inbound()), len(scene.sip.rules())) == (len(NAMES), len(NAMES))


def _nothing_more(scene: Scene, before: dict[str, str]) -> None:
    scene.proxy.settle()
    assert {scene.held(phone).counts for phone in before.values()} == {(0, 0, 0)}


def _handled(scene: Scene, action: Action) -> bool:
    numbers = scene.all()
    current = [each["status"]["observedGeneration"] == each["metadata"]["generation"] for each in numbers]
    in_step = [
        each["status"]["conditions"][0]["reason"] == "Synced" for each in numbers if each["status"].get("conditions")
    ]
    done = action.act is not _recreate or all(each["status"].get("lastHandledRecreate") == "second" for each in numbers)
    return len(in_step) == len(NAMES) and all(current) and all(in_step) and done


def _as_wanted(scene: Scene, action: Action) -> None:
    second = action.act is _update
    for number in scene.all():
        held = scene.held(number["spec"]["phoneNumber"])
        assert held.outbound[0].auth_password == PASSWORDS[second]
        assert held.outbound[0].address == ("sip2.example.com" if second else "your-trunk.pstn.twilio.com")
        assert held.rules[0].room_config.agents[0].agent_name == ("agent_second" if second else "agent_support")
        assert list(held.inbound[0].allowed_numbers) == (["+15551230000"] if second else [])
        assert list(held.rules[0].trunk_ids) == [held.inbound[0].sip_trunk_id]
        assert plain(held.outbound[0])["numbers"] == [number["spec"]["phoneNumber"]]


def _no_leak(scene: Scene, deployment: Deployment) -> None:
    told = deployment.process.log_text() + json.dumps(scene.all()) + scene.kubectl("get", "events", "-o", "json")
    assert not [password for password in PASSWORDS if password in told]


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("action", ACTIONS, ids=IDS)
def test_a_call_that_fails_or_seems_to_does_no_lasting_harm(
    stage: Scene,
    deployment: Deployment,
    prepared: Callable[[Action], dict[str, str]],
    reported: Table,
    action: Action,
) -> None:
    scene, before = stage, prepared(action)
    ids = {recorded(number) for number in scene.all()}
    reported.begin(action.name, action.methods, UNHARMED)
    for method in action.methods:
        scene.proxy.error_before(method)
        scene.proxy.error_after(method)
        scene.proxy.applied_later(method, LATE_S)
    action.act(scene)
    _right(scene, action, before)
    assert not any(scene.proxy._faults.values()), "every fault has happened"
    if action.act is _recreate:
        assert ids.isdisjoint(recorded(number) for number in scene.all())
    _no_leak(scene, deployment)
    reported.passed(action.name, UNHARMED)
    deployment.kill()  # a deletion would wait for a minute for the creates whose replies were lost


def _swallow(proxy: LiveKitProxy, method: str) -> None:
    """LiveKit never sees the call, and the client gets no answer until `release`."""

    async def swallow(request: web.Request, _forward: Forward) -> web.Response:
        await proxy._released.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    proxy._run(proxy._hold())
    proxy._inject(method, swallow, 1)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("manner", [KILLED_BEFORE, KILLED_AFTER])
@pytest.mark.parametrize("action", ACTIONS, ids=IDS)
def test_a_crash_in_every_step_at_once_is_made_good(
    stage: Scene,
    deployment: Deployment,
    prepared: Callable[[Action], dict[str, str]],
    reported: Table,
    action: Action,
    manner: str,
) -> None:
    """In each kind of call one number is held fast, the others are done, then the process is killed."""
    scene, before = stage, prepared(action)
    reported.begin(action.name, action.methods, (manner,))
    for method in action.methods:
        if manner is KILLED_BEFORE:
            _swallow(scene.proxy, method)
        else:
            scene.proxy.hang(method)
    action.act(scene)
    verbs = {method.partition("SIP")[0] for method in action.methods}
    scene.until(
        lambda: sum(scene.proxy.under_way[verb] for verb in verbs) == len(action.methods),
        "one number hangs in each step",
    )
    deployment.kill()
    scene.proxy.release()
    scene.proxy.settle()
    deployment.start(SETTINGS)
    _right(scene, action, before)
    _no_leak(scene, deployment)
    reported.passed(action.name, (manner,))
    if action.act is _delete:
        return
    phones = {number["metadata"]["name"]: number["spec"]["phoneNumber"] for number in scene.all()}
    _delete(scene)
    scene.until(lambda: not scene.all(), "all can be deleted", within_s=DELETED_S)
    _nothing_more(scene, phones)


@pytest.mark.usefixtures("foreign")
def test_lists_that_fail_delay_a_repair_and_nothing_else(
    stage: Scene, prepared: Callable[[Action], dict[str, str]], reported: Table
) -> None:
    scene, manners = stage, ("fails, not applied", "applied, reply lost")
    phones = prepared(ACTIONS[1])
    reported.begin("sweep", LISTS, manners)
    lost: list[Any] = [scene.held(phone).ids[index % 3] for index, phone in enumerate(phones.values())]
    for method in LISTS:
        scene.proxy.error_before(method)
        scene.proxy.error_after(method)
    scene.sip.delete(*sorted(lost, reverse=True))
    scene.until(lambda: not any(scene.proxy._faults.values()), "every fault has happened", within_s=30)
    scene.until(
        lambda: all(scene.held(phone).counts == (1, 1, 1) for phone in phones.values()), "all is repaired", within_s=30
    )
    scene.after_a_sweep()
    scene.one_each(phones.values())
    reported.passed("sweep", manners)
