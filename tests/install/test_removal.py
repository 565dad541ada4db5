"""Uninstalling: in the right order nothing stays; after the wrong order there are two ways out."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from install.cluster import CHART, CRD, NAME, ROOT, Cluster
from install.test_runs_as_told import applied, own_manifests, own_namespace
from testbed.kubelet import Kubelet, Pod

POLICIES = "mutatingadmissionpolicy,mutatingadmissionpolicybinding"


@contextmanager
def served(cluster: Cluster, node: Kubelet, *args: str) -> Iterator[tuple[str, Pod]]:
    """A release and its pod, ready; in the end nothing of it. `args` are more of helm's."""
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        cluster.install(place, *args)
        pod = node.start(place, NAME)
        pod.wait_ready()
        yield place, pod
        cluster.remove_everything()


def test_policy_then_numbers_then_operator_leaves_nothing(cluster: Cluster, node: Kubelet, voice: str) -> None:
    with served(cluster, node, "--set", "finalizerPolicy=On") as (place, pod):
        phone = cluster.number(voice)
        cluster.ready(voice)

        off = ("upgrade", NAME, str(CHART), "-n", place, "--reuse-values", "--set", "finalizerPolicy=Off", "--wait")
        cluster.helm(*off)
        assert cluster.kubectl("get", POLICIES, "-o", "name") == ""
        cluster.kubectl("delete", "bpn", "--all", "-A", "--timeout=30s")
        assert cluster.sip.of(phone).counts == (0, 0, 0)
        pod.stop()
        cluster.helm("uninstall", NAME, "-n", place, "--wait")
        assert left_of_the_release(cluster, place) == [f"customresourcedefinition.apiextensions.k8s.io/{CRD}"]
        cluster.kubectl("delete", "crd", CRD, "--timeout=30s")


def test_numbers_and_calls_outlive_the_operator_and_a_reinstall_finishes_deletions(
    cluster: Cluster, node: Kubelet, voice: str
) -> None:
    with served(cluster, node) as (place, pod):
        gone, kept = cluster.number(voice, "gone"), cluster.number(voice, "kept")
        cluster.ready(voice, "gone")
        before = cluster.ready(voice, "kept")
        pod.stop()
        cluster.helm("uninstall", NAME, "-n", place, "--wait")
        assert cluster.get("bpn", "kept", "-n", voice)["metadata"]["uid"] == before["metadata"]["uid"]

        cluster.kubectl("delete", "bpn", "gone", "-n", voice, "--wait=false")
        assert cluster.get("bpn", "gone", "-n", voice)["metadata"]["finalizers"], "it waits for the operator"
        assert (cluster.sip.of(gone).counts, cluster.sip.of(kept).counts) == ((1, 1, 1), (1, 1, 1))

        held = cluster.sip.of(kept).bytes
        cluster.install(place)
        node.start(place, NAME).wait_ready()
        cluster.kubectl("wait", "bpn/gone", "-n", voice, "--for=delete", "--timeout=30s")
        assert cluster.sip.of(gone).counts == (0, 0, 0)
        assert cluster.sip.of(kept).bytes == held


