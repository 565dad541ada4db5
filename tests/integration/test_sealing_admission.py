"""Sealing at admission through the real API server; what is stored is read in etcd itself."""

import base64
import http.client
import json
import os
import signal
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.core.credential_values import Field, field_of
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import keys_in
from integration.deployment import Deployment
from integration.scene import GOOD_SECRET, LABEL, Scene, recorded
from testbed.bed import Bed
from testbed.part import free_port

ROOT = Path(__file__).parents[2]
CONFIGURATION = "mutatingwebhookconfiguration/byoc-operator-sealing"
ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
PASSWORD = "Plain-Password-4711"
READY_WITHIN_S = 30

Json = dict[str, Any]


@pytest.fixture(scope="module")
def component(installed: Bed) -> list[Json]:
    """The objects of the component."""
    folder = installed.directory / "sealing-admission"
    folder.mkdir(exist_ok=True)  # another module may have run before, on the same bed
    # kustomize takes relative paths only, and the component patches what is there.
    up = "../" * (len(folder.parts) - 1)
    parts = [f"{up.rstrip('/')}{ROOT}/deploy/components/sealing-admission"]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"components": parts}))
    return [found for found in yaml.safe_load_all(installed.kubectl("kustomize", str(folder)).stdout) if found]


@pytest.fixture(scope="module")
def webhook_port() -> int:
    return free_port()


@pytest.fixture(scope="module", autouse=True)
def sealing(deployment: Deployment, component: list[Json], webhook_port: int) -> Iterator[None]:
    """The component as it is, but for the address: the API server of the test bed knows no Services."""
    bed = deployment.bed
    url = f"https://127.0.0.1:{webhook_port}/seal"
    for each in component:
        if each["kind"] == "MutatingWebhookConfiguration":
            assert each["webhooks"][0].pop("clientConfig") == {
                "service": {"namespace": "byoc-system", "name": "byoc-operator-admission", "path": "/seal", "port": 443}
            }
            each["webhooks"][0]["clientConfig"] = {"url": url}
    bed.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": component}))
    deployment.start(settings(webhook_port))
    try:
        _wait_serving(bed)
        yield
    finally:
        bed.kubectl("delete", CONFIGURATION, "--ignore-not-found")


def settings(port: int) -> dict[str, str]:
    return {
        "BYOC_ADMISSION": "true",
        "BYOC_ADMISSION_PORT": str(port),
        "BYOC_ADMISSION_SERVICE": "byoc-operator-admission.byoc-system.svc,127.0.0.1",
        "BYOC_ADMISSION_WEBHOOK": "byoc-operator-sealing",
    }


@pytest.fixture
def scene(stage: Scene, webhook_port: int) -> Scene:
    stage.deployment.ensure(settings(webhook_port))
    return stage


def trusted(bed: Bed) -> str:
    """Whose certificates the API server trusts for the webhook (PEM)."""
    path = "jsonpath={.webhooks[0].clientConfig.caBundle}"
    return base64.b64decode(bed.kubectl("get", CONFIGURATION, "-o", path).stdout).decode()


