"""The operator as a process: how it starts, ends, crashes, and goes on without LiveKit."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.deployment import NEVER, USER, Deployment
from integration.scene import Scene, condition, recorded
from testbed.http_probe import get
from testbed.operator_process import OperatorProcess

RIGHT = {"LIVEKIT_URL": "http://127.0.0.1:1", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 32}
SECRET_WORD = "hunter2-in-the-wrong-place"


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"LIVEKIT_URL": ""}, "LIVEKIT_URL: is required"),
        ({"LIVEKIT_URL": f"http://user:{SECRET_WORD}@lk"}, "LIVEKIT_URL: must be a ws, wss, http or https URL"),
        ({"LIVEKIT_API_KEY": ""}, "LIVEKIT_API_KEY: is required"),
        ({"LIVEKIT_API_SECRET": ""}, "LIVEKIT_API_SECRET: is required"),
        ({"BYOC_SWEEP_INTERVAL_SECONDS": "0.5"}, "BYOC_SWEEP_INTERVAL_SECONDS: must be greater than or equal"),
        ({"BYOC_LIVEKIT_CONCURRENCY": "many"}, "BYOC_LIVEKIT_CONCURRENCY: must be a valid integer"),
        ({"BYOC_SECRETS": "Some"}, "BYOC_SECRETS: must be 'Any' or 'Labelled'"),
        ({"BYOC_LOG_LEVEL": "LOUD"}, "BYOC_LOG_LEVEL: must be 'DEBUG'"),
        ({"BYOC_INSTALLATION_ID": "a/b"}, "BYOC_INSTALLATION_ID: must have visible characters and no slash"),
        ({"BYOC_SIP_URI": "sip:user@host"}, "BYOC_SIP_URI: must be a host"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    tmp_path: Path, wrong: dict[str, str], line: str
) -> None:
    operator = OperatorProcess(RIGHT | wrong, tmp_path / "operator.log")
    assert operator.wait_ended(20) == 1
    (told,) = operator.log_text().splitlines()
    assert told.startswith(f"byoc-operator: {line}")
    assert SECRET_WORD not in told


@pytest.mark.parametrize(
    ("argument", "code", "told"),
    [
        ("--version", 0, ("byoc-operator ",)),
        ("--help", 0, ("Usage: ", "run")),
        ("runn", 2, ("Usage: ", "No such command 'runn'")),
    ],
)
def test_the_command_tells_its_version_and_how_to_use_it(argument: str, code: int, told: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "byoc_operator", argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code
    text = done.stderr if code else done.stdout
    assert text.startswith(told[0])
    assert all(part in text for part in told)


def test_a_missing_file_of_a_setting_stops_the_start_too(deployment: Deployment) -> None:
    operator = deployment.launch({"LIVEKIT_API_SECRET_FILE": "/nowhere/secret"})
    assert operator.wait_ended(20) == 1
    last = operator.log_text().splitlines()[-1]
    assert last == "byoc-operator: LIVEKIT_API_SECRET_FILE: cannot read /nowhere/secret (FileNotFoundError)"


def test_a_port_that_is_taken_stops_the_start(deployment: Deployment) -> None:
    taken = deployment.bed.livekit.port
    operator = deployment.launch({"BYOC_HTTP_PORT": str(taken)})
    assert operator.wait_ended(20) == 1
    assert f"BYOC_HTTP_PORT: cannot listen on {taken}" in operator.log_text().splitlines()[-1]


def test_the_probes_answer(scene: Scene) -> None:
    port = scene.deployment.process.port
    assert json.loads(get(port, "/healthz").body) == {"status": "ok"}
    well = {"status": "ok", "waitingFor": [], "liveKit": "ok", "role": "leads"}
    scene.until(lambda: json.loads(get(port, "/readyz").body) == well, "readyz shows LiveKit and who leads")
    scene.number()
    scene.ready()
    metrics = scene.deployment.process.metrics()
    assert metrics['byoc_numbers{reason="Synced"}'] == 1
    assert metrics["byoc_livekit_up"] == 1
    assert scene.namespace not in get(port, "/metrics").body


def test_json_log_lines_tell_namespace_and_name(scene: Scene) -> None:
    scene.number()
    scene.ready()
    lines = [json.loads(line) for line in scene.deployment.process.log_text().splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("namespace") == scene.namespace]
    assert {line["name"] for line in mine} == {"a"}
    assert {"timestamp", "severity", "logger", "message"} < mine[0].keys()


def test_text_log_lines_tell_namespace_and_name(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure(NEVER | {"BYOC_LOG_FORMAT": "text"})
    stage.number()
    stage.ready()
    lines = deployment.process.log_text().splitlines()
    assert [line for line in lines if f" INFO    [{stage.namespace}/a run=" in line]


def test_the_rights_of_deploy_base_are_enough(scene: Scene) -> None:
    """For a number's whole life; other tests take rights away on purpose."""
    before = len(scene.bed.requests_by(USER))
    scene.number()
    scene.ready()
    scene.change(friendlyName="Support")
    scene.until(lambda: scene.get()["status"]["observedGeneration"] == 2, "the change is applied")
    scene.number("stuck", sipPasswordSecretRef={"name": "absent"})
    scene.told("SecretNotFound", "stuck")
    scene.delete()
    requests = scene.bed.requests_by(USER)[before:]
    assert [entry for entry in requests if entry.code in (401, 403)] == []
    assert [entry for entry in requests if entry.resource == "events" and entry.code == 201] != []


