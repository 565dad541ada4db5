"""Sealed credentials on the real API server: the operator's keys, `kubectl byoc`, a rotation that nobody notices."""

import base64
import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from byoc_operator.core.credentials import Field
from byoc_operator.sealing import KeyRing
from integration.deployment import NEVER, USER, Deployment
from integration.scene import GOOD_SECRET, Scene, condition, findings
from testbed.operator_process import OperatorProcess
from testbed.process import clean_environment

SYSTEM, KEYS = "byoc-system", "byoc-sealing-keys"
REF = {"name": "sip"}
EXECUTABLE = Path(sys.executable).parent / "kubectl-byoc"
INPUT = f"{GOOD_SECRET['username']}\n{GOOD_SECRET['password']}\n"


def byoc(
    scene: Scene, *args: str, stdin: str = "", check: bool = True, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `kubectl-byoc` as a user does."""
    home = {"KUBECONFIG": str(kubeconfig or scene.bed.kubeconfig), "HOME": str(scene.bed.directory)}
    done = subprocess.run(
        [str(EXECUTABLE), *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=clean_environment() | home,
        timeout=60,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    assert GOOD_SECRET["password"] not in done.stdout + done.stderr
    return done


def ring(scene: Scene) -> KeyRing:
    """The keys as they are in the cluster."""
    stored = scene.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, "-o", "json").stdout
    return KeyRing.parse(base64.b64decode(json.loads(stored)["data"]["keys"]).decode())


def no_keys(scene: Scene) -> None:
    scene.bed.kubectl("-n", SYSTEM, "delete", "secret", KEYS, "--ignore-not-found")


def sealed(scene: Scene, name: str = "sip") -> None:
    """What the guide says: seal, apply."""
    made = byoc(scene, "seal", name, "-n", scene.namespace, stdin=INPUT).stdout
    scene.kubectl("apply", "-f", "-", stdin=made)


@pytest.fixture
def watching(deployment: Deployment, stage: Scene) -> Scene:
    """No sweep helps here, and the keys are there."""
    deployment.ensure(NEVER)
    stage.until(lambda: stage.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, check=False).returncode == 0, "keys")
    return stage


def test_the_keys_are_made_with_the_rights_of_the_installation_and_never_touched_again(
    stage: Scene, deployment: Deployment
) -> None:
    deployment.stop()
    no_keys(stage)
    deployment.start()
    stage.until(lambda: stage.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, check=False).returncode == 0, "keys")
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


@contextmanager
def observed(scene: Scene) -> Iterator[set[str]]:
    """Every reason of Ready that any number of the namespace had meanwhile, looked at without a pause."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.update(condition(number)["reason"] for number in scene.all())
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_rotation_needs_no_restart_and_no_number_leaves_ready(watching: Scene, deployment: Deployment) -> None:
    scene = watching
    for index in range(5):
        sealed(scene, f"sip-{index}")
        scene.number(f"n{index}", sipPasswordSecretRef={"name": f"sip-{index}"})
    scene.all_ready(5)
    pid = deployment.process.pid
    with observed(scene) as seen, scene.counted() as calls:
        byoc(scene, "keys", "rotate")
        old = ring(scene).fingerprints()[1:]
        assert byoc(scene, "keys", "retire", check=False).returncode == 4
        resealed = byoc(scene, "keys", "reseal").stdout
        assert resealed.count(f"{scene.namespace}/sip-") == 5
        byoc(scene, "keys", "retire")
        sealed(scene, "after")
        scene.number("after", sipPasswordSecretRef={"name": "after"})
        scene.ready("after")
    assert seen <= {"Synced", "Pending", ""}
    assert {method: count for method, count in calls.items() if method.startswith("Update")} == {}
    assert len(scene.all_ready(6)) == 6
    listed = byoc(scene, "keys", "list").stdout
    assert ring(scene).fingerprints()[0] in listed
    assert not any(each in listed for each in old)
    assert deployment.process.pid == pid


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
    assert stage.bed.kubectl("-n", SYSTEM, "get", "secret", KEYS, check=False).returncode == 1
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


def test_at_a_terminal_the_password_is_asked_for_twice_and_never_shown(watching: Scene) -> None:
    terminal, asked = pty.openpty()
    home = {"KUBECONFIG": str(watching.bed.kubeconfig), "HOME": str(watching.bed.directory)}
    process = subprocess.Popen(
        [str(EXECUTABLE), "seal", "sip", "-n", watching.namespace],
        stdin=asked,
        stderr=asked,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment() | home,
        start_new_session=True,  # else the prompt would go to the terminal of whoever runs the tests
    )
    os.close(asked)
    shown = ""
    password = GOOD_SECRET["password"]
    for prompt, line in (("user name", GOOD_SECRET["username"]), ("password", password), ("confirmation", password)):
        while prompt not in shown.rpartition("\n")[2]:
            shown += os.read(terminal, 1000).decode()
        os.write(terminal, f"{line}\n".encode())
    secret = yaml.safe_load(process.communicate(timeout=30)[0])
    os.close(terminal)
    assert process.returncode == 0
    opened = ring(watching).open(secret["stringData"]["password"], watching.namespace, Field.PASSWORD)
    assert opened == password
    assert GOOD_SECRET["username"] in shown
    assert password not in shown
