"""What numbers cost, counted in the API server's audit log and in the proxy before LiveKit."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from integration.deployment import NEVER, USER, Deployment
from integration.fixtures import ROOT
from integration.scene import BASE, GOOD_SECRET, Scene, condition, fresh_number, livekit_writes
from manifests import manifest

POLICY = str(ROOT / "deploy/components/finalizer-policy/policy.yaml")
LISTS = {"ListSIPOutboundTrunk": 1, "ListSIPInboundTrunk": 1, "ListSIPDispatchRule": 1}
FINALIZER, STATUS = ("patch", "byocphonenumbers", ""), ("patch", "byocphonenumbers", "status")
EVENT = ("create", "events", "")


@pytest.fixture
def still(deployment: Deployment, stage: Scene) -> Scene:
    """The operator after its first sweep; no further sweep follows during the test."""
    deployment.ensure(NEVER)
    stage.until(lambda: deployment.sweeps() >= 1, "the first sweep has ended")
    return stage


def _kinds(scene: Scene) -> Counter[tuple[str, str, str]]:
    scene.events_are_posted()
    return Counter((entry.verb, entry.resource, entry.subresource) for entry in scene.writes())


def _idle(scene: Scene) -> None:
    """Wait until the operator has nothing to do: what came before is done then."""
    scene.number("barrier", managementPolicy="Observe")
    scene.told("ChangesPending", "barrier")

    def nothing_left() -> bool:
        metrics = scene.deployment.process.metrics()
        return metrics["byoc_queue_depth"] == metrics["byoc_queue_delayed"] == 0

    scene.until(nothing_left, "the queue is empty")
    scene.events_are_posted()


def _without_barrier(scene: Scene) -> Counter[tuple[str, str, str]]:
    _idle(scene)
    return Counter(
        (entry.verb, entry.resource, entry.subresource)
        for entry in scene.writes()
        if not entry.name.startswith("barrier")
    )


def test_a_created_number_costs_two_writes_and_three_calls(still: Scene) -> None:
    scene = still
    with scene.counted() as calls:
        scene.numbers(10)
        scene.all_ready(10)
        writes = _without_barrier(scene)
    assert writes == {FINALIZER: 10, STATUS: 10, EVENT: 10}
    assert calls == {"CreateSIPOutboundTrunk": 10, "CreateSIPInboundTrunk": 10, "CreateSIPDispatchRule": 10}


def test_a_changed_number_costs_one_write(still: Scene) -> None:
    scene = still
    scene.number()
    scene.ready()
    before = _kinds(scene)
    with scene.counted() as calls:
        scene.change(inboundAgentId="agent_other")
        scene.ready()
        writes = _without_barrier(scene)
    assert writes - before == {STATUS: 1}
    assert calls == {"UpdateSIPDispatchRule": 1}


def test_what_concerns_us_not_costs_nothing(still: Scene) -> None:
    scene = still
    scene.number()
    scene.ready()
    before = _kinds(scene)
    with scene.counted() as calls:
        scene.kubectl("label", "bpn", "a", "team=support")
        scene.kubectl("annotate", "bpn", "a", "example.com/note=hello")
        writes = _without_barrier(scene)
    assert writes == before
    assert calls == {}


def test_a_deleted_number_costs_one_write_and_three_calls(still: Scene) -> None:
    scene = still
    scene.number()
    scene.ready()
    before = _kinds(scene)
    with scene.counted() as calls:
        scene.delete()
        writes = _without_barrier(scene)
    assert writes - before == {FINALIZER: 1}
    assert calls == {"DeleteSIPDispatchRule": 1, "DeleteSIPTrunk": 2}


def test_a_failing_number_writes_once_however_often_it_is_tried(still: Scene) -> None:
    scene = still
    scene.proxy.status("CreateSIPOutboundTrunk", 429, '{"code": "resource_exhausted", "msg": "slow down"}', times=100)
    scene.number()
    scene.told("LiveKitRateLimited")
    scene.until(lambda: scene.proxy.calls["CreateSIPOutboundTrunk"] >= 4, "it was tried again", within_s=20)
    assert _kinds(scene) == {FINALIZER: 1, STATUS: 1}, "one Event on the Lease tells of LiveKit, none on a number"
    scene.proxy.clear()


def test_a_changed_password_costs_one_write_and_one_call_a_number(still: Scene) -> None:
    scene = still
    scene.secret(GOOD_SECRET)
    scene.numbers(5, sipPasswordSecretRef={"name": "sip"})
    scene.all_ready(5)
    before = _kinds(scene)
    with scene.counted() as calls:
        version = scene.secret({**GOOD_SECRET, "password": "second-password"})
        scene.until(
            lambda: {each["status"]["credentials"]["resourceVersion"] for each in scene.all()} == {version},
            "all have the new password",
        )
        writes = _without_barrier(scene)
    assert writes - before == {STATUS: 5}
    assert calls == {"UpdateSIPOutboundTrunk": 5}


def test_a_restart_with_200_numbers_costs_three_lists(still: Scene, deployment: Deployment) -> None:
    scene = still
    scene.secret(GOOD_SECRET)
    scene.numbers(200, sipPasswordSecretRef={"name": "sip"})
    versions = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in scene.all_ready(200)}
    scene.events_are_posted()
    deployment.stop()
    before = len(scene.bed.requests_by(USER))
    with scene.counted() as calls:
        deployment.start(NEVER)
        scene.until(lambda: deployment.sweeps() == 1, "the first sweep has ended")
        _idle(scene)
    requests = scene.bed.requests_by(USER)[before:]
    # The Lease is taken and renewed, whatever there is to do.
    work = [entry for entry in requests if entry.resource != "leases"]
    assert [entry for entry in work if entry.is_write and not entry.name.startswith("barrier")] == []
    secrets = [entry.name for entry in requests if entry.resource == "secrets" and entry.verb == "get"]
    assert secrets == ["byoc-sealing-keys"]
    assert calls == LISTS
    after = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in scene.all()}
    assert {name: after[name] for name in versions} == versions


def test_a_sweep_without_drift_costs_three_lists(stage: Scene, deployment: Deployment) -> None:
    scene = stage
    deployment.ensure({"BYOC_SWEEP_INTERVAL_SECONDS": "2"})
    scene.secret(GOOD_SECRET)
    scene.numbers(20, sipPasswordSecretRef={"name": "sip"})
    scene.all_ready(20)
    scene.events_are_posted()
    _next_sweep(scene)
    before = len(scene.writes())
    with scene.counted() as calls:
        _next_sweep(scene)
    assert calls == LISTS
    assert len(scene.writes()) == before


def _next_sweep(scene: Scene) -> None:
    """Wait for the end of one more sweep; the next begins two seconds later."""
    seen = scene.deployment.sweeps()
    scene.until(lambda: scene.deployment.sweeps() == seen + 1, "one more sweep")


@pytest.fixture
def finalizer_policy(still: Scene) -> Iterator[Scene]:
    """With the component finalizer-policy, as soon as the API server follows it."""
    scene = still
    probe = json.dumps(manifest("probe", scene.namespace, {**BASE, "phoneNumber": fresh_number()}))

    def finalizers() -> bool:
        done = scene.bed.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=probe)
        return "finalizers" in json.loads(done.stdout)["metadata"]

    scene.bed.kubectl("apply", "-f", POLICY)
    try:
        scene.until(finalizers, "the policy is in force", within_s=30)
        yield scene
    finally:
        scene.bed.kubectl("delete", "-f", POLICY)
    scene.until(lambda: not finalizers(), "the policy is out of force", within_s=30)


def test_with_the_admission_policy_a_created_number_costs_one_write(finalizer_policy: Scene) -> None:
    scene = finalizer_policy
    with scene.counted() as calls:
        scene.numbers(10)
        numbers = scene.all_ready(10)
    assert _kinds(scene) == {STATUS: 10, EVENT: 10}
    assert sum(livekit_writes(calls).values()) == 30
    assert all(each["metadata"]["finalizers"] == ["byoc.talkifai.dev/finalizer"] for each in numbers)
    scene.number("observed", managementPolicy="Observe")
    assert "finalizers" not in scene.told("ChangesPending", "observed")["metadata"]
    assert condition(scene.get("n000"))["reason"] == "Synced"
