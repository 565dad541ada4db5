"""`kubectl byoc support-bundle` on the real parts: everything that a diagnosis needs is in it, and no credential."""

import base64
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from livekit.protocol.sip import SIPOutboundTrunkInfo

from byoc_operator.core.credential_values import Field
from integration.commands import livekit_secret, run, told_deployment
from integration.scene import Scene, fresh_number
from integration.sealed import SYSTEM, has_keys, ring
from testbed.bed import Bed
from testbed.played_node import PlayedNode, PlayedPod, played_node

USER, PLAIN = "zuriel-of-the-bundle", "Bn1-plain-password"
SEALED = "Bn2-password-that-was-sealed"
THEIRS = "Bn3-password-of-somebody-else"
HEADER = "Bn4-value-of-a-header"
FRIENDLY = "Front desk of the bundle"


@dataclass(frozen=True, slots=True)
class World:
    """What the bundle is made of. `pod`: the operator's; `credentials`: every one of this world, by what it is."""

    scene: Scene
    pod: PlayedPod
    phones: dict[str, str]
    credentials: dict[str, str]


@pytest.fixture(scope="module")
def node(installed: Bed) -> Iterator[PlayedNode]:
    """A node for the pods of deploy/base."""
    with played_node(installed) as running:
        yield running


@pytest.fixture
def world(stage: Scene, node: PlayedNode, tmp_path: Path) -> Iterator[World]:
    """Numbers that are well and numbers that are not, with credentials of every kind, an operator in a pod."""
    bed = stage.bed
    with told_deployment(bed), livekit_secret(bed):
        stage.deployment.ensure({"BYOC_LOG_LEVEL": "DEBUG"})
        stage.until(lambda: has_keys(stage), "the keys are made")
        before = tmp_path / "before"
        before.write_text("the last words before the restart\n")
        pod = node.run(SYSTEM, "byoc-operator", before, stage.deployment.process.port)
        node.restart(pod, stage.deployment.process.log)
        node.run(SYSTEM, "byoc-operator", None)
        keys = ring(stage)
        sealed = keys.seal(SEALED, stage.namespace, Field.PASSWORD)
        stage.secret({"username": USER, "password": PLAIN}, name="plain")
        stage.secret({"username": keys.seal(USER, stage.namespace, Field.USERNAME), "password": sealed}, name="sealed")
        phones = {
            "plain": stage.number("plain", friendlyName=FRIENDLY, sipPasswordSecretRef={"name": "plain"}),
            "sealed": stage.number("sealed", sipPasswordSecretRef={"name": "sealed"}),
            "missing": stage.number("missing", sipPasswordSecretRef={"name": "nowhere"}),
        }
        theirs = fresh_number()
        stage.sip.create_outbound(
            SIPOutboundTrunkInfo(
                name="theirs",
                address="sip.example.com",
                numbers=[theirs],
                auth_username="their-user",
                auth_password=THEIRS,
                headers={"X-Their-Header": HEADER},
            )
        )
        stage.ready("plain")
        stage.ready("sealed")
        stage.told("SecretNotFound", "missing")
        credentials = {
            **{f"password {index}": text for index, text in enumerate((PLAIN, SEALED, THEIRS, HEADER))},
            "user name": USER,
            "sealed value": sealed,
            "LiveKit's key": bed.livekit.key,
            "LiveKit's secret": bed.livekit.secret,
            **{f"sealing key {index}": key for index, key in enumerate(keys.text().split())},
            "token of the user": token_in(bed.kubeconfig),
            "token of the operator": token_in(bed.service_account_kubeconfig(SYSTEM, "byoc-operator")),
        }
        try:
            yield World(stage, pod, {**phones, "theirs": theirs}, credentials)
        finally:
            node.clear()


def token_in(kubeconfig: Path) -> str:
    token: str = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
    return token


def bundle(world: World, folder: Path, *masks: str) -> dict[str, str]:
    """The files of a bundle, by name; nothing of it is a credential, in any form, its name and its output neither."""
    path = folder / "bundle.tar.gz"
    done = run(world.scene, "support-bundle", "-n", world.scene.namespace, "-o", str(path), *masks)
    assert done.returncode == 0, done.stderr
    with tarfile.open(path) as tar:
        files = {
            entry.name.partition("/")[2]: content.read().decode()
            for entry in tar
            if (content := tar.extractfile(entry)) is not None
        }
    everything = "\n".join([done.stdout, done.stderr, *files, *files.values()])
    found = [what for what, text in world.credentials.items() for form in forms(text) if form in everything]
    assert found == []
    return files