def _one_each(scene: Scene, phones: dict[str, str]) -> None:
    """Every number is in step with exactly one object of each kind, the one that its status names."""
    scene.all_ready(len(phones), within_s=60)
    outbound, inbound, rules = scene.sip.outbound(), scene.sip.inbound(), scene.sip.rules()
    assert (len(outbound), len(inbound), len(rules)) == (len(phones),) * 3
    trunks = {(trunk.numbers[0], trunk.sip_trunk_id) for trunk in outbound}
    trunks |= {(trunk.numbers[0], trunk.sip_trunk_id) for trunk in inbound}
    named = {(number["spec"]["phoneNumber"], id_) for number in scene.all() for id_ in recorded(number)[:2]}
    assert named == trunks


def test_a_stop_in_the_middle_of_work_leaves_nothing_half_made(scene: Scene, deployment: Deployment) -> None:
    scene.proxy.slow("CreateSIPInboundTrunk", 1, times=60)
    phones = scene.numbers(60)
    scene.until(lambda: len(scene.sip.rules()) >= 5, "some are made")
    deployment.stop()
    counts = {scene.held(phone).counts for phone in phones.values()}
    assert counts == {(0, 0, 0), (1, 1, 1)}
    scene.proxy.clear()
    deployment.start()
    _one_each(scene, phones)


def test_a_crash_in_the_middle_of_work_is_made_good(scene: Scene, deployment: Deployment) -> None:
    scene.proxy.slow("CreateSIPInboundTrunk", 0.3, times=50)
    phones = scene.numbers(50)
    scene.until(lambda: len(scene.sip.rules()) >= 5, "some are made")
    deployment.kill()
    scene.proxy.clear()
    assert len(scene.sip.rules()) < 50
    deployment.start()
    _one_each(scene, phones)


@pytest.fixture
def livekit_away(scene: Scene) -> Iterator[Scene]:
    """A number in step, LiveKit stopped after that."""
    scene.number("before")
    scene.ready("before")
    scene.bed.redis.save()
    scene.bed.livekit.stop()
    yield scene
    scene.bed.livekit.stop()
    scene.bed.livekit.start()


def test_while_livekit_is_away_only_who_wants_something_is_told(livekit_away: Scene) -> None:
    scene = livekit_away
    version = scene.get("before")["metadata"]["resourceVersion"]
    scene.number("new")
    number = scene.told("LiveKitUnavailable", "new")
    assert condition(number, "Reconciling")["status"] == "True"
    assert condition(number, "Stalled")["status"] == ""
    port = scene.deployment.process.port
    scene.until(lambda: "LiveKitUnavailable" in get(port, "/readyz").body, "readyz shows it")
    assert get(port, "/readyz").status == 200
    assert scene.deployment.process.metrics()["byoc_livekit_up"] == 0
    assert scene.get("before")["metadata"]["resourceVersion"] == version
    scene.bed.livekit.start()
    scene.ready("new", within_s=20)
    assert scene.get("before")["metadata"]["resourceVersion"] == version
    scene.until(lambda: json.loads(get(port, "/readyz").body)["liveKit"] == "ok", "readyz shows that it is back")


def test_an_edit_made_while_livekit_is_away_is_told_and_carried_out_later(livekit_away: Scene) -> None:
    scene = livekit_away
    scene.change("before", inboundAgentId="agent_new")
    scene.told("LiveKitUnavailable", "before")
    scene.bed.livekit.start()
    number = scene.ready("before", within_s=20)
    held = scene.held(number["spec"]["phoneNumber"])
    assert held.rules[0].room_config.agents[0].agent_name == "agent_new"


def test_a_restart_while_livekit_is_away_changes_nothing(livekit_away: Scene) -> None:
    scene = livekit_away
    version = scene.get("before")["metadata"]["resourceVersion"]
    scene.deployment.restart()
    port = scene.deployment.process.port
    scene.until(lambda: "LiveKitUnavailable" in get(port, "/readyz").body, "it has looked at LiveKit")
    assert get(port, "/readyz").status == 200
    assert scene.get("before")["metadata"]["resourceVersion"] == version


def test_a_wrong_api_key_is_told_to_who_wants_something(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure()
    scene.number("before")
    version = scene.ready("before")["metadata"]["resourceVersion"]
    deployment.ensure({"LIVEKIT_API_SECRET": "x" * 40})
    scene.number("new")
    number = scene.told("LiveKitUnauthorized", "new")
    assert condition(number, "Stalled")["reason"] == "LiveKitUnauthorized"
    assert "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET" in condition(number)["message"]
    assert scene.get("before")["metadata"]["resourceVersion"] == version
    deployment.ensure()
    scene.ready("new")


def test_a_stop_while_livekit_does_not_answer_is_clean(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure({"BYOC_LIVEKIT_TIMEOUT_SECONDS": "1"})
    stage.number()
    stage.ready()
    stage.proxy.hang("ListSIPDispatchRule")
    stage.until(lambda: stage.proxy.under_way["List"] == 1, "a sweep waits for LiveKit")
    deployment.stop()


def test_no_step_holds_up_the_event_loop(stage: Scene, deployment: Deployment) -> None:
    """At 0.5 s, not asyncio's 0.1: it looks at the clock, its debug mode is slow, and others want the CPU as well."""
    deployment.ensure(NEVER | {"PYTHONASYNCIODEBUG": "1"})
    stage.numbers(50)
    stage.all_ready(50)
    slow = re.findall(r"Executing (<.{0,300}).*? took (\d+\.\d+) seconds", deployment.process.log_text())
    assert [step for step in slow if float(step[1]) > 0.5] == []
