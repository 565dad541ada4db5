"""Outages of LiveKit, Redis, etcd and the API server: nothing is lost, nothing doubled, nothing stuck."""

import base64
import json
import secrets
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.deployment import Deployment
from integration.scene import GOOD_SECRET, Scene, condition, livekit_writes, recorded
from testbed.audit import AuditEntry
from testbed.bed import Bed
from testbed.part import write_private

ALONE = {"BYOC_LEADER_ELECTION": "false"}
"""No Lease to lose: what happens is told by the watches alone, and nobody waits for the Lease of a killed process."""
SHORT = ALONE | {"BYOC_LIVEKIT_TIMEOUT_SECONDS": "1"}


def _versions(scene: Scene, names: list[str]) -> dict[str, str]:
    return {name: scene.get(name)["metadata"]["resourceVersion"] for name in names}


def _per_name(writes: list[AuditEntry], what: str) -> dict[str, int]:
    """How many writes of one kind (resource, or resource/subresource) each name got."""
    counts: dict[str, int] = {}
    for write in writes:
        if f"{write.resource}/{write.subresource}".rstrip("/") == what:
            counts[write.name] = counts.get(write.name, 0) + 1
    return counts


def _lease_events(bed: Bed, reason: str) -> int:
    """How many Events with this reason there are about the installation as a whole."""
    path = ("get", "events.events.k8s.io", "-n", "byoc-system", "-o", "json")
    events = json.loads(bed.kubectl(*path).stdout)["items"]
    return sum(1 for event in events if event["reason"] == reason and event["regarding"]["kind"] == "Lease")


STATUS, OBJECT = "byocphonenumbers/status", "byocphonenumbers"


@pytest.fixture
def livekit_back(stage: Scene) -> Iterator[None]:
    """After each test, LiveKit and Redis run again, whatever the test did to them."""
    yield
    for part in (stage.bed.redis, stage.bed.livekit):
        if not part.is_ready():
            part.kill()
            part.start()


@pytest.mark.usefixtures("livekit_back")
@pytest.mark.parametrize("sign", ["connections are refused", "connections are lost"])
def test_livekit_is_away_then_back(stage: Scene, deployment: Deployment, sign: str) -> None:
    """What stands before LiveKit, if anything, decides what its absence looks like; ours drops connections."""
    scene = stage
    refused = {"LIVEKIT_URL": scene.bed.livekit.url} if sign == "connections are refused" else {}
    deployment.ensure(ALONE | refused)
    ready = scene.numbers(10)
    scene.all_ready(10)
    scene.events_are_posted()
    versions, before = _versions(scene, list(ready)), len(scene.writes())
    said = _lease_events(scene.bed, "LiveKitUnavailable")
    scene.bed.redis.save()
    scene.bed.livekit.stop()
    scene.until(lambda: deployment.process.metrics()["byoc_livekit_up"] == 0, "a sweep has noticed")
    new = [f"new{index}" for index in range(5)]
    phones = [*ready.values(), *(scene.number(name) for name in new)]
    for name in new:
        scene.told("LiveKitUnavailable", name)
    written = len(scene.writes())
    assert _per_name(scene.writes()[before:], STATUS) == dict.fromkeys(new, 1)
    failed = deployment.process.metrics()['byoc_sweeps_total{result="failed"}']
    scene.until(
        lambda: deployment.process.metrics()['byoc_sweeps_total{result="failed"}'] >= failed + 3, "three more probes"
    )
    assert len(scene.writes()) == written, "a retry writes nothing"
    assert deployment.readyz()["liveKit"].startswith("LiveKitUnavailable: ")
    assert deployment.process.is_ready()

    def waiting() -> float:
        metrics = deployment.process.metrics()
        return metrics["byoc_queue_parked"] + metrics["byoc_queue_delayed"]

    scene.until(lambda: waiting() == 5, "all but those in step wait")  # one may be tried just now
    scene.bed.livekit.start()
    scene.all_ready(15)
    assert _versions(scene, list(ready)) == versions, "who was Ready stayed so, and was not written to"
    scene.events_are_posted()
    writes = scene.writes()[before:]
    assert _per_name(writes, STATUS) == dict.fromkeys(new, 2)
    assert _per_name(writes, OBJECT) == dict.fromkeys(new, 1), "the finalizer, once"
    assert len(writes) == 20, "and one Event about the first Ready of each new one"
    assert _lease_events(scene.bed, "LiveKitUnavailable") == said + 1
    scene.until(lambda: deployment.readyz()["liveKit"] == "ok", "readyz says that it is back")
    scene.one_each(phones)


