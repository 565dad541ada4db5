"""Sealed credentials on the real API server: the operator's keys, `kubectl byoc`, a rotation that nobody notices."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from byoc_operator.core.credential_values import Field
from integration.deployment import NEVER, USER, Deployment
from integration.scene import GOOD_SECRET, Scene, condition, findings
from integration.sealed import EXECUTABLE, INPUT, KEYS, SYSTEM, byoc, has_keys, no_keys, ring, sealed, with_keys
from testbed.operator_process import OperatorProcess
from testbed.process import clean_environment

REF = {"name": "sip"}


@pytest.fixture
def watching(stage: Scene) -> Scene:
    """No sweep happens here, and the keys exist."""
    return with_keys(stage)


def test_the_keys_are_made_with_the_rights_of_the_installation_and_never_touched_again(
    stage: Scene, deployment: Deployment
) -> None:
    deployment.stop()
    no_keys(stage)
    deployment.start()
    stage.until(lambda: has_keys(stage), "the keys are made")
    made = ring(stage)
    deployment.restart()
    stage.after_a_sweep()
    assert ring(stage) == made
    writes = [entry for entry in stage.bed.writes_by(USER) if entry.resource == "secrets"]
    assert {entry.verb for entry in writes} == {"create"}
    events = json.loads(stage.bed.kubectl("-n", SYSTEM, "get", "events.events.k8s.io", "-o", "json").stdout)["items"]
    told = [each["note"] for each in events if each["reason"] == "SealingKeysMade"]
    assert any(made.fingerprints()[0] in note for note in told)


def test_two_replicas_without_election_that_race_end_with_one_key(stage: Scene, deployment: Deployment) -> None:
    deployment.stop()
    no_keys(stage)
    before = len(stage.bed.writes_by(USER))
    alone = {**NEVER, "BYOC_LEADER_ELECTION": "false"}
    replicas: list[OperatorProcess] = [
        deployment.replica(f"race-{count}", deployment.proxy.url, alone) for count in range(2)
    ]
    try:
        for replica in replicas:
            replica.wait_ready()
        stage.until(
            lambda: all("sealing keys in use" in replica.log_text() for replica in replicas), "both have keys", 20
        )
        made = ring(stage).fingerprints()
        lines = [line for replica in replicas for line in replica.log_text().splitlines() if "keys in use" in line]
        assert [made[0] in line for line in lines] == [True, True]
        creates = [each for each in stage.bed.writes_by(USER)[before:] if each.resource == "secrets"]
        assert [each.code for each in creates].count(201) == 1
        assert {each.code for each in creates} <= {201, 409}
    finally:
        for replica in replicas:
            replica.stop()


def test_a_sealed_secret_reaches_livekit_opened(watching: Scene) -> None:
    sealed(watching)
    phone = watching.number(sipPasswordSecretRef=REF)
    number = watching.ready()
    trunk = watching.held(phone).outbound[0]
    assert (trunk.auth_username, trunk.auth_password) == (GOOD_SECRET["username"], GOOD_SECRET["password"])
    assert number["status"]["credentials"]["sealed"] is True
    assert findings(number) == []
    assert GOOD_SECRET["password"] not in watching.kubectl("get", "secret,bpn", "-o", "yaml")


def test_a_secret_of_another_namespace_does_not_open_here(watching: Scene) -> None:
    made = yaml.safe_load(byoc(watching, "seal", "sip", "-n", "another", stdin=INPUT).stdout)
    made["metadata"]["namespace"] = watching.namespace
    watching.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    watching.number(sipPasswordSecretRef=REF)
    message = condition(watching.told("SealedForAnotherUse"))["message"]
    assert "for another namespace" in message
    assert "kubectl byoc seal" in message


def test_a_password_sealed_where_the_user_name_goes_is_not_sent(watching: Scene) -> None:
    password = ring(watching).seal(GOOD_SECRET["password"], watching.namespace, Field.PASSWORD)
    watching.secret({"username": password, "password": password})
    watching.number(sipPasswordSecretRef=REF)
    assert "as password and is used as user name" in condition(watching.told("SealedForAnotherUse"))["message"]


def test_where_sealing_is_required_plain_text_is_refused(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure({**NEVER, "BYOC_SEALING": "Require"})
    stage.secret(GOOD_SECRET)
    phone = stage.number(sipPasswordSecretRef=REF)
    stage.told("PlainTextRefused")
    assert stage.held(phone).counts == (0, 1, 1)
    sealed(stage)
    stage.ready()


def test_keys_that_are_lost_are_missed_not_replaced_and_restored_they_open_all_again(
    stage: Scene, deployment: Deployment
) -> None:
    deployment.ensure()
    sealed(stage)
    phone = stage.number(sipPasswordSecretRef=REF)
    stage.ready()
    backup = stage.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, "-o", "json").stdout
    no_keys(stage)
    stage.after_a_sweep()
    stage.ready()  # what was read stays in use
    deployment.restart()
    message = condition(stage.told("SealingKeyUnknown"))["message"]
    assert f"there is no Secret {SYSTEM}/{KEYS}" in message
    assert not has_keys(stage)
    assert stage.held(phone).counts == (1, 1, 1)
    kept = json.loads(backup)
    kept["metadata"] = {"name": KEYS, "namespace": SYSTEM}
    stage.bed.kubectl("apply", "-f", "-", stdin=json.dumps(kept))
    stage.ready()


def test_who_may_not_read_the_keys_gets_nothing_without_a_webhook(watching: Scene) -> None:
    scene = watching
    scene.kubectl("create", "serviceaccount", "tenant")
    scene.kubectl("create", "rolebinding", "tenant", "--clusterrole=edit", f"--serviceaccount={scene.namespace}:tenant")
    tenant = scene.bed.service_account_kubeconfig(scene.namespace, "tenant")
    done = byoc(scene, "seal", "sip", "-n", scene.namespace, stdin=INPUT, check=False, kubeconfig=tenant)
    assert (done.returncode, done.stdout) == (3, "")
    assert "not every value came back sealed" in done.stderr
    assert scene.kubectl("get", "secret", "sip", "--ignore-not-found") == ""
    for command in ("rotate", "list", "reseal", "retire"):
        assert byoc(scene, "keys", command, check=False, kubeconfig=tenant).returncode == 3


def test_a_cluster_that_is_not_there_is_said_in_a_line(watching: Scene, tmp_path: Path) -> None:
    done = byoc(watching, "seal", "sip", stdin=INPUT, check=False, kubeconfig=tmp_path / "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("kubectl byoc: there is no cluster to talk to")
    assert "Traceback" not in done.stderr


@contextmanager
def at_a_terminal(scene: Scene) -> Iterator[tuple[subprocess.Popen[str], Callable[..., str]]]:
    """`kubectl byoc seal` at a terminal of its own, and a function that waits for a prompt and gives what was shown."""
    terminal, asked = pty.openpty()
    home = {"KUBECONFIG": str(scene.bed.kubeconfig), "HOME": str(scene.bed.directory)}
    process = subprocess.Popen(
        [str(EXECUTABLE), "seal", "sip", "-n", scene.namespace],
        stdin=asked,
        stderr=asked,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment() | home,
        start_new_session=True,  # else the prompt would go to the terminal of whoever runs the tests
    )
    os.close(asked)
    shown = ""

    def prompted(prompt: str, answer: str = "") -> str:
        nonlocal shown
        while prompt not in shown.rpartition("\n")[2]:
            shown += os.read(terminal, 1000).decode()
        if answer:
            os.write(terminal, f"{answer}\n".encode())
            shown += "\n"
        return shown

    try:
        yield process, prompted
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_at_a_terminal_the_password_is_asked_for_twice_and_never_shown(watching: Scene) -> None:
    password = GOOD_SECRET["password"]
    with at_a_terminal(watching) as (process, prompted):
        prompted("user name", "no:body")  # asked for again: the name cannot be one
        prompted("user name", GOOD_SECRET["username"])
        prompted("password", password)
        shown = prompted("confirmation", password)
        secret = yaml.safe_load(process.communicate(timeout=30)[0])
    assert process.returncode == 0
    opened = ring(watching).open(secret["stringData"]["password"], watching.namespace, Field.PASSWORD)
    assert opened == password
    assert "must not contain" in shown
    assert GOOD_SECRET["username"] in shown
    assert password not in shown


def _sleeps(process: subprocess.Popen[str]) -> bool:
    """Whether a process waits in a call of the system."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_ctrl_c_at_a_prompt_ends_it_at_once(watching: Scene) -> None:
    with at_a_terminal(watching) as (process, prompted):
        prompted("user name: ")
        watching.until(lambda: _sleeps(process), "it waits")  # a moment earlier, Python would only take note
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "", "it asks for nothing more"
        assert process.returncode == 1
