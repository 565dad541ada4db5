"""`kubectl byoc` with two thousand real objects, some with the longest names: answers, and tables that fit."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from integration.commands import run, user_environment
from integration.scene import Scene
from integration.sealed import EXECUTABLE
from manifests import manifest
from terminals import on_terminal

COUNT, SENDERS = 2_000, 8
COLUMNS = 120
ADDRESS = "/apis/byoc.talkifai.dev/v1alpha1/namespaces/{}/byocphonenumbers"


@pytest.fixture
def thousands(stage: Scene) -> Scene:
    """The objects as they are created; no operator has looked at them."""

    def made(index: int) -> dict[str, object]:
        spec = {"phoneNumber": f"+1404{index:07}", "terminationUri": "sip.carrier.example"}
        return manifest(f"{'n' * 246}-{index:06}" if index % 100 == 0 else f"n-{index:06}", stage.namespace, spec)

    def send(first: int) -> None:
        items = [made(index) for index in range(first, COUNT, SENDERS)]
        stage.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    with ThreadPoolExecutor(SENDERS) as senders:  # one kubectl sends 50 requests a second
        list(senders.map(send, range(SENDERS)))
    return stage


def test_two_thousand_numbers(thousands: Scene) -> None:
    scene = thousands
    try:
        done = run(scene, "status", "-n", scene.namespace)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert len(lines) == 1 + COUNT + 1
        assert lines[-1].startswith("2000 numbers: ")

        code, shown = on_terminal(
            [str(EXECUTABLE), "status", "-n", scene.namespace], user_environment(scene.bed), COLUMNS
        )
        assert code == 0
        assert max(len(line) for line in shown.splitlines() if "\x1b" not in line) <= COLUMNS

        asked = run(scene, "refresh", "--all", "--dry-run", "-n", scene.namespace)
        assert (asked.returncode, asked.stdout.splitlines()[-1]) == (0, "0 done, 0 failed, 0 skipped, 2000 left")
        found = run(scene, "status", "+14040001999", "-n", scene.namespace)
        assert (found.returncode, "n-001999" in found.stdout) == (0, True)
    finally:
        scene.bed.kubectl("delete", "--raw", ADDRESS.format(scene.namespace), timeout_s=120)
