"""Each right of deploy/base taken away alone: it is told once where people look, and heals when it is given back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from integration.deployment import USER, Deployment
from integration.scene import Scene, condition
from testbed.http_probe import get
from testbed.part import NotReady

NUMBERS, STATUS, SECRETS, LEASES = "byocphonenumbers", "byocphonenumbers/status", "secrets", "leases"
REFUSED = "the API server refuses: "
LEASE = ("-n", "byoc-system", "lease", "byoc-operator")
KEYS = ("-n", "byoc-system", "secret", "byoc-sealing-keys")


class Lacking(NamedTuple):
    """A right that is missing, and how it shows. `starts`: only a process that starts runs into it."""

    verb: str
    resource: str
    starts: bool = False


ROLES = (("clusterrole", ()), ("role", ("-n", "byoc-system")))

WHILE_IT_RUNS = (
    *(Lacking("patch", resource) for resource in (STATUS, NUMBERS)),
    *(Lacking("get", resource) for resource in (NUMBERS, SECRETS)),
    Lacking("create", "events"),
)
AT_ITS_START = (
    *(Lacking(verb, NUMBERS, starts=True) for verb in ("list", "watch")),
    *(Lacking(verb, SECRETS, starts=True) for verb in ("list", "watch", "create")),
    *(Lacking(verb, LEASES, starts=True) for verb in ("get", "create", "update")),
)


@contextmanager
def without(scene: Scene, lacking: Lacking) -> Iterator[None]:
    """Both roles of the operator without one verb on one resource; given back in the end."""
    before = []
    for kind, where in ROLES:
        role = json.loads(scene.bed.kubectl(*where, "get", kind, "byoc-operator", "-o", "json").stdout)
        before.append((kind, where, role["rules"]))
        _write(scene, kind, where, _less(role["rules"], lacking))
    try:
        scene.until(lambda: not _may(scene, lacking), "RBAC is in force")
        yield
    finally:
        for kind, where, rules in before:
            _write(scene, kind, where, rules)


def _may(scene: Scene, lacking: Lacking) -> bool:
    resource, _, subresource = lacking.resource.partition("/")
    asked = (
        "auth",
        "can-i",
        lacking.verb,
        resource,
        f"--subresource={subresource}",
        f"--as={USER}",
        "-n",
        "byoc-system",
    )
    return scene.bed.kubectl(*asked, check=False).stdout.strip() == "yes"


def _less(rules: list[dict[str, Any]], lacking: Lacking) -> list[dict[str, Any]]:
    kept = []
    for rule in rules:
        hit = lacking.resource in rule["resources"]
        verbs = [verb for verb in rule["verbs"] if not (hit and verb == lacking.verb)]
        kept += [rule | {"verbs": verbs}] if verbs else []
    return kept


def _write(scene: Scene, kind: str, where: tuple[str, ...], rules: list[dict[str, Any]]) -> None:
    patch = json.dumps([{"op": "replace", "path": "/rules", "value": rules}])
    scene.bed.kubectl(*where, "patch", kind, "byoc-operator", "--type=json", "-p", patch)


def _shown(deployment: Deployment, lacking: Lacking) -> bool:
    """Whether /readyz is 503 with the reason, and the metric counts it."""
    answer = get(deployment.process.port, "/readyz")
    because = json.loads(answer.body or '{"waitingFor": []}')["waitingFor"]
    named = any(each.startswith(f"{REFUSED}{lacking.verb} {lacking.resource}: 403") for each in because)
    return answer.status == 503 and named and _counted(deployment, lacking) > 0


def _counted(deployment: Deployment, lacking: Lacking) -> float:
    name = f'byoc_refused_requests{{resource="{lacking.resource}",verb="{lacking.verb}"}}'
    try:
        return deployment.process.metrics().get(name, 0)
    except NotReady:
        return 0


def _told(deployment: Deployment, lacking: Lacking) -> int:
    return deployment.process.log_text().count(f"{REFUSED}{lacking.verb} {lacking.resource}: ")


def _is_told_and_heals(stage: Scene, lacking: Lacking, before: int) -> Iterator[None]:
    """Shown while the right is missing; then, once it is given back, nothing is. Yields between."""
    deployment = stage.deployment
    stage.until(lambda: _shown(deployment, lacking), f"{lacking} is shown", within_s=20)
    yield
    stage.until(deployment.process.is_ready, f"ready again with {lacking}", within_s=40)
    assert _counted(deployment, lacking) == 0
    assert _told(deployment, lacking) == before + 1


@pytest.mark.parametrize("lacking", WHILE_IT_RUNS, ids=lambda each: f"{each.verb}-{each.resource}")
def test_a_right_that_is_taken_away_while_it_runs(scene: Scene, lacking: Lacking) -> None:
    before = _told(scene.deployment, lacking)
    scene.secret({"username": "alice", "password": "first-password"}, labelled=False)
    phone = scene.number("b")
    scene.ready("b")
    with without(scene, lacking):
        same = {"phoneNumber": phone} if lacking == Lacking("get", NUMBERS) else {}
        scene.number(sipPasswordSecretRef={"name": "sip"}, **same)
        if lacking.resource == "events":
            scene.annotate("paused=true")  # an Event tells that
        telling = _is_told_and_heals(scene, lacking, before)
        next(telling)
        if lacking.resource == NUMBERS and lacking.verb == "patch":
            assert "cannot patch resource" in condition(scene.told("KubernetesRefused"))["message"]
        if lacking.resource == STATUS:
            scene.until(lambda: [why for why, _ in scene.events() if why == "KubernetesRefused"], "an Event tells it")
    assert next(telling, None) is None
    scene.told("NumberClaimed" if same else "Paused" if lacking.resource == "events" else "Synced")


def test_a_deletion_that_may_not_end_says_so(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    with without(scene, Lacking("patch", NUMBERS)):
        scene.kubectl("delete", "bpn", "a", "--wait=false")
        number = scene.told("Deleting")
        assert "cannot patch resource" in condition(number)["message"]
        assert "outboundTrunkId" not in number["status"]
        assert scene.held(phone).counts == (0, 0, 0)
    scene.until(lambda: scene.find() is None, "it is gone", within_s=20)


@pytest.mark.parametrize("lacking", AT_ITS_START, ids=lambda each: f"{each.verb}-{each.resource}")
def test_a_right_that_is_missing_at_the_start(stage: Scene, lacking: Lacking) -> None:
    deployment = stage.deployment
    deployment.ensure()
    before = _told(deployment, lacking)
    deployment.stop()
    if lacking.resource == LEASES:
        stage.bed.kubectl("delete", *LEASE, "--ignore-not-found")
        if lacking.verb == "update":
            stage.bed.kubectl("create", "-f", "-", stdin=json.dumps(_lease()))
    if lacking == Lacking("create", SECRETS, starts=True):
        stage.bed.kubectl("delete", *KEYS, "--ignore-not-found")
    with without(stage, lacking):
        deployment.launch()
        telling = _is_told_and_heals(stage, lacking, before)
        next(telling)
    assert next(telling, None) is None
    stage.number()
    stage.ready()


def _lease() -> dict[str, Any]:
    metadata = {"name": "byoc-operator", "namespace": "byoc-system"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
