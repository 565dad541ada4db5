"""A rotation of the sealing keys while two hundred numbers work and are edited: nobody notices."""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from byoc_operator.core.credential_values import field_of
from integration.deployment import Deployment
from integration.scene import BASE, GOOD_SECRET, LABEL, Json, Scene, fresh_number, livekit_writes
from integration.sealed import byoc, ring, sealed, with_keys
from manifests import manifest, merged
from meanwhile import over_and_over
from testbed import tools
from testbed.process import Process, clean_environment

MANY = 200
_READY = 'jsonpath={.metadata.resourceVersion} {.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}'


def numbers_with_sealed_secrets(scene: Scene, count: int) -> dict[str, str]:
    """Numbers n000, n001, … each with a sealed Secret of its own; name → phone number."""
    keys = ring(scene)
    values = {key: keys.seal(text, scene.namespace, field_of(key)) for key, text in GOOD_SECRET.items()}
    made = {f"n{index:03}": fresh_number() for index in range(count)}
    items: list[Json] = []
    for name, phone in made.items():
        metadata = {"name": name, "namespace": scene.namespace, "labels": LABEL}
        items.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})
        spec = merged({"phoneNumber": phone, **BASE}, {"sipPasswordSecretRef": {"name": name}})
        items.append(manifest(name, scene.namespace, spec))
    scene.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return made


@contextmanager
def every_state(scene: Scene) -> Iterator[list[tuple[str, str]]]:
    """Name and Ready of every version of every number, as a watch tells them; filled in at the end."""
    seen: list[tuple[str, str]] = []
    command = [str(tools.find(tools.KUBECTL)), "get", "bpn", "-n", scene.namespace, "--watch", "-o", _READY]
    environment = clean_environment() | {"KUBECONFIG": str(scene.bed.kubeconfig), "HOME": str(scene.bed.directory)}
    log = scene.bed.directory / f"{scene.namespace}.watch"
    watch = Process(command, environment=environment, log=log, directory=scene.bed.directory)
    try:
        scene.until(lambda: log.read_text().count("\n") >= MANY, "the watch has told what is there")
        yield seen
        last = scene.kubectl("annotate", "bpn", "n000", "seen=last", "-o", "jsonpath={.metadata.resourceVersion}")
        scene.until(lambda: f"{last} n000" in log.read_text(), "the watch has told everything")
    finally:
        watch.kill()
    for line in log.read_text().splitlines():
        _, name, ready = (line + " ").split(" ")[:3]
        seen.append((name, ready))


@contextmanager
def edits(scene: Scene, names: Mapping[str, str]) -> Iterator[list[str]]:
    """One number after the other gets another name at LiveKit, without a pause; the names of those edited."""
    turns, edited = itertools.cycle(names), list[str]()

    def edit(count: int) -> None:
        name = next(turns)
        scene.change(name, friendlyName=f"edit {count}")
        edited.append(name)

    with over_and_over(edit):
        yield edited


def test_a_rotation_needs_no_restart_and_no_number_leaves_ready(stage: Scene, deployment: Deployment) -> None:
    scene = with_keys(stage)
    phones = numbers_with_sealed_secrets(scene, MANY)
    scene.all_ready(MANY, within_s=60)
    pid = deployment.process.pid
    with every_state(scene) as states, edits(scene, phones) as edited, scene.counted() as calls:
        byoc(scene, "keys", "rotate")
        old = ring(scene).fingerprints()[1:]
        assert byoc(scene, "keys", "retire", check=False).returncode == 4
        assert byoc(scene, "keys", "reseal").stdout.count(f"{scene.namespace}/n") == MANY
        assert "waiting" in byoc(scene, "keys", "retire").stderr, "a replica may still seal with the old key"
        sealed(scene, "after")
        after = scene.number("after", sipPasswordSecretRef={"name": "after"})
        scene.ready("after")
    # Written for the edits and the one that is new; for a password that stayed the same nothing is.
    scene.all_ready(MANY + 1)
    made = {"CreateSIPInboundTrunk": 1, "CreateSIPOutboundTrunk": 1, "CreateSIPDispatchRule": 1}
    created = {method: count for method, count in livekit_writes(calls).items() if method.startswith("Create")}
    assert created == made
    updated = sum(livekit_writes(calls).values()) - sum(made.values())
    assert len(edited) > 20
    assert updated <= 3 * len(edited)
    assert {name for name, ready in states if ready != "True"} <= {"after"}
    assert {name for name, _ in states} == {*phones, "after"}
    scene.one_each([*phones.values(), after])
    listed = byoc(scene, "keys", "list").stdout
    assert ring(scene).fingerprints()[0] in listed
    assert not any(each in listed for each in old)
    assert deployment.process.pid == pid
    stored = json.loads(scene.kubectl("get", "secrets", "-o", "json"))["items"]
    tokens = [base64.b64decode(value).decode() for secret in stored for value in secret["data"].values()]
    assert {ring(scene).opened_by(token) for token in tokens} == {ring(scene).fingerprints()[0]}
