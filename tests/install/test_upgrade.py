"""An upgrade from each kept version, and the way back, touch neither LiveKit nor any number."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from install.cluster import CHART, CRD, NAME, ROOT, Cluster
from install.test_runs_as_told import own_namespace
from testbed.http_probe import get
from testbed.kubelet import Kubelet, Pod

KEPT = sorted((ROOT / "tests" / "kept").glob("*/byoc-operator-*.tgz"))
"""The chart of each kept version. The CRD is in it."""
CREDENTIALS = "your_sip_username\na-password-1234\n"
KEYS = "byoc-sealing-keys"


@pytest.mark.parametrize("before", KEPT, ids=[chart.parent.name for chart in KEPT])
def test_an_upgrade_and_a_rollback_change_nothing(
    cluster: Cluster, node: Kubelet, voice: str, before: Path, tmp_path: Path
) -> None:
    cluster.remove_everything(crd=True)  # the CRD of the kept version is applied, not a later one kept
    with own_namespace(cluster) as place:
        cluster.install(place, "--set", "finalizerPolicy=On", chart=before)
        pod = started(node, place)
        phones = [cluster.number(voice, f"n{index}") for index in range(2)]
        sealed_secret(cluster, place, voice, tmp_path)
        phones.append(cluster.number(voice, "n2", sipPasswordSecretRef={"name": "sip"}))
        for index in range(len(phones)):
            cluster.ready(voice, f"n{index}")
        held = {phone: cluster.sip.of(phone).bytes for phone in phones}
        made = identities(cluster, place, voice)

        steps = (
            ("upgrade", NAME, str(CHART), "-n", place, "--reset-then-reuse-values", "--wait", "--timeout=60s"),
            ("rollback", NAME, "1", "-n", place, "--wait", "--timeout=60s"),
        )
        for step in steps:
            cluster.helm(*step)
            new = started(node, place)
            pod.stop()
            pod = new
            # A setting that changed is read at the start; a sweep would repair whatever the two see differently.
            cluster.until(lambda pod=pod: sweeps(pod) >= 1, "the new pod leads and has swept")  # type: ignore[misc]
            assert {phone: cluster.sip.of(phone).bytes for phone in phones} == held, step[0]
            after = identities(cluster, place, voice)
            assert {key: after.get(key) for key in made} == made, step[0]
            assert {cluster.reason(voice, f"n{index}") for index in range(len(phones))} == {"Synced"}, step[0]
        cluster.remove_everything(crd=True)


def test_a_version_is_kept() -> None:
    assert KEPT


def started(node: Kubelet, place: str) -> Pod:
    """A pod of the release, ready."""
    pod = node.start(place, NAME)
    pod.wait_ready()
    return pod


def sealed_secret(cluster: Cluster, place: str, namespace: str, folder: Path) -> None:
    """The Secret `sip` with sealed credentials, made as a user makes it."""
    cluster.until(lambda: cluster.get("secret", KEYS, "-n", place), "the leader has made the sealing keys")
    plugin = Path(sys.executable).with_name("kubectl-byoc")
    made = subprocess.run(
        [str(plugin), "seal", "sip", "-n", namespace, "--operator-namespace", place],
        env={**os.environ, "KUBECONFIG": str(cluster.bed.kubeconfig), "HOME": str(folder)},
        input=CREDENTIALS,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "a-password-1234" not in made.stdout
    cluster.kubectl("apply", "-f", "-", stdin=made.stdout)


def identities(cluster: Cluster, place: str, voice: str) -> dict[str, str]:
    """UIDs of what lasts: the release's objects, the sealing keys, the numbers with their LiveKit IDs, the CRD."""
    # A NetworkPolicy is on by default in 0.1.0 only, so it may go.
    kinds = "deployment,service,configmap,serviceaccount,role,rolebinding,poddisruptionbudget"
    found = {}
    labelled = ("-l", f"app.kubernetes.io/name={NAME}")
    for each in cluster.get(kinds, "-n", place, *labelled)["items"]:
        found[f"{each['kind']}/{each['metadata']['name']}"] = each["metadata"]["uid"]
    assert f"Deployment/{NAME}" in found
    keys = cluster.get("secret", KEYS, "-n", place)
    found[KEYS] = keys["metadata"]["uid"] + keys["metadata"]["resourceVersion"]
    for each in cluster.get("bpn", "-n", voice)["items"]:
        ids = [each["status"].get(name, "") for name in ("outboundTrunkId", "inboundTrunkId", "dispatchRuleId")]
        found[each["metadata"]["name"]] = " ".join([each["metadata"]["uid"], *ids])
    return found | {CRD: cluster.get("crd", CRD)["metadata"]["uid"]}


def sweeps(pod: Pod) -> float:
    """How many sweeps it has finished."""
    lines = get(pod.port, "/metrics").body.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('byoc_sweeps_total{result="done"}'))
