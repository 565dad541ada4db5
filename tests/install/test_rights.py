"""The operator gets the rights that it uses, all of them and no more."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from install.cluster import NAME, Cluster, Json
from install.test_runs_as_told import own_namespace
from install.test_webhook import SEALS_AT_ADMISSION, serving
from testbed.audit import AuditEntry
from testbed.kubelet import Kubelet

LABELLED = {"byoc.talkifai.dev/sip-credentials": "true"}


@dataclass(frozen=True, order=True, slots=True)
class Right:
    """One verb on one resource (`byocphonenumbers/status`); `name` empty: any, `namespace` empty: everywhere."""

    namespace: str
    resource: str
    verb: str
    name: str

    def allows(self, request: AuditEntry) -> bool:
        """Whether the request needed a right like this."""
        resource = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
        return (
            self.namespace in ("", request.namespace)
            and (self.resource, self.verb) == (resource, request.verb)
            and self.name in ("", request.name)
        )


def granted(cluster: Cluster, account: str) -> set[Right]:
    """The rights that the cluster's roles give the service account `NAMESPACE:NAME`."""
    found: set[Right] = set()
    for kind in ("clusterrolebinding", "rolebinding"):
        for binding in cluster.get(kind, "-A")["items"]:
            if account in map(_account, binding.get("subjects", ())):
                found.update(_rights(cluster, binding))
    return found


def _account(subject: Json) -> str:
    return f"{subject.get('namespace', '')}:{subject['name']}"


def _rights(cluster: Cluster, binding: Json) -> Iterator[Right]:
    namespace = binding["metadata"].get("namespace", "")
    role = binding["roleRef"]
    where = ("-n", namespace) if role["kind"] == "Role" else ()
    for rule in cluster.get(role["kind"].lower(), role["name"], *where)["rules"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Right(namespace, resource, verb, name)


def live_a_life(cluster: Cluster, voice: str) -> None:
    """Everything that can happen to a number, each once."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sip", "namespace": voice}}
    content = {"stringData": {"username": "alice", "password": "first-password"}}
    cluster.apply({**secret, **content})
    phone = cluster.number(voice, "a", sipPasswordSecretRef={"name": "sip"})
    cluster.ready(voice, "a")
    cluster.kubectl("label", "secret", "sip", "-n", voice, *(f"{key}={value}" for key, value in LABELLED.items()))
    cluster.number(voice, "claimant", phoneNumber=phone)
    cluster.until(lambda: cluster.reason(voice, "claimant") == "NumberClaimed", "the claimant waits")
    events = ("get", "events.events.k8s.io", "-n", voice, "-o", "name")
    cluster.until(lambda: cluster.kubectl(*events), "an Event tells of it")
    cluster.kubectl("delete", "bpn", "--all", "-n", voice, "--timeout=20s")


def audited(cluster: Cluster, account: str) -> Sequence[AuditEntry]:
    """What the account asked for, once the API server has written down the ends of its watches."""
    user = f"system:serviceaccount:{account}"
    cluster.until(lambda: any(each.verb == "watch" for each in cluster.bed.requests_by(user)), "watches have ended")
    time.sleep(0.5)
    return cluster.bed.requests_by(user)


def unused(rights: set[Right], requests: Sequence[AuditEntry]) -> list[Right]:
    """Rights that no request needed."""
    return sorted(right for right in rights if not any(right.allows(request) for request in requests))


@pytest.mark.parametrize("scope", ["cluster", "namespaces"])
def test_a_whole_life_uses_every_right_and_asks_for_no_other(
    cluster: Cluster, node: Kubelet, voice: str, scope: str
) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        # Without the policy: then the operator itself adds the finalizer.
        chosen = ["--set", "finalizerPolicy=Off"]
        if scope == "namespaces":
            chosen += ["--set", f"namespaces={{{voice},{place}}}", "--set", "installationId=one"]
        cluster.install(place, *chosen)
        account = f"{place}:{NAME}"
        rights = granted(cluster, account)
        assert {right.namespace for right in rights} == ({voice, place} if scope == "namespaces" else {"", place})

        pod = node.start(place, NAME)
        pod.wait_ready()
        live_a_life(cluster, voice)
        if scope == "namespaces":
            live_a_life(cluster, place)
        pod.stop()
        requests = audited(cluster, account)
        assert [request for request in requests if request.code == 403] == []
        assert unused(rights, requests) == []
        cluster.remove_everything()


def test_sealing_at_admission_uses_every_right_too(cluster: Cluster, node: Kubelet, voice: str) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        cluster.install(place, "--set", "finalizerPolicy=Off", *SEALS_AT_ADMISSION)
        account = f"{place}:{NAME}"
        with serving(cluster, node, place) as (pod,):
            live_a_life(cluster, voice)
            broken = '{"data": {"tls.crt": ""}}'
            cluster.kubectl("patch", "secret", "byoc-admission-certificate", "-n", place, "-p", broken)
            node.start(place, NAME).wait_ready()
            pod.end()
        node.stop()
        requests = audited(cluster, account)
        assert [request for request in requests if request.code == 403] == []
        assert unused(granted(cluster, account), requests) == []
        cluster.remove_everything()


def test_in_namespaces_of_its_own_it_reads_no_secret_elsewhere(cluster: Cluster, voice: str) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        cluster.install(place, "--set", f"namespaces={{{voice}}}", "--set", "installationId=one")
        cluster.apply(_secret(voice), _secret("default"))
        kubeconfig = cluster.bed.service_account_kubeconfig(place, NAME)
        assert _reads(cluster, kubeconfig, voice) == (True, "")
        for elsewhere in ("default", place):
            allowed, words = _reads(cluster, kubeconfig, elsewhere)
            assert not allowed
            assert "Forbidden" in words
            asked = ("auth", "can-i", "get", "secrets", "-n", elsewhere, f"--as=system:serviceaccount:{place}:{NAME}")
            assert cluster.kubectl(*asked, check=False).startswith("no")
        cluster.remove_everything()


def test_a_right_that_nobody_needs_and_one_that_is_missing_would_be_noticed() -> None:
    requests = [_request("get", "secrets", ""), _request("patch", "byocphonenumbers", "status")]
    kept = {Right("", "secrets", "get", ""), Right("voice", "byocphonenumbers/status", "patch", "")}
    extra = {
        Right("", "secrets", "list", ""),
        Right("other", "secrets", "get", ""),
        Right("", "secrets", "get", "b"),
        Right("", "byocphonenumbers", "patch", ""),
    }
    assert unused(kept | extra, requests) == sorted(extra)


def _secret(namespace: str) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "any", "namespace": namespace}}


def _reads(cluster: Cluster, kubeconfig: Path, namespace: str) -> tuple[bool, str]:
    """Whether the account of the kubeconfig gets the Secret `any`, and what kubectl says if not."""
    done = cluster.bed.kubectl(f"--kubeconfig={kubeconfig}", "get", "secret", "any", "-n", namespace, check=False)
    return done.returncode == 0, done.stderr


def _request(verb: str, resource: str, subresource: str) -> AuditEntry:
    return AuditEntry(datetime.now(UTC), "u", "a", verb, resource, subresource, "voice", "a", 200)
