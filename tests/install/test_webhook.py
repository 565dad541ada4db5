"""Sealing at admission as it is installed: pods from the applied Deployment, asked through their Service."""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from install.cert_manager import CertManager
from install.cluster import NAME, Cluster, Json
from install.test_runs_as_told import applied, own_manifests, own_namespace
from meanwhile import over_and_over
from testbed.kubelet import Kubelet, Pod

SEALS_AT_ADMISSION = ("--set", "sealing.admission.enabled=true")
SERVICE = f"{NAME}-admission"
PASSWORD = "Plain-Password-4711"


def labelled(namespace: str, name: str = "sip", password: str = PASSWORD) -> str:
    """A Secret with plain values."""
    labels = {"byoc.talkifai.dev/sip-credentials": "true"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    content = {"username": "alice", "password": password}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content})


@contextmanager
def serving(cluster: Cluster, node: Kubelet, place: str, pods: int = 1) -> Iterator[Sequence[Pod]]:
    """Pods of the release, ready, with their Service; entered once the API server has Secrets sealed by them."""
    with node.service(place, SERVICE):
        started = [node.start(place, NAME) for _ in range(pods)]
        for pod in started:
            pod.wait_ready()
        cluster.until(lambda: seals(cluster, "default"), "the API server has heard of the webhook", within_s=30)
        yield started


def seals(cluster: Cluster, namespace: str) -> bool:
    """Whether a Secret would be stored sealed now."""
    made = cluster.kubectl(
        "create", "--dry-run=server", "-o", "json", "-f", "-", stdin=labelled(namespace), check=False
    )
    return made.startswith("{") and is_sealed(json.loads(made))


def is_sealed(secret: Json) -> bool:
    return all(base64.b64decode(value).startswith(b"fernet:gAAAA") for value in secret["data"].values())


def works_in_livekit(cluster: Cluster, namespace: str) -> None:
    """A Secret that is applied as plain text is stored sealed, and its number gets to LiveKit with the password."""
    cluster.kubectl("apply", "-f", "-", stdin=labelled(namespace))
    assert is_sealed(cluster.get("secret", "sip", "-n", namespace))
    phone = cluster.number(namespace, sipPasswordSecretRef={"name": "sip"})
    cluster.ready(namespace)
    assert cluster.sip.of(phone).outbound[0].auth_password == PASSWORD


@pytest.fixture(scope="module")
def released(cluster: Cluster, place: str) -> str:
    """The namespace of a release that seals, with certificates of its own."""
    cluster.install(place, *SEALS_AT_ADMISSION)
    return place


def test_the_api_server_reaches_it_by_its_service_and_trusts_its_certificate(
    cluster: Cluster, released: str, node: Kubelet, voice: str
) -> None:
    with serving(cluster, node, released) as (pod,):
        works_in_livekit(cluster, voice)
        assert f"sealed values of Secret {voice}/sip" in pod.log_text()
        assert PASSWORD not in pod.log_text()


def test_while_pods_are_replaced_no_write_is_refused(
    cluster: Cluster, released: str, node: Kubelet, voice: str
) -> None:
    with serving(cluster, node, released, pods=2) as pods, writes_without_a_pause(cluster, voice) as refused:
        for pod in pods:
            node.start(released, NAME).wait_ready()
            ending = pod.stop()
            assert ending is not None
            assert ending.exit_code == 0
    assert refused == []


@contextmanager
def writes_without_a_pause(cluster: Cluster, namespace: str) -> Iterator[list[str]]:
    """Labelled Secrets written one after the other; what was refused."""
    refused: list[str] = []
    written: list[Json] = []

    def write(count: int) -> None:
        body = labelled(namespace, f"written-{count}")
        said = cluster.kubectl("create", "-o", "json", "-f", "-", stdin=body, check=False)
        if said.startswith("{"):
            written.append(json.loads(said))
        else:
            refused.append(said)

    with over_and_over(write):
        yield refused
    assert len(written) > 10
    assert all(is_sealed(secret) for secret in written)


def test_without_a_pod_labelled_secrets_wait_and_no_others(
    cluster: Cluster, released: str, node: Kubelet, voice: str
) -> None:
    with serving(cluster, node, released) as (pod,):
        pod.end()
        assert "failed calling webhook" in cluster.kubectl("apply", "-f", "-", stdin=labelled(voice), check=False)
        other = json.loads(labelled(voice, "other"))
        del other["metadata"]["labels"]
        cluster.apply(other)
        assert cluster.get("secret", "other", "-n", voice)


def test_without_the_keys_a_pod_is_not_ready_and_serves_numbers_all_the_same(
    cluster: Cluster, node: Kubelet, voice: str
) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        cluster.install(place, *SEALS_AT_ADMISSION, "--set", "sealing.createKeys=false")
        pod = node.start(place, NAME)
        cluster.until(lambda: pod.probe("liveness") == 200, "it lives")
        cluster.number(voice)
        cluster.ready(voice)
        assert pod.probe("readiness") == 503
        cluster.remove_everything()


def test_with_the_certificate_of_cert_manager(cluster: Cluster, node: Kubelet, voice: str) -> None:
    cluster.remove_everything()
    with CertManager(cluster) as cert_manager, own_namespace(cluster) as place:
        cluster.install(place, *SEALS_AT_ADMISSION, "--set", "sealing.admission.certificates=CertManager")
        cert_manager.sees_to(place)
        with serving(cluster, node, place):
            works_in_livekit(cluster, voice)
            account = f"system:serviceaccount:{place}:{NAME}"
            assert "byoc-admission-certificate" not in {each.name for each in cluster.bed.writes_by(account)}
            cert_manager.sees_to(place)
            time.sleep(1)  # until the API server has heard of what cert-manager injects
            assert seals(cluster, "default"), "trusted while the pod still shows the certificate from before"
        cluster.remove_everything()


def test_the_plain_manifests_with_the_component_run_too(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    cluster.remove_everything()
    deploy = own_manifests(cluster, tmp_path)
    kustomization = yaml.safe_load((deploy / "kustomization.yaml").read_text())
    kustomization["components"] = [*kustomization.get("components", ()), "components/sealing-admission"]
    (deploy / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    with applied(cluster, deploy):
        cluster.livekit_secret("byoc-system")
        with serving(cluster, node, "byoc-system"):
            cluster.bed.wait_for_crd()
            works_in_livekit(cluster, voice)
            cluster.kubectl("delete", "bpn", "a", "-n", voice, "--timeout=20s")
