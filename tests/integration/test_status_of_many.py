"""`kubectl byoc status` of sixty numbers, half of them broken for several causes, with LiveKit up and down."""

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from livekit.protocol.sip import SIPInboundTrunkInfo

from golden import check
from integration.commands import run, user_environment
from integration.deployment import Deployment
from integration.scene import Scene, condition
from integration.sealed import EXECUTABLE
from integration.volatile import masked
from manifests import manifest, merged
from terminals import on_terminal

GOLDEN = Path(__file__).parent / "golden"
ALONE = {"BYOC_LEADER_ELECTION": "false"}
EXPECTED = {
    "Synced": 30,
    "SecretNotFound": 8,
    "SecretKeyMissing": 6,
    "NumberConflict": 5,
    "NumberClaimed": 4,
    "Paused": 4,
    "ChangesPending": 3,
}
_COLUMNS = 160


def phone(index: int) -> str:
    return f"+1303555{index:04}"


def _masked(text: str) -> str:
    return masked(text, status=True)


def numbers(scene: Scene) -> list[dict[str, Any]]:
    """Sixty objects; `EXPECTED` says how many come to which reason."""

    def made(name: str, index: int, **changes: Any) -> dict[str, Any]:
        spec = {"phoneNumber": phone(index), "terminationUri": "sip.carrier.example", "inboundAgentId": "agent_support"}
        return manifest(name, scene.namespace, merged(spec, changes))

    def signed(secret: str) -> dict[str, Any]:
        return {"sipPasswordSecretRef": {"name": secret}}

    paused = [made(f"paused-{index}", 40 + index) for index in range(4)]
    for each in paused:
        each["metadata"]["annotations"] = {"byoc.talkifai.dev/paused": "true"}
    return [
        *(made(f"good-{index:02}", index) for index in range(30)),
        *(made(f"no-secret-{index}", 50 + index, **signed("missing")) for index in range(8)),
        *(made(f"bad-secret-{index}", 60 + index, **signed("empty")) for index in range(6)),
        *(made(f"conflict-{index}", 70 + index) for index in range(5)),
        *(made(f"observed-{index}", 80 + index, managementPolicy="Observe") for index in range(3)),
        *paused,
    ]


@pytest.fixture(scope="module")
def told(deployment: Deployment) -> Iterator[Scene]:
    """The sixty numbers, each with its verdict."""
    scene = Scene(deployment, f"test-{secrets.token_hex(4)}")
    scene.bed.kubectl("create", "namespace", scene.namespace)
    scene.deployment.ensure(ALONE)
    for index in range(5):
        scene.sip.create_inbound(SIPInboundTrunkInfo(name="theirs", numbers=[phone(70 + index)]))
    scene.secret({"username": "somebody"}, name="empty")
    apply(scene, numbers(scene))
    scene.until(lambda: reasons(scene)["Synced"] == EXPECTED["Synced"], "the good ones are in step", within_s=60)
    apply(scene, [manifest(f"twin-{index}", scene.namespace, {**spec_of(index)}) for index in range(4)])
    scene.until(lambda: reasons(scene) == EXPECTED, f"{EXPECTED}", within_s=60)
    yield scene
    scene.kubectl("delete", "bpn", "--all", "--wait=false")
    scene.until(lambda: not scene.all(), "all numbers are gone", within_s=60)
    scene.sip.clear()
    scene.bed.kubectl("delete", "namespace", scene.namespace, "--wait=false")


def spec_of(index: int) -> dict[str, Any]:
    return {"phoneNumber": phone(index), "terminationUri": "sip.carrier.example"}


def apply(scene: Scene, items: list[dict[str, Any]]) -> None:
    scene.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def reasons(scene: Scene) -> Counter[str]:
    return Counter(condition(each)["reason"] for each in scene.all())


def status(scene: Scene, *args: str) -> str:
    """What it prints in a pipe; nothing on standard error."""
    done = run(scene, "status", "-n", scene.namespace, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def on_a_terminal(scene: Scene, *args: str) -> str:
    """What it prints on a terminal."""
    command = [str(EXECUTABLE), "status", "-n", scene.namespace, *args]
    code, shown = on_terminal(command, user_environment(scene.bed), _COLUMNS)
    assert code == 0
    return shown


@pytest.mark.parametrize(
    ("file", "args"),
    [
        ("status-of-many.txt", ()),
        ("status-of-many-wide.txt", ("-o", "wide")),
        ("status-of-one.txt", ("bad-secret-0",)),
    ],
)
def test_in_a_pipe(told: Scene, file: str, args: tuple[str, ...]) -> None:
    shown = status(told, *args)
    check(GOLDEN / file, _masked(shown if len(args) != 1 else shown.partition("Event:")[0]))


def test_on_a_terminal(told: Scene) -> None:
    shown = on_a_terminal(told)
    check(GOLDEN / "status-of-many-terminal.txt", _masked(shown))
    rows = [line for line in shown.splitlines()[:-1] if "\x1b" not in line]
    assert max(map(len, rows)) <= _COLUMNS, "what the table says is wrapped; the last line is the terminal's matter"


def test_as_a_list_object(told: Scene) -> None:
    found = json.loads(status(told, "-o", "json"))
    assert found == yaml.safe_load(status(told, "-o", "yaml"))
    assert found["summary"] == {"total": 60, "Stalled": 23, "Reconciling": 3, "Unknown": 4, "Ready": 30}
    assert Counter(each["reason"] for each in found["items"]) == EXPECTED
    assert all(each["remedy"] and each["message"] for each in found["items"] if each["state"] != "Ready")
    first = {each["reason"]: each for each in reversed(found["items"])}
    check(
        GOLDEN / "status-of-each-reason.json", _masked(json.dumps([first[each] for each in EXPECTED], indent=1) + "\n")
    )


def test_with_livekit_down_what_was_ready_stays_and_what_is_new_says_why(told: Scene) -> None:
    bed = told.bed
    told.deployment.ensure(ALONE | {"LIVEKIT_URL": bed.livekit.url})
    told.until(lambda: reasons(told) == EXPECTED, "the same after a start", within_s=60)
    bed.redis.save()
    bed.livekit.stop()
    try:
        told.until(lambda: told.deployment.process.metrics()["byoc_livekit_up"] == 0, "LiveKit is missed", within_s=30)
        apply(told, [manifest(f"new-{index}", told.namespace, spec_of(90 + index)) for index in range(3)])
        told.until(lambda: reasons(told)["LiveKitUnavailable"] == 3, "the new ones say so", within_s=60)
        shown = status(told)
        check(GOLDEN / "status-without-livekit.txt", _masked(shown))
        assert shown.splitlines()[-1].startswith("63 numbers: 30 Ready, 23 Stalled")
    finally:
        bed.livekit.start()
    told.until(lambda: reasons(told)["Synced"] == 33, "LiveKit is back", within_s=60)
    told.kubectl("delete", "bpn", *(f"new-{index}" for index in range(3)))