def test_without_an_operator_the_finalizer_is_taken_away_by_hand_and_livekit_keeps_the_trunks(
    cluster: Cluster, node: Kubelet, voice: str
) -> None:
    with served(cluster, node) as (place, pod):
        phone = cluster.number(voice)
        cluster.ready(voice)
        pod.stop()
        cluster.helm("uninstall", NAME, "-n", place, "--wait")
        cluster.kubectl("delete", "bpn", "a", "-n", voice, "--wait=false")
        patch = ("--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))
        cluster.kubectl("patch", "bpn", "a", "-n", voice, *patch)
        cluster.kubectl("wait", "bpn/a", "-n", voice, "--for=delete", "--timeout=20s")
        assert cluster.sip.of(phone).counts == (1, 1, 1)


SYSTEM = "byoc-system"


@contextmanager
def namespaced(cluster: Cluster, node: Kubelet, parent: Path, *, everywhere: bool = False) -> Iterator[tuple[str, Pod]]:
    """The overlay for one namespace, that namespace and the pod, ready. `everywhere`: with rights that outlive it."""
    cluster.remove_everything()
    voice = cluster.namespace("voice")
    more = {"BYOC_NAMESPACES": voice, "BYOC_INSTALLATION_ID": "one"}
    folder = own_manifests(cluster, parent, "overlays/namespaced", more) / "overlays" / "namespaced"
    if everywhere:
        kustomization = folder / "kustomization.yaml"
        kustomization.write_text(f"{kustomization.read_text()}\ncomponents: [../../components/numbers-everywhere]\n")
    with applied(cluster, folder):
        cluster.livekit_secret(SYSTEM)
        pod = node.start(SYSTEM, NAME)
        pod.wait_ready()
        cluster.bed.wait_for_crd()
        yield voice, pod
        pod.stop()


def documented(heading: str, namespace: str) -> list[list[str]]:
    """The kubectl commands of docs/outlives.md behind these words, for this namespace."""
    text = (ROOT / "docs/outlives.md").read_text().partition(heading)[2]
    block = text.partition("```sh\n")[2].partition("```")[0].replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert lines
    assert all(line[0] == "kubectl" for line in lines)
    return [
        [
            part.replace("namespace/voice", f"namespace/{namespace}") if part != "voice" else namespace
            for part in line[1:]
        ]
        for line in lines
    ]


def test_numbers_first_and_their_namespace_goes(cluster: Cluster, node: Kubelet, tmp_path: Path) -> None:
    with namespaced(cluster, node, tmp_path) as (voice, pod):
        assert "delete its numbers first" in pod.log_text()
        phone = cluster.number(voice)
        cluster.ready(voice)
        for command in documented("**The order that always works**", voice):
            cluster.kubectl(*command, "--timeout=60s")
        assert cluster.sip.of(phone).counts == (0, 0, 0)
        assert "RightsGone" not in cluster.kubectl("get", "events", "-n", SYSTEM)


def test_a_namespace_that_took_the_rights_along_is_told_of_and_let_go_with_rights_for_the_time(
    cluster: Cluster, node: Kubelet, tmp_path: Path
) -> None:
    with namespaced(cluster, node, tmp_path) as (voice, pod):
        phones = [cluster.number(voice, name) for name in ("a", "b")]
        cluster.ready(voice, "a")
        cluster.ready(voice, "b")
        cluster.kubectl("delete", "rolebinding", f"{NAME}-numbers", "-n", voice)  # as Kubernetes may do it
        cluster.kubectl("delete", "namespace", voice, "--wait=false")
        told = ("get", "events", "-n", SYSTEM, "--field-selector", "reason=RightsGone", "-o", "json")
        cluster.until(lambda: json.loads(cluster.kubectl(*told))["items"], "an Event tells of it", within_s=30)
        assert voice in json.loads(cluster.kubectl(*told))["items"][0]["message"]
        assert pod.log_text().count(f"to let numbers of namespace {voice} go") == 1
        for command in documented("**The way out**", voice):
            cluster.kubectl(*command)
        assert [cluster.sip.of(phone).counts for phone in phones] == [(0, 0, 0)] * 2
        assert cluster.get("namespace", voice) == {}


def test_with_rights_on_numbers_everywhere_a_namespace_goes_as_in_a_cluster_wide_install(
    cluster: Cluster, node: Kubelet, tmp_path: Path
) -> None:
    with namespaced(cluster, node, tmp_path, everywhere=True) as (voice, pod):
        assert "delete its numbers first" not in pod.log_text()
        phone = cluster.number(voice)
        cluster.ready(voice)
        cluster.kubectl("delete", "rolebinding", f"{NAME}-numbers", "-n", voice)
        cluster.kubectl("delete", "namespace", voice, "--timeout=60s")
        assert cluster.sip.of(phone).counts == (0, 0, 0)
        assert "no right any more" not in pod.log_text()


def left_of_the_release(cluster: Cluster, place: str) -> list[str]:
    """Names of objects with the release's labels, in its namespace and in the cluster; pods may still be going."""
    wide = f"clusterrole,clusterrolebinding,crd,{POLICIES}"
    local = "deployment,service,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget"
    labelled = ("-l", f"app.kubernetes.io/name={NAME}", "-o", "name")
    found = cluster.kubectl("get", wide, *labelled) + cluster.kubectl("get", local, "-n", place, *labelled)
    return sorted(found.split())
