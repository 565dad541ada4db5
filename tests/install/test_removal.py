"""Taking it away again: in the right order nothing stays, in the wrong one there are two ways out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from install.cluster import CHART, CRD, NAME, Cluster
from install.test_runs_as_told import own_namespace
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


def left_of_the_release(cluster: Cluster, place: str) -> list[str]:
    """Names of objects with the release's labels, in its namespace and in the cluster; pods may still be going."""
    wide = f"clusterrole,clusterrolebinding,crd,{POLICIES}"
    local = "deployment,service,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget"
    labelled = ("-l", f"app.kubernetes.io/name={NAME}", "-o", "name")
    found = cluster.kubectl("get", wide, *labelled) + cluster.kubectl("get", local, "-n", place, *labelled)
    return sorted(found.split())
