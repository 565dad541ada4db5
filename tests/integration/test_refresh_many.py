"""`kubectl byoc refresh` on real numbers: none is ever without its trunk, and an interrupted refresh goes on."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from integration.scene import Scene
from integration.sealed import EXECUTABLE, byoc
from testbed.process import clean_environment

COUNT = 120


@contextmanager
def always_there(scene: Scene, phones: set[str]) -> Iterator[list[int]]:
    """Read LiveKit's lists all the time. The list that is yielded: how many numbers had no trunk, at each look."""
    missing: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            lists = (scene.sip.inbound(), scene.sip.outbound())
            missing.extend(len(phones - {each for trunk in trunks for each in trunk.numbers}) for trunks in lists)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield missing
    finally:
        over.set()
        looking.join(timeout=30)


def refreshed(scene: Scene) -> dict[str, str]:
    """Per object the refresh that its status answers."""
    return {each["metadata"]["name"]: each["status"].get("lastHandledRefresh", "") for each in scene.all()}


def test_a_refresh_of_all_leaves_every_number_its_trunk_and_goes_on_after_ctrl_c(stage: Scene) -> None:
    scene = stage
    scene.deployment.ensure()
    made = scene.numbers(COUNT)
    before = {each["metadata"]["name"]: each["status"] for each in scene.all_ready(COUNT, within_s=120)}
    command = [str(EXECUTABLE), "refresh", "-n", scene.namespace, "--all", "--wave", "20", "--pause", "5s"]
    home = {"KUBECONFIG": str(scene.bed.kubeconfig), "HOME": str(scene.bed.directory)}
    with always_there(scene, set(made.values())) as missing:
        running = subprocess.Popen(
            command, env=clean_environment() | home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            scene.until(lambda: sum(map(bool, refreshed(scene).values())) >= 40, "two waves are done", within_s=60)
            running.send_signal(signal.SIGINT)
            stdout, stderr = running.communicate(timeout=30)
        finally:
            running.kill()
        assert running.returncode == 130, stderr
        assert "left" in stdout
        assert "the same command goes on" in stderr
        halfway = refreshed(scene)
        assert 40 <= sum(map(bool, halfway.values())) < COUNT
        done = byoc(scene, "refresh", "-n", scene.namespace, "--all", "--wave", "100", "-o", "json")
    assert "going on with a refresh that was interrupted" in done.stderr
    assert {each["result"] for each in json.loads(done.stdout)["items"]} == {"Done"}
    after = refreshed(scene)
    assert len(set(after.values())) == 1, "one refresh, over both starts"
    assert missing
    assert max(missing) == 0
    ids = ("inboundTrunkId", "outboundTrunkId", "dispatchRuleId")
    now = {each["metadata"]["name"]: each["status"] for each in scene.all()}
    assert {name: [status[each] for each in ids] for name, status in now.items()} == {
        name: [status[each] for each in ids] for name, status in before.items()
    }
