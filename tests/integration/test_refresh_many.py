"""`kubectl byoc refresh` on real numbers: none is ever without its trunk, and whatever ends the command, it goes on."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.commands import run, user_environment
from integration.scene import Scene
from integration.sealed import EXECUTABLE
from integration.trunk_watch import always_there

COUNT = 500
IDS = ("inboundTrunkId", "outboundTrunkId", "dispatchRuleId")
_DONE = re.compile(r"refreshing: ([0-9]+) done")


@dataclass
class Ended:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str


class Running:
    """The command while it runs. It reports each change in a line: it says itself how far it is."""

    def __init__(self, scene: Scene, arguments: Sequence[str], output: Path) -> None:
        self._output = output
        with output.open("w") as file:
            self._process = subprocess.Popen(
                [str(EXECUTABLE), *arguments],
                env=user_environment(scene.bed),
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._said: list[str] = []

    def until_done(self, count: int) -> None:
        """Wait until at least so many numbers are done; the command ends by itself if they never are."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
            told = _DONE.search(line)
            if told and int(told[1]) >= count:
                return
        raise AssertionError(f"the command ended before {count} numbers were done: {''.join(self._said)}")

    def end(self, how: signal.Signals) -> Ended:
        """Send a signal, and wait for the end."""
        assert self._process.stderr is not None
        self._process.send_signal(how)
        rest = self._process.stderr.read()
        code = self._process.wait(timeout=30)
        return Ended(code, self._output.read_text(), "".join(self._said) + rest)

    def kill(self) -> None:
        """End it for good, whatever a test has left of it."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


@contextmanager
def running(scene: Scene, arguments: Sequence[str], output: Path) -> Iterator[Running]:
    command = Running(scene, arguments, output)
    try:
        yield command
    finally:
        command.kill()


def refreshed(scene: Scene) -> dict[str, str]:
    """Per object the refresh that its status answers."""
    return {each["metadata"]["name"]: each["status"].get("lastHandledRefresh", "") for each in scene.all()}


def recorded(scene: Scene) -> dict[str, list[str]]:
    """Per object its IDs in LiveKit."""
    return {each["metadata"]["name"]: [each["status"][name] for name in IDS] for each in scene.all()}


def answered(scene: Scene) -> int:
    return sum(map(bool, refreshed(scene).values()))


def test_a_refresh_of_500_leaves_each_its_trunk_and_goes_on_after_sigkill_and_ctrl_c(
    stage: Scene, tmp_path: Path
) -> None:
    scene = stage
    scene.deployment.ensure()
    made = scene.numbers(COUNT)
    scene.all_ready(COUNT)
    before = recorded(scene)
    command = ("refresh", "-n", scene.namespace, "--all", "--wave", "50")
    with always_there(scene.bed.livekit, set(made.values())) as missing:
        with running(scene, command, tmp_path / "killed") as first:
            first.until_done(50)
            killed = first.end(signal.SIGKILL)
        assert (killed.code, killed.stdout) == (-signal.SIGKILL, ""), "it had no chance to clean up"
        left = COUNT - answered(scene)
        assert 0 < left <= COUNT - 50

        with running(scene, command, tmp_path / "interrupted") as second:
            second.until_done(100)
            interrupted = second.end(signal.SIGINT)
        assert interrupted.code == 130, interrupted.stderr
        assert "going on with a refresh that was interrupted" in interrupted.stderr
        assert "the same command goes on" in interrupted.stderr
        assert re.search(r"[1-9][0-9]* done, 0 failed, 0 skipped, [1-9][0-9]* left", interrupted.stdout)

        done = run(scene, *command, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert "going on with a refresh that was interrupted" in done.stderr
    results = [each["result"] for each in json.loads(done.stdout)["items"]]
    assert (len(results), set(results)) == (COUNT, {"Done"})
    assert len(set(refreshed(scene).values())) == 1, "one refresh, over all starts"
    assert recorded(scene) == before
    assert missing
    assert max(missing) == 0