def forms(text: str) -> set[str]:
    """How a credential may be written."""
    return {text, base64.b64encode(text.encode()).decode(), json.dumps(text)[1:-1], quote(text, safe="")}


def test_a_bundle_has_all_that_a_diagnosis_needs_and_no_credential(world: World, tmp_path: Path) -> None:
    files = bundle(world, tmp_path)
    numbers = {each["metadata"]["name"]: each for each in yaml.safe_load_all(files["numbers.yaml"])}
    ready = {
        name: next(each for each in number["status"]["conditions"] if each["type"] == "Ready")
        for name, number in numbers.items()
    }
    assert {name: each["reason"] for name, each in ready.items()} == {
        "plain": "Synced",
        "sealed": "Synced",
        "missing": "SecretNotFound",
    }
    events = list(yaml.safe_load_all(files["events.yaml"]))
    assert {"plain", "missing"} <= {each["regarding"]["name"] for each in events}
    log = files[f"logs/{world.pod.name}.log"]
    assert "swept" in log
    assert any(json.loads(line).get("name") == "missing" for line in log.splitlines() if line.startswith("{"))
    assert files[f"logs/{world.pod.name}.previous.log"] == "the last words before the restart\n"
    assert "OOMKilled" in files["operator.yaml"]
    assert f"metrics/{world.pod.name}.txt" in files, files["errors.txt"]
    assert "byoc_livekit_up 1.0" in files[f"metrics/{world.pod.name}.txt"]
    assert json.loads(files[f"readyz/{world.pod.name}.txt"])["status"] == "ok"
    livekit = list(yaml.safe_load_all(files["livekit.yaml"]))
    listed = {(each["kind"], each["owner"].partition("/")[2]) for each in livekit}
    theirs = ("outboundTrunk", "")
    assert {theirs, *((kind, "plain") for kind in ("outboundTrunk", "inboundTrunk", "dispatchRule"))} <= listed
    kinds = {each["kind"] for each in yaml.safe_load_all(files["operator.yaml"])}
    assert {"Deployment", "Pod", "Lease"} <= kinds
    assert f"Secret {world.scene.namespace}/nowhere: there is none" in files["errors.txt"]
    assert "ContainerCreating" in files["errors.txt"], "the pod that has not begun is named"
    for phone in world.phones.values():
        assert phone in files["livekit.yaml"] + files["numbers.yaml"]


@pytest.mark.parametrize("masks", [("--mask-numbers",), ("--mask-numbers", "--mask-names")], ids=str)
def test_numbers_and_names_are_masked_where_asked(world: World, tmp_path: Path, masks: tuple[str, ...]) -> None:
    files = bundle(world, tmp_path, *masks)
    everything = "\n".join([*files, *files.values()])
    assert [phone for phone in world.phones.values() if phone[1:] in everything] == []
    assert (FRIENDLY in everything, world.scene.namespace in everything) == (("--mask-names" not in masks,) * 2)
    assert "number-1" in everything
    assert "Synced" in files["numbers.yaml"], "what a diagnosis needs stays"


def test_who_may_only_look_at_numbers_gets_a_bundle_that_says_what_is_missing(world: World, tmp_path: Path) -> None:
    scene, path = world.scene, tmp_path / "bundle.tar.gz"
    scene.kubectl("create", "rolebinding", "looker", "--clusterrole=byoc-view", "--user=looker")
    done = run(scene, "support-bundle", "-n", scene.namespace, "-o", str(path), "--as", "looker")
    assert done.returncode == 0, done.stderr
    with tarfile.open(path) as tar:
        member = tar.extractfile("byoc-support-bundle/errors.txt")
        assert member is not None
        errors = member.read().decode()
        names = {entry.name.partition("/")[2] for entry in tar}
    assert "numbers.yaml" in names
    for part in ("Deployment", "logs", "livekit.yaml", f"Secret {SYSTEM}/byoc-sealing-keys"):
        assert part in errors
    assert "you may not read this" in errors