@pytest.mark.usefixtures("livekit_back")
def test_livekit_hangs_and_does_later_what_it_was_asked(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(SHORT)
    phones = scene.numbers(4)
    scene.all_ready(4)
    versions = _versions(scene, list(phones))
    scene.bed.livekit.process.suspend()
    try:
        new = [f"new{index}" for index in range(3)]
        added = [scene.number(name) for name in new]
        for name in new:
            scene.told("LiveKitUnavailable", name, within_s=20)
        assert _versions(scene, list(phones)) == versions
        assert deployment.process.is_ready()
    finally:
        scene.bed.livekit.process.resume()
    scene.all_ready(7)
    scene.proxy.settle()
    scene.until(lambda: {scene.held(phone).counts for phone in added} == {(1, 1, 1)}, "no duplicate is left")
    scene.after_a_sweep()
    scene.one_each([*phones.values(), *added])
    assert _versions(scene, list(phones)) == versions


@pytest.mark.usefixtures("livekit_back")
def test_redis_is_away_so_every_sip_call_fails_then_back(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ALONE)
    phones = scene.numbers(4)
    scene.all_ready(4)
    held = {phone: scene.held(phone).bytes for phone in phones.values()}
    versions, before = _versions(scene, list(phones)), len(scene.writes())
    scene.bed.redis.save()
    scene.bed.redis.stop()
    scene.until(lambda: deployment.process.metrics()["byoc_livekit_up"] == 0, "a sweep has noticed")
    added = scene.number("new")
    scene.told("LiveKitUnavailable", "new", within_s=20)
    scene.until(lambda: deployment.readyz()["liveKit"].startswith("LiveKitUnavailable"), "readyz shows it")
    scene.bed.redis.start()
    scene.all_ready(5)
    assert _versions(scene, list(phones)) == versions
    assert _per_name(scene.writes()[before:], STATUS) == {"new": 2}
    assert {phone: scene.held(phone).bytes for phone in phones.values()} == held
    scene.one_each([*phones.values(), added])


def _ask_redis(bed: Bed, command: str) -> str:
    with socket.create_connection(("127.0.0.1", bed.redis.port), 5) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.makefile("r").readline().strip()


def test_redis_is_emptied_and_all_is_made_anew_once(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ALONE)
    scene.secret(GOOD_SECRET)
    phones = scene.numbers(12, sipPasswordSecretRef={"name": "sip"})
    before = {name: recorded(number) for name, number in zip(phones, scene.all_ready(12), strict=True)}
    written = len(scene.writes())
    with scene.counted() as calls:
        assert _ask_redis(scene.bed, "FLUSHALL") == "+OK"
        scene.until(lambda: not {*map(recorded, scene.all())} & {*before.values()}, "all have new IDs", within_s=30)
        scene.all_ready(12)
        scene.after_a_sweep()
    assert livekit_writes(calls) == dict.fromkeys(
        ("CreateSIPOutboundTrunk", "CreateSIPInboundTrunk", "CreateSIPDispatchRule"), 12
    )
    writes = scene.writes()[written:]
    assert _per_name(writes, STATUS) == dict.fromkeys(phones, 1)
    assert _per_name(writes, OBJECT) == {}
    assert {trunk.auth_password for trunk in scene.sip.outbound()} == {GOOD_SECRET["password"]}
    scene.one_each(phones.values())


def test_the_api_server_is_restarted(stage: Scene, deployment: Deployment) -> None:
    """With the Lease: a leader that cannot renew it may end, and is started again as a kubelet would."""
    scene = stage
    deployment.ensure()
    phones = scene.numbers(5)
    scene.all_ready(5)
    scene.bed.api_server.stop()
    with scene.counted() as calls:
        lost = phones["n000"]
        scene.sip.delete(scene.held(lost).ids[0])
        scene.bed.api_server.start()
        ended = deployment.kept_alive()
        assert ended != 0
        phones["new"] = scene.number("new")
        scene.change("n001", inboundAgentId="agent_new")
        scene.kubectl("delete", "bpn", "n002", "--wait=false")
        scene.until(lambda: deployment.kept_alive() or scene.find("n002") is None, "the deletion is finished", 60)
        deployment.kept_alive()
        scene.all_ready(5, within_s=60)
        scene.until(
            lambda: scene.held(lost).counts == (1, 1, 1) and scene.held(lost).ids == recorded(scene.get("n000")),
            "the drift is repaired",
        )
    print(f"the operator's exit code: {ended}")
    assert livekit_writes(calls) == {
        "CreateSIPOutboundTrunk": 2,
        "CreateSIPInboundTrunk": 1,
        "CreateSIPDispatchRule": 1,
        "UpdateSIPDispatchRule": 1,
        "DeleteSIPDispatchRule": 1,
        "DeleteSIPTrunk": 2,
    }
    assert scene.held(phones.pop("n002")).counts == (0, 0, 0)
    scene.one_each(phones.values())


def _etcd(bed: Bed, path: str, question: dict[str, object]) -> dict[str, dict[str, str]]:
    """Ask etcd through its HTTP gateway."""
    request = urllib.request.Request(f"{bed.etcd.url}{path}", json.dumps(question).encode())  # noqa: S310 - 127.0.0.1
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        found: dict[str, dict[str, str]] = json.loads(answer.read())
        return found


def _compact(bed: Bed) -> None:
    """Compact etcd's history, so that no watch can continue."""
    key = base64.b64encode(b"compact").decode()
    revision = _etcd(bed, "/v3/kv/range", {"key": key})["header"]["revision"]
    _etcd(bed, "/v3/kv/compaction", {"revision": revision, "physical": True})


@pytest.fixture
def after_a_gap(stage: Scene, deployment: Deployment) -> Iterator[Scene]:
    """Five numbers in step, then a gap in the watch, in which each of them changes in another way."""
    scene = stage
    deployment.ensure(ALONE)
    for secret in ("changed", "deleted"):
        scene.secret(GOOD_SECRET, name=secret)
        scene.number(f"secret-{secret}", sipPasswordSecretRef={"name": secret})
    for name in ("changed", "deleted", "stripped"):
        scene.number(name)
    scene.all_ready(5)
    deployment.process.suspend()
    try:
        scene.change("changed", inboundAgentId="agent_new")
        scene.kubectl("delete", "bpn", "deleted", "--wait=false")
        scene.kubectl("patch", "bpn", "stripped", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        scene.kubectl("delete", "bpn", "stripped")
        scene.number("new")
        scene.secret({**GOOD_SECRET, "password": "second-password"}, name="changed")
        scene.kubectl("delete", "secret", "deleted")
        _compact(scene.bed)
        scene.bed.api_server.stop()
        scene.bed.api_server.start()
    finally:
        deployment.process.resume()
    yield scene
    deployment.stop()


def test_a_gap_in_the_watches_is_made_good(after_a_gap: Scene, deployment: Deployment) -> None:
    scene = after_a_gap
    pid = deployment.process.pid
    scene.ready("new", within_s=60)
    assert scene.held(scene.ready("changed")["spec"]["phoneNumber"]).rules[0].room_config.agents[0].agent_name == (
        "agent_new"
    )
    scene.until(lambda: scene.find("deleted") is None, "the deletion is finished")
    phone = scene.get("secret-changed")["spec"]["phoneNumber"]
    scene.until(
        lambda: [trunk.auth_password for trunk in scene.held(phone).outbound] == ["second-password"],
        "the new password is in LiveKit",
    )
    assert deployment.process.exit_code is None
    assert deployment.process.pid == pid
    scene.until(lambda: deployment.process.metrics()["byoc_watches_broken"] == 0, "the watches are whole")
    assert [number["metadata"]["name"] for number in scene.all()] == [
        "changed",
        "new",
        "secret-changed",
        "secret-deleted",
    ]


def test_what_vanished_in_a_gap_is_no_ghost(after_a_gap: Scene, deployment: Deployment) -> None:
    scene = after_a_gap
    scene.ready("new", within_s=60)
    scene.until(lambda: deployment.process.metrics()["byoc_orphans"] == 3, "what the stripped one left is an orphan")
    scene.told("SecretNotFound", "secret-deleted")


@pytest.mark.usefixtures("livekit_back")
def test_a_namespace_goes_with_its_secret_first_while_livekit_is_away(stage: Scene, deployment: Deployment) -> None:
    deployment.ensure(ALONE)
    doomed = f"{stage.namespace}-doomed"
    stage.bed.kubectl("create", "namespace", doomed)
    scene = Scene(deployment, doomed)
    scene.secret(GOOD_SECRET)
    phones = scene.numbers(5, sipPasswordSecretRef={"name": "sip"})
    scene.all_ready(5)
    scene.bed.redis.save()
    scene.bed.livekit.stop()
    scene.kubectl("delete", "secret", "sip")
    scene.bed.kubectl("delete", "namespace", doomed, "--wait=false")
    asked = "all are asked to go"  # by a controller that may still be looking for its API server after earlier tests
    scene.until(lambda: all("deletionTimestamp" in each["metadata"] for each in scene.all()), asked, within_s=60)
    assert len(scene.all()) == 5, "none goes while LiveKit may still hold something"
    scene.bed.livekit.start()
    scene.until(lambda: not scene.all(), "the numbers are gone", within_s=30)
    path = ("get", "namespace", doomed, "--ignore-not-found", "-o", "name")
    scene.until(lambda: not scene.bed.kubectl(*path).stdout, "the namespace is gone", within_s=60)
    assert {scene.held(phone).counts for phone in phones.values()} == {(0, 0, 0)}


def test_a_crash_amid_lost_replies_leaves_one_of_each(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure(ALONE)
    for method in ("CreateSIPOutboundTrunk", "CreateSIPInboundTrunk", "CreateSIPDispatchRule"):
        scene.proxy.error_after(method, times=8)
        scene.proxy.slow(method, 0.2, times=30)
    phones = scene.numbers(30)
    scene.until(lambda: len(scene.sip.inbound()) >= 5, "it is in the middle of work")
    deployment.kill()
    made = len(scene.sip.rules())
    assert made < 30
    scene.proxy.clear()
    scene.proxy.settle()
    deployment.start(ALONE)
    scene.all_ready(30, within_s=60)
    scene.after_a_sweep()
    assert len(scene.sip.outbound()) == len(scene.sip.inbound()) == len(scene.sip.rules()) == 30
    scene.one_each(phones.values())


@pytest.mark.usefixtures("livekit_back")
def test_livekits_own_key_is_rotated_without_a_restart(stage: Scene, deployment: Deployment, tmp_path: Path) -> None:
    scene, livekit = stage, stage.bed.livekit
    key, secret = tmp_path / "key", tmp_path / "secret"

    def mount() -> None:
        write_private(key, livekit.key)
        write_private(secret, f"{livekit.secret}\n")

    mount()
    files = {"LIVEKIT_API_KEY_FILE": str(key), "LIVEKIT_API_SECRET_FILE": str(secret)}
    deployment.ensure(ALONE | files | {"LIVEKIT_API_KEY": "", "LIVEKIT_API_SECRET": ""})
    pid = deployment.process.pid
    phones = scene.numbers(3)
    scene.all_ready(3)
    versions = _versions(scene, list(phones))
    scene.bed.redis.save()
    livekit.stop()
    livekit.secret = secrets.token_hex(32)
    livekit.start()
    phones["new"] = scene.number("new")
    number = scene.told("LiveKitUnauthorized", "new", within_s=20)
    assert condition(number, "Stalled")["status"] == "True"
    mount()
    scene.ready("new", within_s=20)
    assert deployment.process.exit_code is None
    assert deployment.process.pid == pid
    assert _versions(scene, ["n000", "n001", "n002"]) == versions
    scene.until(lambda: deployment.readyz()["liveKit"] == "ok", "readyz says that all is well")
    assert livekit.secret not in deployment.process.log_text()
    scene.one_each(phones.values())
