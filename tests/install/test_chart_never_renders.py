"""What no rendering of the chart contains, whatever the values."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from byoc_operator.installation_settings import installation_settings
from install.rendered import (
    DEFAULTS,
    EVERY_SET,
    EVERYTHING,
    LEAST,
    NAME,
    NAMESPACE,
    POLICY_API,
    Json,
    identity,
    one,
)
from install.rendering import ROOT, chart, kustomized

CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


# --- what is never rendered -------------------------------------------------------------------------------------------


@EVERY_SET
def test_every_namespaced_object_names_its_namespace(values: Json) -> None:
    rendered = chart(NAME, values)
    unnamed = {found["kind"] for found in rendered if "namespace" not in found["metadata"]}
    assert unnamed == {found["kind"] for found in rendered} & CLUSTER_WIDE
    assert all(isinstance(found["metadata"].get("namespace", ""), str) for found in rendered)


@EVERY_SET
def test_no_object_is_rendered_twice_and_only_the_pod_of_helm_test_is_a_hook(values: Json) -> None:
    rendered = chart(NAME, values)
    assert len({identity(found) for found in rendered}) == len(rendered)
    hooks = [found for found in rendered if "helm.sh/hook" in json.dumps(found)]
    assert [(found["kind"], found["metadata"]["annotations"]["helm.sh/hook"]) for found in hooks] == [("Pod", "test")]


@EVERY_SET
def test_no_role_has_a_wildcard_or_more_than_reads_secrets(values: Json) -> None:
    for found in chart(NAME, values):
        for rule in found.get("rules", ()) if found["kind"] in ("Role", "ClusterRole") else ():
            assert "*" not in json.dumps(rule)
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
            if "secrets" in rule["resources"]:
                assert _harmless(found["kind"], rule)


def _harmless(kind: str, rule: Json) -> bool:
    """Reading; beyond that only making Secrets, and writing named ones, in the operator's own namespace."""
    if rule["verbs"] == ["get", "list", "watch"]:
        return True
    own = [name for name in rule.get("resourceNames", ()) if name.startswith("byoc-")]
    return kind == "Role" and (rule["verbs"] == ["create"] or (bool(own) and set(rule["verbs"]) <= {"get", "patch"}))


@EVERY_SET
def test_the_pod_is_restricted(values: Json) -> None:
    spec = one(chart(NAME, values), "Deployment")["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert spec["automountServiceAccountToken"] is False
    user = spec["securityContext"]
    assert (user["runAsNonRoot"], user["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert all("hostPath" not in volume for volume in spec["volumes"])
    assert all("secretKeyRef" not in json.dumps(variable) for variable in container["env"])


@EVERY_SET
def test_the_pod_of_helm_test_is_restricted_and_no_replica(values: Json) -> None:
    rendered = chart(NAME, values)
    pod, replica = one(rendered, "Pod"), one(rendered, "Deployment")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["securityContext"] == replica["spec"]["securityContext"]
    assert container["securityContext"] == replica["spec"]["containers"][0]["securityContext"]
    assert container["resources"]["limits"]["memory"]
    assert container["image"] == replica["spec"]["containers"][0]["image"]
    for selector in _selectors(rendered):
        assert not selector.items() <= pod["metadata"]["labels"].items()


@EVERY_SET
def test_whatever_selects_pods_finds_them(values: Json) -> None:
    _selects(chart(NAME, values))


@pytest.mark.parametrize("folder", ["deploy", "deploy/overlays/namespaced"])
def test_in_the_plain_manifests_too(folder: str) -> None:
    _selects(kustomized(ROOT / folder))


def test_nobody_who_edits_numbers_may_write_their_status() -> None:
    (edit,) = (found for found in chart(NAME, DEFAULTS) if found["metadata"]["name"] == "byoc-edit")
    assert [rule["resources"] for rule in edit["rules"]] == [["byocphonenumbers"]]


def test_who_sees_numbers_reads_what_the_installation_adds_to_them_and_no_other_config_map() -> None:
    for rendered in (chart(NAME, EVERYTHING), kustomized(ROOT / "deploy")):
        (view,) = (found for found in rendered if found["metadata"]["name"] == "byoc-view")
        (rule,) = (rule for rule in view["rules"] if rule["resources"] == ["configmaps"])
        assert (rule["resourceNames"], rule["verbs"]) == (["byoc-operator-installation"], ["get"])
        (told,) = (found for found in rendered if found["metadata"]["name"] == "byoc-operator-installation")
        assert told["kind"] == "ConfigMap"
        assert installation_settings(told["data"]).installation("a cluster's").live_kit
        assert {name for name in told["data"] if "API_KEY" in name or "API_SECRET" in name} == set()


def test_the_least_release_has_nothing_outside_of_namespaces() -> None:
    rendered = chart(NAME, LEAST, api_versions=[POLICY_API])
    assert {found["kind"] for found in rendered} & CLUSTER_WIDE == set()
    assert {found["metadata"]["namespace"] for found in rendered} == {NAMESPACE, "voice"}


# --- the plain manifests are the chart --------------------------------------------------------------------------------


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of `deploy/` whose settings may be changed."""
    return shutil.copytree(ROOT / "deploy", tmp_path / "deploy")


def _selects(rendered: list[Json]) -> None:
    """Assert that every selector of pods fits the pods."""
    deployment = one(rendered, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [deployment["selector"]["matchLabels"], *_selectors(rendered)]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels.items()
    assert "app.kubernetes.io/version" not in deployment["selector"]["matchLabels"]


def _selectors(rendered: list[Json]) -> Iterator[Json]:
    for found in rendered:
        match found["kind"]:
            case "Service":
                yield found["spec"]["selector"]
            case "PodDisruptionBudget":
                yield found["spec"]["selector"]["matchLabels"]
            case "NetworkPolicy":
                yield found["spec"]["podSelector"]["matchLabels"]
            case "Deployment":
                for constraint in found["spec"]["template"]["spec"]["topologySpreadConstraints"]:
                    yield from filter(None, [constraint.get("labelSelector", {}).get("matchLabels")])