def _wait_serving(bed: Bed) -> None:
    """Wait until the API server, which takes a moment to hear of it, has a Secret sealed."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        made = bed.kubectl("create", "-f", "-", "--dry-run=server", "-o", "json", stdin=plain("default"), check=False)
        if made.returncode == 0 and opens_to(json.loads(made.stdout), ring(bed)):
            return
        assert time.monotonic() < deadline, made.stderr
        time.sleep(0.1)


def ring(bed: Bed) -> KeyRing:
    return keys_in(
        json.loads(bed.kubectl("-n", "byoc-system", "get", "secret", "byoc-sealing-keys", "-o", "json").stdout)
    )


def plain(namespace: str, part: str = "stringData", *, labelled: bool = True, **values: str) -> str:
    data = {"username": "alice", "password": PASSWORD} | values
    if part == "data":
        data = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    metadata = {"name": "sip", "namespace": namespace, "labels": LABEL if labelled else {}}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, part: data})


def opens_to(secret: Json, keys: KeyRing) -> dict[str, str]:
    """The values of a Secret; empty if one of them is not sealed."""
    texts = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    if not all(text.startswith("fernet:") for text in texts.values()):
        return {}
    return {key: keys.open(text, secret["metadata"]["namespace"], field_of(key)) for key, text in texts.items()}


def stored(scene: Scene, name: str = "sip") -> Json:
    found: Json = json.loads(scene.kubectl("get", "secret", name, "-o", "json"))
    return found


def in_etcd(bed: Bed) -> bytes:
    """Every value of every key in etcd, now and in its files, where all that ever was stored still is."""
    every = base64.b64encode(b"\0").decode()
    body = json.dumps({"key": every, "range_end": every}).encode()
    request = urllib.request.Request(f"{bed.etcd.url}/v3/kv/range", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the bed's own etcd
        found = json.load(answer)["kvs"]
    assert len(found) > 50
    values = b"\n".join(base64.b64decode(each["value"]) for each in found)
    files = [path for path in (bed.etcd.directory / "storage").rglob("*") if path.is_file()]
    return values + b"\n".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("part", ["data", "stringData"])
@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_a_plain_secret_is_stored_sealed_and_applied_again_it_stays_as_it_is(
    scene: Scene, part: str, how: tuple[str, ...]
) -> None:
    manifest = plain(scene.namespace, part)
    scene.kubectl("apply", *how, "-f", "-", stdin=manifest)
    first = stored(scene)
    assert opens_to(first, ring(scene.bed)) == {"username": "alice", "password": PASSWORD}
    for _ in range(3):
        scene.kubectl("apply", *how, "-f", "-", stdin=manifest)
    assert stored(scene)["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    if not how:
        noted = json.loads(first["metadata"]["annotations"][ANNOTATION])[part]
        tokens = noted if part == "stringData" else {key: base64.b64decode(noted[key]).decode() for key in noted}
        assert tokens == {key: base64.b64decode(value).decode() for key, value in first["data"].items()}


def test_no_plain_password_reaches_etcd(scene: Scene) -> None:
    secret, open_secret = "Only-Ever-Sealed-0815", "Not-Labelled-0815"
    for part in ("data", "stringData"):
        scene.kubectl("apply", "-f", "-", stdin=plain(scene.namespace, part, password=secret))
        scene.kubectl("delete", "secret", "sip")
    scene.kubectl("create", "--save-config", "-f", "-", stdin=plain(scene.namespace, password=secret))
    patch = json.dumps({"stringData": {"password": secret + "-2"}})
    scene.kubectl("patch", "secret", "sip", "--type=merge", "-p", patch)
    assert opens_to(stored(scene), ring(scene.bed))["password"] == secret + "-2"
    scene.kubectl(
        "-n", scene.namespace, "create", "secret", "generic", "open", f"--from-literal=password={open_secret}"
    )
    found = in_etcd(scene.bed)
    assert open_secret.encode() in found, "etcd is not read as it should be"
    assert secret.encode() not in found
    # The three ways in which base64 can spell it within a longer text are told apart by what stands before it.
    assert base64.b64encode(secret.encode())[:-4] not in found


def test_a_rewrite_every_second_changes_nothing(scene: Scene) -> None:
    scene.kubectl("apply", "-f", "-", stdin=plain(scene.namespace))
    # As External Secrets does it: the values it holds, over whatever is there.
    body = json.loads(plain(scene.namespace, "data"))
    patch = json.dumps({"data": body["data"]})
    scene.kubectl("patch", "secret", "sip", "--type=merge", "-p", patch)  # notes once who writes the fields now
    version = stored(scene)["metadata"]["resourceVersion"]
    until, rewrites = time.monotonic() + 10, 0
    while time.monotonic() < until:
        scene.kubectl("patch", "secret", "sip", "--type=merge", "-p", patch)
        rewrites += 1
        time.sleep(1)
    assert rewrites >= 5
    assert stored(scene)["metadata"]["resourceVersion"] == version


def test_a_user_without_the_keys_seals_for_git_with_a_dry_run(scene: Scene) -> None:
    made = scene.bed.kubectl(
        *("-n", scene.namespace, "create", "secret", "generic", "sip", "--from-literal=username=alice"),
        *(f"--from-literal=password={PASSWORD}", "--dry-run=client", "-o", "yaml"),
    ).stdout
    label = next(f"{key}={value}" for key, value in LABEL.items())
    made = scene.bed.kubectl("label", "--local", "-f", "-", label, "-o", "yaml", stdin=made).stdout
    sealed = scene.bed.kubectl(
        "-n", scene.namespace, "create", "-f", "-", "--dry-run=server", "-o", "yaml", stdin=made
    ).stdout
    assert PASSWORD not in sealed
    assert base64.b64encode(PASSWORD.encode()).decode() not in sealed
    assert "NotFound" in scene.kubectl("get", "secret", "sip", check=False)
    scene.kubectl("apply", "-f", "-", stdin=sealed)
    first = stored(scene)
    assert yaml.safe_load(sealed)["data"] == first["data"]
    assert opens_to(first, ring(scene.bed))["password"] == PASSWORD


def test_a_number_works_with_what_was_sealed_and_notices_another_password(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(sipPasswordSecretRef={"name": "sip"})
    ids = recorded(scene.ready())
    assert scene.get()["status"]["credentials"]["sealed"] is True
    assert scene.held(phone).outbound[0].auth_password == GOOD_SECRET["password"]
    scene.secret(GOOD_SECRET | {"password": "second-password"})
    scene.until(lambda: scene.held(phone).outbound[0].auth_password == "second-password", "the password is there")
    assert scene.held(phone).ids == ids


def test_a_value_sealed_for_another_use_is_refused(scene: Scene) -> None:
    keys = ring(scene.bed)
    for namespace, field, told in (
        ("elsewhere", Field.PASSWORD, "another namespace"),
        (scene.namespace, Field.USERNAME, "as user name"),
    ):
        body = plain(scene.namespace, password=keys.seal(PASSWORD, namespace, field))
        assert told in scene.kubectl("create", "-f", "-", stdin=body, check=False)
    assert "NotFound" in scene.kubectl("get", "secret", "sip", check=False)


def test_an_annotation_that_cannot_be_read_is_refused(scene: Scene) -> None:
    body = json.loads(plain(scene.namespace))
    body["metadata"]["annotations"] = {ANNOTATION: '{"stringData": {"password": "' + PASSWORD}
    # kubectl would put its own copy into the annotation.
    path = f"/api/v1/namespaces/{scene.namespace}/secrets"
    told = scene.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)
    assert "cannot be read" in told
    assert PASSWORD not in told


def test_other_secrets_are_neither_touched_nor_held_up_while_the_operator_is_away(scene: Scene) -> None:
    scene.kubectl("create", "-f", "-", stdin=plain(scene.namespace))
    scene.deployment.stop()
    refused = scene.kubectl("patch", "secret", "sip", "-p", '{"stringData": {"password": "x"}}', check=False)
    assert "failed calling webhook" in refused
    body = json.loads(plain(scene.namespace, "data", labelled=False))
    body["metadata"]["name"] = "other"
    scene.kubectl("create", "-f", "-", stdin=json.dumps(body))
    assert stored(scene, "other")["data"] == body["data"]


def test_a_broken_bundle_is_put_right_and_the_own_port_tells_its_readiness(scene: Scene, webhook_port: int) -> None:
    bed = scene.bed
    trust = ssl.create_default_context(cadata=trusted(bed))
    with urllib.request.urlopen(f"https://127.0.0.1:{webhook_port}/readyz", context=trust) as answer:
        assert json.load(answer) == {"status": "ok", "waitingFor": []}
    before = trusted(bed)
    broken = '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]'
    bed.kubectl("patch", CONFIGURATION, "--type=json", "-p", broken)
    scene.deployment.restart()
    scene.until(lambda: trusted(bed) == before, "the bundle is right again")


MORE = {"name": "more.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None"}
WIDENINGS: dict[str, Json] = {
    "all resources": {"op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["*"]},
    "all operations": {"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["*"]},
    "without the label": {"op": "remove", "path": "/webhooks/0/objectSelector"},
    "other namespaces": {"op": "add", "path": "/webhooks/0/namespaceSelector", "value": {"matchLabels": {"a": "b"}}},
    "conditions": {
        "op": "add",
        "path": "/webhooks/0/matchConditions",
        "value": [{"name": "no", "expression": "false"}],
    },
    "elsewhere": {"op": "replace", "path": "/webhooks/0/clientConfig", "value": {"url": "https://example.com/"}},
    "to be ignored": {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
    "for longer": {"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 30},
    "one more": {"op": "add", "path": "/webhooks/-", "value": MORE | {"clientConfig": {"url": "https://example.com/"}}},
    "none": {"op": "remove", "path": "/webhooks"},
    "an annotation": {"op": "add", "path": "/metadata/annotations", "value": {"cert-manager.io/inject-ca-from": "a/b"}},
    "a finalizer": {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/kept"]},
}


def test_the_operators_account_may_change_the_bundle_and_nothing_else_of_its_webhook(scene: Scene) -> None:
    bed = scene.bed
    account = f"--kubeconfig={bed.service_account_kubeconfig('byoc-system', 'byoc-operator')}"
    before = json.loads(bed.kubectl("get", CONFIGURATION, "-o", "json").stdout)["webhooks"]
    no_bundle = {"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}

    def patched(*operations: Json) -> str:
        patch = ("patch", CONFIGURATION, "--type=json", "-p", json.dumps(operations))
        done = bed.kubectl(account, *patch, check=False)
        return done.stdout + done.stderr

    told = {what: patched(widening) for what, widening in WIDENINGS.items()}
    told |= {f"{what}, beside the bundle": patched(no_bundle, widening) for what, widening in WIDENINGS.items()}
    assert [what for what, words in told.items() if "caBundle and nothing else" not in words] == []
    assert json.loads(bed.kubectl("get", CONFIGURATION, "-o", "json").stdout)["webhooks"] == before
    assert "patched" in patched(no_bundle)
    scene.deployment.restart()
    scene.until(lambda: trusted(bed), "the operator has put it right again")


def test_two_replicas_share_one_certificate(scene: Scene) -> None:
    port = free_port()
    replica = scene.deployment.replica("second", scene.proxy.url, settings(port))
    try:
        trust = ssl.create_default_context(cadata=trusted(scene.bed))

        def ready() -> bool:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=trust) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        scene.until(ready, "the standby serves the webhook", within_s=READY_WITHIN_S)
    finally:
        assert replica.stop().exit_code == 0


def test_only_sealed_values_pass_where_the_policy_requires_them(scene: Scene) -> None:
    """Without the webhook, which would seal them first."""
    bed = scene.bed
    webhook = json.loads(bed.kubectl("get", CONFIGURATION, "-o", "json").stdout)
    scene.kubectl("create", "-f", "-", stdin=plain(scene.namespace).replace('"name": "sip"', '"name": "sealed"'))
    policy = ROOT / "deploy/components/require-sealed/policy.yaml"
    bed.kubectl("delete", CONFIGURATION)
    try:
        scene.until(lambda: "created" in _tried(scene, labelled=True), "the webhook is gone", within_s=20)
        scene.kubectl("create", "-f", "-", stdin=plain(scene.namespace).replace('"name": "sip"', '"name": "old"'))
        bed.kubectl("apply", "-f", str(policy))
        scene.until(lambda: "must be sealed" in _tried(scene, labelled=True), "the policy is in force", within_s=20)
        assert "created" in _tried(scene, labelled=False)
        nothing = json.loads(plain(scene.namespace)) | {"stringData": None, "data": {"password": None}}
        for body in (plain(scene.namespace, username="", password=""), json.dumps(nothing), _certificate(scene)):
            assert "created" in scene.kubectl("create", "--dry-run=server", "-f", "-", stdin=body, check=False)
        sealed = stored(scene, "sealed")
        tokens = {key: base64.b64decode(value).decode() for key, value in sealed["data"].items()}
        body = plain(scene.namespace, username=tokens["username"], password=tokens["password"])
        scene.kubectl("create", "-f", "-", stdin=body)
        change = '{"stringData": {"password": "x"}}'
        assert "must be sealed" in scene.kubectl("patch", "secret", "sip", "-p", change, check=False)
        scene.kubectl("annotate", "secret", "old", "team=voice")  # what was there before stays as it is
        assert "must be sealed" in scene.kubectl("patch", "secret", "old", "-p", change, check=False)
    finally:
        bed.kubectl("delete", "-f", str(policy), "--ignore-not-found")
        metadata = {"name": webhook["metadata"]["name"]}
        bed.kubectl("apply", "-f", "-", stdin=json.dumps(webhook | {"metadata": metadata}))


def _certificate(scene: Scene) -> str:
    body = json.loads(plain(scene.namespace)) | {"type": "kubernetes.io/tls"}
    return json.dumps(body | {"stringData": {"tls.crt": "x", "tls.key": "y"}})


def _tried(scene: Scene, *, labelled: bool) -> str:
    body = plain(scene.namespace, labelled=labelled)
    return scene.kubectl("create", "-f", "-", "--dry-run=server", stdin=body, check=False)


def test_on_its_way_out_it_is_ready_no_more_and_goes_on_answering(scene: Scene) -> None:
    port = free_port()
    leaving = scene.deployment.replica("leaving", scene.bed.livekit.url, settings(port))
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def connect() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=unverified)

    def ask(connection: http.client.HTTPSConnection) -> tuple[int, bool]:
        """Status of the webhook's readiness, and whether the connection ends with the answer."""
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.will_close

    try:
        leaving.wait_ready()
        kept = [connect() for _ in range(3)]
        scene.until(lambda: all(ask(each) == (200, False) for each in kept), "the webhook is ready", READY_WITHIN_S)
        os.kill(leaving.pid, signal.SIGTERM)
        scene.until(lambda: not leaving.is_ready(), "it is ready no more")
        assert leaving.exit_code is None
        assert [ask(each) for each in (*kept, connect(), connect())] == [(503, True)] * 5
        assert leaving.wait_ended(READY_WITHIN_S) == 0
    finally:
        leaving.kill()
