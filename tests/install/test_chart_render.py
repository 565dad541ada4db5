"""What the operator's chart renders, without a cluster."""

import re
import subprocess

import pytest

from install.rendered import (
    DEFAULTS,
    EVERY_SET,
    EVERYTHING,
    NAME,
    POLICIES,
    POLICY_API,
    Json,
    identity,
    one,
)
from install.rendering import ROOT, RenderRefused, chart, chart_text, notes, objects, run_helm
from testbed import tools
from testbed.tool import Tool

CHART = ROOT / "helm" / NAME
HELMS = pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=["helm-4", "helm-3"])


# --- rendering --------------------------------------------------------------------------------------------------------


@HELMS
def test_the_chart_passes_the_strict_lint_with_its_defaults(helm: Tool) -> None:
    assert "0 chart(s) failed" in run_helm(helm, "lint", "--strict", str(CHART), values={})
    run_helm(helm, "lint", "--strict", str(CHART), values=DEFAULTS)


@HELMS
@pytest.mark.parametrize("livekit", [{}, {"url": ""}], ids=["absent", "empty"])
def test_without_the_url_of_livekit_nothing_is_rendered(helm: Tool, livekit: Json) -> None:
    with pytest.raises(RenderRefused, match=r"livekit\.url is required"):
        chart(NAME, {"livekit": livekit}, helm=helm)


def test_namespaces_need_an_installation_id() -> None:
    with pytest.raises(RenderRefused, match="installationId"):
        chart(NAME, {**DEFAULTS, "namespaces": ["voice"]})


@EVERY_SET
def test_rendering_again_or_with_the_other_helm_gives_the_same(values: Json) -> None:
    first = chart_text(NAME, values)
    assert chart_text(NAME, values) == first
    by_helm_3 = chart(NAME, values, helm=tools.HELM_3)  # in another order where a kind is new to it
    assert sorted(objects(first), key=identity) == sorted(by_helm_3, key=identity)


def test_the_suite_of_helm_unittest_passes() -> None:
    command = [str(tools.find(tools.HELM_UNITTEST)), "--strict", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Tests: +\d+ passed", done.stdout), done.stdout


# --- the CRD ----------------------------------------------------------------------------------------------------------


def test_the_chart_holds_the_crd_as_it_is() -> None:
    text = (ROOT / "crds" / "byoc.talkifai.dev_byocphonenumbers.yaml").read_text()
    rendered = chart_text(NAME, DEFAULTS)
    assert text.partition("spec:\n")[2] in rendered, "not a letter is another one"


@pytest.mark.parametrize(("keep", "annotations"), [(True, {"helm.sh/resource-policy": "keep"}), (False, None)])
def test_the_crd_is_kept_if_wanted(keep: bool, annotations: Json | None) -> None:  # noqa: FBT001 (a parameter of pytest)
    crd = one(chart(NAME, {**DEFAULTS, "crds": {"keep": keep}}), "CustomResourceDefinition")
    assert crd["metadata"].get("annotations") == annotations


# --- the finalizer policy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "served", "there"),
    [("Auto", True, True), ("Auto", False, False), ("On", False, True), ("Off", True, False)],
)
def test_the_policy_is_there_when_it_should(wanted: str, served: bool, there: bool) -> None:  # noqa: FBT001 (as above)
    rendered = chart(NAME, {**DEFAULTS, "finalizerPolicy": wanted}, api_versions=[POLICY_API] if served else ())
    policies = [found["kind"] for found in rendered if "MutatingAdmission" in found["kind"]]
    assert policies == (["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"] if there else [])


def test_policies_concern_watched_namespaces_only() -> None:
    bindings = [found for found in chart(NAME, EVERYTHING) if found["kind"].endswith("AdmissionPolicyBinding")]
    assert sorted(found["metadata"]["name"] for found in bindings) == [
        "byoc-operator-finalizer",
        "byoc-operator-metadata",
        "byoc-operator-metadata-secrets",
        "byoc-operator-namespaces",
        "byoc-operator-require-sealed",
    ]
    for binding in bindings:
        (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == EVERYTHING["namespaces"]


def test_policies_for_tenants_are_off_unless_wanted() -> None:
    assert [found["kind"] for found in chart(NAME, DEFAULTS) if "AdmissionPolicy" in found["kind"]] == []


def test_the_policy_of_metadata_lets_the_account_of_the_operator_pass() -> None:
    values = {**DEFAULTS, **POLICIES, "serviceAccount": {"name": "other"}}
    (policy,) = (
        found
        for found in chart(NAME, values)
        if (found["kind"], found["metadata"]["name"]) == ("ValidatingAdmissionPolicy", "byoc-operator-metadata")
    )
    (condition,) = policy["spec"]["matchConditions"]
    assert condition["expression"] == "request.userInfo.username != 'system:serviceaccount:byoc-system:other'"


@pytest.mark.parametrize(("value", "expression"), [("Deny", "''"), ("Allow", "'*'")])
def test_what_a_namespace_without_annotation_may_use_is_a_value(value: str, expression: str) -> None:
    values = {**DEFAULTS, "policies": {"namespaces": {"enabled": True, "withoutAnnotation": value}}}
    policy = one(chart(NAME, values), "ValidatingAdmissionPolicy")
    assert {"name": "unset", "expression": expression} in policy["spec"]["variables"]


# --- notes ------------------------------------------------------------------------------------------------------------


def test_the_notes_tell_the_next_step_and_what_to_allow_at_the_carrier() -> None:
    told = notes(NAME, EVERYTHING)
    assert "kubectl create secret generic keys -n byoc-system" in told
    assert "kubectl rollout status deployment/byoc-operator -n byoc-system" in told
    assert "203.0.113.10, 2001:db8::/32" in told
    assert "set sip.addresses" not in told
    assert "kubectl get bpn -n byoc-system" in told
    assert "finalizerPolicy=Off" in told
    assert "finalizerPolicy=Off" not in notes(NAME, DEFAULTS), "helm alone knows no such policy"
    assert "set sip.addresses" in notes(NAME, DEFAULTS)
