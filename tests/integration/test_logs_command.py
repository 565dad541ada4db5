"""`kubectl byoc logs -f` on the real API server: replicas that come and go, busy logs, a rollover of the operator."""

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.commands import run, user_environment
from integration.scene import Scene
from integration.sealed import EXECUTABLE, SYSTEM
from testbed.bed import Bed
from testbed.played_node import PlayedNode, played_node

_WITHIN_S = 60
DEPLOYMENT = "byoc-operator"


@pytest.fixture(scope="module")
def node(installed: Bed) -> Iterator[PlayedNode]:
    """A node for the pods of deploy/base."""
    with played_node(installed) as running:
        yield running


class Following:
    """`kubectl byoc logs -f`, while it runs. `lines`: what it has shown so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._queue: queue.Queue[str] = queue.Queue()
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, text: str) -> str:
        """The next line with this text."""
        deadline = time.monotonic() + _WITHIN_S
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                line = self._queue.get(timeout=left_s)
            except queue.Empty:
                break
            self.lines.append(line)
            if text in line:
                return line
        pytest.fail(f"no line with {text!r}; exit code {self._process.poll()}, the last of {self.lines[-5:]}")

    def end(self) -> str:
        """Press Ctrl-C; what stands on standard error."""
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        assert self._process.stderr is not None
        told = self._process.stderr.read()
        assert code == 130, told
        return told

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._queue.put(line)


@contextmanager
def following(scene: Scene, *args: str) -> Iterator[Following]:
    command = [str(EXECUTABLE), "logs", "-n", scene.namespace, "-f", *args]
    with subprocess.Popen(
        command, env=user_environment(scene.bed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Following(process)
        finally:
            process.kill()


def entry(scene: Scene, message: str, name: str = "a") -> str:
    """A line as the operator writes it."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {"timestamp": stamp, "severity": "INFO", "message": message, "namespace": scene.namespace, "name": name}
    return json.dumps(fields) + "\n"


def written(folder: Path, name: str, *lines: str) -> Path:
    log = folder / name
    log.write_text("".join(lines))
    return log


def test_a_new_replica_is_picked_up_while_another_is_busy(stage: Scene, node: PlayedNode, tmp_path: Path) -> None:
    """The busy one logs about the number all the time."""
    busy = written(tmp_path, "busy", entry(stage, "the first of the busy one"))
    node.run(SYSTEM, DEPLOYMENT, busy)
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.2):
            with busy.open("a") as file:
                file.write(entry(stage, "busy") + entry(stage, "of another number", "b"))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        with following(stage, "a") as logs:
            logs.until("the first of the busy one")
            new = node.run(SYSTEM, DEPLOYMENT, None)
            logs.until("busy")
            node.begin(new, written(tmp_path, "new", entry(stage, "the first of the new one")))
            logs.until("the first of the new one")
            told = logs.end()
    finally:
        over.set()
        writing.join()
        node.clear()
    assert not [line for line in logs.lines if "of another number" in line]
    assert told.count("ContainerCreating") <= 1, "told once, not at every look"


def test_a_deleted_pod_ends_and_its_successor_goes_on(stage: Scene, node: PlayedNode, tmp_path: Path) -> None:
    old = node.run(SYSTEM, DEPLOYMENT, written(tmp_path, "old", entry(stage, "from the old one")))
    try:
        with following(stage, "a") as logs:
            logs.until("from the old one")
            with (tmp_path / "old").open("a") as file:
                file.write(entry(stage, "the last words"))
            logs.until("the last words")
            node.end(old)
            node.run(SYSTEM, DEPLOYMENT, written(tmp_path, "successor", entry(stage, "from the successor")))
            logs.until("from the successor")
            logs.end()
    finally:
        node.clear()
    assert [line.split()[-1] for line in logs.lines] == ["one", "words", "successor"], "each line once"


def test_a_stream_that_breaks_goes_on_without_a_line_lost_or_doubled(
    stage: Scene, node: PlayedNode, tmp_path: Path
) -> None:
    log = written(tmp_path, "log", *(entry(stage, f"line-{index:04}") for index in range(50)))
    node.run(SYSTEM, DEPLOYMENT, log)
    count = 50
    try:
        with following(stage, "a") as logs:
            logs.until("line-0049")
            for _ in range(3):
                node.break_streams()
                with log.open("a") as file:
                    file.writelines(entry(stage, f"line-{index:04}") for index in range(count, count + 50))
                count += 50
                logs.until(f"line-{count - 1:04}")
            logs.end()
    finally:
        node.clear()
    assert [line.split("line-")[1][:4] for line in logs.lines] == [f"{index:04}" for index in range(count)]


def test_since_holds_for_what_is_followed(stage: Scene, node: PlayedNode, tmp_path: Path) -> None:
    old = entry(stage, "long ago").replace(str(datetime.now(UTC).year), "2001", 1)
    log = written(tmp_path, "log", old)
    node.run(SYSTEM, DEPLOYMENT, log)
    try:
        with following(stage, "a", "--since", "1m") as logs:
            with log.open("a") as file:
                file.write(entry(stage, "just now"))
            logs.until("just now")
            logs.end()
    finally:
        node.clear()
    assert len(logs.lines) == 1


def test_a_rollover_of_the_operator_is_followed(stage: Scene, node: PlayedNode) -> None:
    """Real processes: the leader ends, the standby takes over and says what it does with the number."""
    deployment = stage.deployment
    deployment.ensure()
    standby = deployment.replica("standby", deployment.proxy.url)
    try:
        standby.wait_ready()
        first = node.run(SYSTEM, DEPLOYMENT, deployment.process.log, deployment.process.port)
        stage.number("a")
        stage.ready()
        with following(stage, "a", "--since", "5m") as logs:
            logs.until("run=")
            node.run(SYSTEM, DEPLOYMENT, standby.log, standby.port)
            deployment.stop()
            node.end(first)
            seen = len(logs.lines)
            stage.change("a", friendlyName="after the rollover")
            stage.until(
                lambda: "after the rollover" in str(stage.held(stage.get()["spec"]["phoneNumber"]).outbound),
                "the standby has taken over",
                within_s=60,
            )
            logs.until("run=")
            assert len(logs.lines) > seen
            logs.end()
    finally:
        node.clear()
        standby.stop()


def test_a_pod_without_a_container_and_one_without_a_node_hide_nothing(
    stage: Scene, node: PlayedNode, tmp_path: Path
) -> None:
    node.run(SYSTEM, DEPLOYMENT, written(tmp_path, "log", entry(stage, "all is well")))
    node.run(SYSTEM, DEPLOYMENT, None)
    try:
        done = run(stage, "logs", "a", "-n", stage.namespace)
    finally:
        node.clear()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("all is well") == 1
    assert "ContainerCreating" in done.stderr
