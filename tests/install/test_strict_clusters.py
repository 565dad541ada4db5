"""What clusters with strict rules need: OpenShift, private authorities, proxies, names, registries, `helm test`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from connect_proxy import ConnectProxy
from install.cluster import NAME, Cluster, Json
from install.test_runs_as_told import own_namespace
from sip_servers import Authority
from testbed import tools
from testbed.job_pod import run_pod
from testbed.kubelet import Kubelet
from testbed.livekit_proxy import LiveKitProxy
from testbed.program import checkout

LOGIN = "proxy-user:sekrit-word"
OPENSHIFT_USER = 1_000_680_000
"""Of the range that OpenShift gives a namespace."""


@contextmanager
def released(cluster: Cluster, folder: Path, values: Json) -> Iterator[str]:
    """A release with these values in a namespace of its own; in the end nothing of it."""
    cluster.remove_everything()
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    with own_namespace(cluster) as place:
        for kind in ("configmap", "secret generic") if (folder / "root.pem").exists() else ():
            content = f"--from-file=ca.crt={folder / 'root.pem'}"
            cluster.kubectl("create", *kind.split(), "ca", "-n", place, content)
        cluster.install(place, "-f", str(file))
        yield place
        cluster.remove_everything()


def admitted_by_openshift(template: Json) -> Json:
    """The template as the security context constraint `restricted-v2` leaves it: a user and a group of the namespace.

    The primary group of a user that no constraint gives a group is 0.
    """
    context = template["spec"]["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & context.keys(), "restricted-v2 would refuse the pod"
    context |= {"runAsUser": OPENSHIFT_USER, "runAsGroup": 0, "fsGroup": OPENSHIFT_USER}
    return template


def test_it_runs_as_the_user_that_openshift_chooses(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    with released(cluster, tmp_path, {"openshift": {"enabled": "On"}}) as place:
        template = admitted_by_openshift(cluster.get("deployment", NAME, "-n", place)["spec"]["template"])
        pod = node.start(place, NAME, template=template)
        pod.wait_ready()
        assert user_of(pod.pid) == (OPENSHIFT_USER, 0)
        cluster.number(voice)
        cluster.ready(voice, within_s=60)


def test_it_runs_as_the_user_of_the_values(cluster: Cluster, node: Kubelet, tmp_path: Path) -> None:
    chosen = {"runAsUser": 1234, "runAsGroup": 1235, "fsGroup": 1236}
    with released(cluster, tmp_path, {"podSecurityContext": chosen}) as place:
        pod = node.start(place, NAME)
        pod.wait_ready()
        assert user_of(pod.pid) == (1234, 1235)
        upgraded(cluster, place, tmp_path, {"securityContext": {"runAsUser": 4321}})
        pod = node.start(place, NAME)
        pod.wait_ready()
        assert user_of(pod.pid) == (4321, 1235)


@pytest.mark.parametrize("kind", ["configMap", "secret"])
def test_it_trusts_a_private_authority_and_finds_livekit_by_an_alias(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path, kind: str
) -> None:
    tls = Authority(tmp_path).serving("livekit.internal.example")
    with LiveKitProxy(cluster.bed.livekit.url, tls) as livekit:
        values = {
            "livekit": {
                "url": f"wss://livekit.internal.example:{livekit.port}",
                "certificateAuthority": {kind: "ca"},
            },
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["livekit.internal.example"]}],
        }
        with released(cluster, tmp_path, {}) as place:
            upgraded(cluster, place, tmp_path, values)
            node.start(place, NAME).wait_ready()
            phone = cluster.number(voice)
            cluster.ready(voice, within_s=60)
            assert cluster.sip.of(phone).counts == (1, 1, 1)
            assert livekit.forwarded["CreateSIPOutboundTrunk"] == 1
            node.stop()  # before the proxy, which would else leave a TLS connection open


def test_a_wrong_file_of_authorities_stops_the_start_with_one_line(
    cluster: Cluster, node: Kubelet, tmp_path: Path
) -> None:
    (tmp_path / "root.pem").write_text("no certificate")
    values = {"livekit": {"certificateAuthority": {"configMap": "ca"}}}
    with released(cluster, tmp_path, values) as place:
        pod = node.start(place, NAME)
        assert pod.wait_ended(120) == 1
        assert "BYOC_LIVEKIT_CA_FILE: /etc/byoc/livekit-ca/ca.crt has no certificate in PEM form" in pod.log_text()


def test_it_reaches_livekit_through_a_proxy_and_the_api_server_without(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    tls = Authority(tmp_path).serving("127.0.0.1")
    with LiveKitProxy(cluster.bed.livekit.url, tls) as livekit, ConnectProxy(LOGIN) as proxy:
        reference = {"secretKeyRef": {"name": "proxy", "key": "url"}}
        values = {
            "livekit": {
                "url": f"wss://127.0.0.1:{livekit.port}",
                "proxy": "Environment",
                "certificateAuthority": {"configMap": "ca"},
            },
            "extraEnv": [{"name": "HTTPS_PROXY", "valueFrom": reference}],
        }
        with released(cluster, tmp_path, {}) as place:
            url = f"--from-literal=url=http://{LOGIN}@127.0.0.1:{proxy.port}"
            cluster.kubectl("create", "secret", "generic", "proxy", "-n", place, url)
            upgraded(cluster, place, tmp_path, values)
            pod = node.start(place, NAME)
            pod.wait_ready()
            cluster.number(voice)
            cluster.ready(voice, within_s=60)
            assert set(proxy.tunnels) == {f"127.0.0.1:{livekit.port}"}
            assert proxy.refused == []
            assert f"through the proxy 127.0.0.1:{proxy.port}" in pod.log_text()
            assert "sekrit-word" not in pod.log_text()
            node.stop()  # before the proxies


def test_it_reaches_livekit_without_a_proxy_where_no_proxy_names_it(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    with ConnectProxy() as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        values = {
            "livekit": {"proxy": "Environment"},
            "extraEnv": [{"name": "HTTP_PROXY", "value": url}, {"name": "NO_PROXY", "value": ".svc,127.0.0.0/8"}],
        }
        with released(cluster, tmp_path, values) as place:
            node.start(place, NAME).wait_ready()
            phone = cluster.number(voice)
            cluster.ready(voice, within_s=60)
            assert cluster.sip.of(phone).counts == (1, 1, 1)
            assert (proxy.tunnels, proxy.refused) == ([], [])
            node.stop()


def test_it_asks_the_dns_servers_of_the_values(cluster: Cluster, node: Kubelet, tmp_path: Path) -> None:
    config = {"nameservers": ["127.0.0.1"], "searches": ["voice.svc"], "options": [{"name": "ndots", "value": "2"}]}
    with released(cluster, tmp_path, {"dnsPolicy": "None", "dnsConfig": config}) as place:
        pod = node.start(place, NAME)
        pod.wait_ready()
        told = Path(f"/proc/{pod.pid}/root/etc/resolv.conf").read_text().splitlines()
        assert told == ["nameserver 127.0.0.1", "search voice.svc", "options ndots:2"]


def test_pods_are_placed_and_pulled_as_the_parent_chart_and_the_values_say(cluster: Cluster, tmp_path: Path) -> None:
    here = {"kubernetes.io/hostname": "played"}
    tolerated = {"key": "voice", "operator": "Exists", "effect": "NoSchedule"}
    values: dict[str, Any] = {
        "global": {
            "imageRegistry": "mirror.example",
            "imagePullSecrets": ["shared"],
            "nodeSelector": here,
            "tolerations": [tolerated],
        },
        "imagePullSecrets": [{"name": "own"}],
        "priorityClassName": "system-cluster-critical",
        "runtimeClassName": "sandboxed",
        "strategy": {"type": "Recreate"},
        "serviceAccount": {"annotations": {"a": "b"}},
        "livenessProbe": {"periodSeconds": 7},
    }
    cluster.apply(
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "sandboxed"},
            "handler": "sandboxed",
        }
    )
    with released(cluster, tmp_path, values) as place:
        for found in cluster.get("pods", "-n", place)["items"]:
            spec = found["spec"]
            (container,) = spec["containers"]
            assert container["image"].startswith("mirror.example/byoc-operator:")
            assert spec["imagePullSecrets"] == [{"name": "shared"}, {"name": "own"}]
            assert spec["nodeSelector"] == here
            assert tolerated in spec["tolerations"]
            assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("system-cluster-critical", "sandboxed")
            assert container["livenessProbe"]["periodSeconds"] == 7
        assert cluster.get("deployment", NAME, "-n", place)["spec"]["strategy"] == {"type": "Recreate"}
        assert cluster.get("serviceaccount", NAME, "-n", place)["metadata"]["annotations"]["a"] == "b"
    cluster.kubectl("delete", "runtimeclass", "sandboxed")


def test_an_account_that_somebody_else_has_created_gets_the_rights(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    with released(cluster, tmp_path, {}) as place:
        cluster.kubectl("create", "serviceaccount", "mine", "-n", place)
        upgraded(cluster, place, tmp_path, {"serviceAccount": {"create": False, "name": "mine"}})
        assert not cluster.get("serviceaccount", NAME, "-n", place)
        node.start(place, NAME).wait_ready()
        cluster.number(voice)
        cluster.ready(voice, within_s=60)


def test_helm_test_tells_whether_a_replica_is_ready(cluster: Cluster, node: Kubelet, tmp_path: Path) -> None:
    with released(cluster, tmp_path, {}) as place:
        code, output, ended = helm_test(cluster, place)
        assert (code, ended) == (1, 1)
        assert "nobody answers" in output

        node.start(place, NAME).wait_ready()
        with node.service(place, NAME):
            code, output, ended = helm_test(cluster, place)
        assert (code, output, ended) == (0, "", 0)
        assert not cluster.get("pod", f"{NAME}-test", "-n", place)


def helm_test(cluster: Cluster, place: str) -> tuple[int, str, int]:
    """Exit code and output of the pod that `helm test` makes, and the exit code of helm."""
    cluster.kubectl("delete", "pod", f"{NAME}-test", "-n", place, "--ignore-not-found")
    command = [str(tools.find(tools.HELM)), "test", NAME, "-n", place, "--timeout=120s"]
    with subprocess.Popen(command, env=cluster.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as helm:
        code, output = run_pod(cluster.bed, checkout(), place, f"{NAME}-test", 100)
        helm.communicate(timeout=100)
    return code, output, helm.returncode


def upgraded(cluster: Cluster, place: str, folder: Path, values: Json) -> None:
    """Give the release other values, without waiting for its pods."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    chart = str(Path(__file__).parents[2] / "helm" / NAME)
    cluster.helm("upgrade", NAME, chart, "-n", place, "--reuse-values", "-f", str(file))


def user_of(pid: int) -> tuple[int, int]:
    """The effective user and group of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {line[0]: int(line[2]) for line in lines if line and line[0] in ("Uid:", "Gid:")}
    return found["Uid:"], found["Gid:"]
