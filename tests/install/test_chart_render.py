"""What the operator's chart renders, without a cluster; and that the plain manifests are the same."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from byoc_operator.installation_settings import installation_settings
from byoc_operator.settings import Settings
from install.rendering import ROOT, RenderRefused, chart, chart_text, kustomized, notes, objects, run_helm
from testbed import tools

Json = dict[str, Any]

NAME, NAMESPACE = "byoc-operator", "byoc-system"
CHART = ROOT / "helm" / NAME
POLICY_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
HELMS = pytest.mark.parametrize("helm", [tools.HELM, tools.HELM_3], ids=["helm-4", "helm-3"])

URL = "wss://livekit.example.com"
DEFAULTS: Json = {"livekit": {"url": URL}}
NAMESPACED: Json = {**DEFAULTS, "namespaces": ["voice"], "installationId": "one"}
LEAST: Json = {
    **NAMESPACED,
    "crds": {"enabled": False},
    "userRoles": {"enabled": False},
    "finalizerPolicy": "Off",
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
}
EVERYTHING: Json = {
    "livekit": {"url": "ws://10.0.0.1:7443", "existingSecret": "keys", "timeoutSeconds": 2.5, "requestsPerMinute": 900},
    "sip": {"uri": "sip.voice.example:5061;transport=tcp", "addresses": ["203.0.113.10", "2001:db8::/32"]},
    "installationId": "new,old",
    "namespaces": ["byoc-system", "voice", "123"],
    "finalizerPolicy": "On",
    "sweepIntervalSeconds": 3000000,
    "secrets": "Labelled",
    "terminationHosts": [".twilio.com", "sip.telnyx.com"],
    "refusedHosts": "Remove",
    "adoption": "Allow",
    "orphans": "Delete",
    "retain": 20,
    "numberReservationSeconds": 60,
    "agentName": "agent",
    "roomPrefix": "room-",
    "credentialsMaxAgeDays": 90,
    "log": {"format": "text", "level": "DEBUG"},
    "sealing": {
        "policy": "Require",
        "createKeys": False,
        "requireAtAdmission": True,
        "admission": {"enabled": True, "certificates": "CertManager"},
    },
    "policies": {"metadata": True, "namespaces": {"enabled": True, "withoutAnnotation": "Allow"}},
    "replicaCount": 3,
    "image": {"repository": "registry.example:5000/byoc", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "serviceAccount": {"name": "other", "annotations": {"a": "b"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d", "team": "pods"},
    "commonLabels": {"team": "voice", "app.kubernetes.io/part-of": "phones", "app.kubernetes.io/name": "mine"},
    "service": {"annotations": {"prometheus.io/scrape": "true"}},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "argocd": {"customizations": {"enabled": True}},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "extraVolumes": [{"name": "extra", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-more", "namespace": "{{ .Release.Namespace }}"},
        }
    ],
    "global": {"of": "a parent chart"},
}
POLICIES: Json = {"policies": {"metadata": True, "namespaces": {"enabled": True}}}
SEALING: Json = {**DEFAULTS, "sealing": {"requireAtAdmission": True, "admission": {"enabled": True}}}
SETS: dict[str, Json] = {
    "defaults": DEFAULTS,
    "namespaced": NAMESPACED,
    "least": LEAST,
    "everything": EVERYTHING,
    "sealing": SEALING,
    "policies": {**DEFAULTS, **POLICIES},
}
EVERY_SET = pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())

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

# --- rendering --------------------------------------------------------------------------------------------------------


@HELMS
def test_the_chart_passes_the_strict_lint_with_its_defaults(helm: tools.Tool) -> None:
    assert "0 chart(s) failed" in run_helm(helm, "lint", "--strict", str(CHART), values={})
    run_helm(helm, "lint", "--strict", str(CHART), values=DEFAULTS)


@HELMS
@pytest.mark.parametrize("livekit", [{}, {"url": ""}], ids=["absent", "empty"])
def test_without_the_url_of_livekit_nothing_is_rendered(helm: tools.Tool, livekit: Json) -> None:
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
    assert sorted(objects(first), key=_identity) == sorted(by_helm_3, key=_identity)


def test_the_suite_of_helm_unittest_passes() -> None:
    command = [str(tools.find(tools.HELM_UNITTEST)), "--strict", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Tests: +1\d passed", done.stdout), done.stdout


# --- what is never rendered -------------------------------------------------------------------------------------------


@EVERY_SET
def test_every_namespaced_object_names_its_namespace(values: Json) -> None:
    rendered = chart(NAME, values)
    unnamed = {found["kind"] for found in rendered if "namespace" not in found["metadata"]}
    assert unnamed == {found["kind"] for found in rendered} & CLUSTER_WIDE
    assert all(isinstance(found["metadata"].get("namespace", ""), str) for found in rendered)


@EVERY_SET
def test_no_object_is_rendered_twice_and_none_is_a_hook(values: Json) -> None:
    rendered = chart(NAME, values)
    assert len({_identity(found) for found in rendered}) == len(rendered)
    assert "helm.sh/hook" not in json.dumps(rendered)


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
    spec = _one(chart(NAME, values), "Deployment")["spec"]["template"]["spec"]
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


# --- settings ---------------------------------------------------------------------------------------------------------

KEY = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}


def test_the_defaults_are_those_of_the_operator() -> None:
    assert _settings(_config(DEFAULTS)) == _settings({"LIVEKIT_URL": URL})


def test_every_value_reaches_its_setting() -> None:
    settings = _settings(_config(EVERYTHING))
    expected = {
        "livekit_url": "ws://10.0.0.1:7443",
        "livekit_timeout_s": 2.5,
        "livekit_requests_per_minute": 900,
        "sip_uri": "sip.voice.example:5061;transport=tcp",
        "sip_addresses": ("203.0.113.10", "2001:db8::/32"),
        "installation_id": ("new", "old"),
        "namespaces": ("byoc-system", "voice", "123"),
        "sweep_interval_s": 3_000_000,
        "secrets": "Labelled",
        "termination_hosts": (".twilio.com", "sip.telnyx.com"),
        "refused_hosts": "Remove",
        "adoption": "Allow",
        "orphans": "Delete",
        "retain": 20,
        "reservation_s": 60.0,
        "agent_name": "agent",
        "room_prefix": "room-",
        "credentials_max_age_days": 90,
        "sealing": "Require",
        "sealing_create_keys": False,
        "log_format": "text",
        "log_level": "DEBUG",
    }
    assert {name: getattr(settings, name) for name in expected} == expected
    assert _settings(_config({"livekit": {"url": URL, "concurrency": 20}})).livekit_concurrency == 20


def test_no_limit_of_requests_is_not_the_same_as_no_value() -> None:
    assert _config({"livekit": {"url": URL, "requestsPerMinute": 0}})["BYOC_LIVEKIT_REQUESTS_PER_MINUTE"] == "0"
    assert "BYOC_LIVEKIT_REQUESTS_PER_MINUTE" not in _config(DEFAULTS)


@pytest.mark.parametrize("values", [DEFAULTS, {**DEFAULTS, "fullnameOverride": "mine"}], ids=["release", "override"])
def test_the_lease_has_the_name_that_the_role_allows(values: Json) -> None:
    (role,) = (found for found in chart(NAME, values) if found["kind"] == "Role")
    assert role["rules"][1]["resourceNames"] == [_config(values)["BYOC_LEASE_NAME"]]


@pytest.mark.parametrize("folder", ["deploy", "deploy/overlays/namespaced"])
def test_and_so_it_has_in_the_plain_manifests(folder: str) -> None:
    rendered = kustomized(ROOT / folder)
    (role,) = (found for found in rendered if _identity(found)[1:] == ("Role", NAMESPACE, NAME))
    read = [found["data"]["BYOC_LEASE_NAME"] for found in rendered if found["kind"] == "ConfigMap"]
    assert role["rules"][1]["resourceNames"] * 2 == read, "the pods' and the people's"


def test_a_changed_setting_replaces_the_pods_and_a_number_of_replicas_does_not() -> None:
    def template(**changes: object) -> Json:
        found: Json = _one(chart(NAME, {**DEFAULTS, **changes}), "Deployment")["spec"]["template"]
        return found

    assert template(roomPrefix="other-") != template()
    assert template(replicaCount=5, commonLabels={}) == template()


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("wss://livekit.example.com", 443),
        ("https://livekit.example.com/path", 443),
        ("ws://livekit.voice.svc", 80),
        ("ws://livekit.voice.svc:7443", 7443),
        ("http://[2001:db8::1]:9000", 9000),
        ("http://[2001:db8::1]", 80),
    ],
)
def test_the_port_of_livekit_is_let_out(url: str, port: int) -> None:
    values = {"livekit": {"url": url}, "networkPolicy": {"egressPorts": [6443]}}
    egress = _one(chart(NAME, values), "NetworkPolicy")["spec"]["egress"]
    assert [each["port"] for each in egress[1]["ports"]] == [6443, port]


def test_who_may_come_in_is_narrowed_only_where_it_is_told() -> None:
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    api_server = {"ipBlock": {"cidr": "192.0.2.0/28"}}
    told = {**SEALING, "networkPolicy": {"metricsFrom": [prometheus], "apiServerFrom": [api_server]}}
    ingress = {
        case: _one(chart(NAME, values), "NetworkPolicy")["spec"]["ingress"]
        for case, values in (("told", told), ("untold", SEALING))
    }
    assert [(each["ports"][0]["port"], each.get("from")) for each in ingress["told"]] == [
        (8080, [prometheus]),
        (9443, [api_server]),
    ]
    assert [(each["ports"][0]["port"], each.get("from")) for each in ingress["untold"]] == [(8080, None), (9443, None)]


def test_the_account_is_held_to_the_bundle_wherever_it_may_patch_the_webhook() -> None:
    admission = {"sealing": {"admission": {"enabled": True}}}
    named = {**DEFAULTS, **admission, "serviceAccount": {"name": "phones"}, "fullnameOverride": "other"}
    policy = _one(chart(NAME, named, namespace="voice"), "ValidatingAdmissionPolicy")
    (condition,) = policy["spec"]["matchConditions"]
    assert condition["expression"] == "request.userInfo.username == 'system:serviceaccount:voice:phones'"
    injected = {**DEFAULTS, "sealing": {"admission": {"enabled": True, "certificates": "CertManager"}}}
    assert "caBundle and nothing else" not in chart_text(NAME, injected), "nor is there a right to be narrowed"
    assert "mutatingwebhookconfigurations" not in chart_text(NAME, injected)


# --- the CRD ----------------------------------------------------------------------------------------------------------


def test_the_chart_holds_the_crd_as_it_is() -> None:
    text = (ROOT / "crds" / "byoc.talkifai.dev_byocphonenumbers.yaml").read_text()
    rendered = chart_text(NAME, DEFAULTS)
    assert text.partition("spec:\n")[2] in rendered, "not a letter is another one"


@pytest.mark.parametrize(("keep", "annotations"), [(True, {"helm.sh/resource-policy": "keep"}), (False, None)])
def test_the_crd_is_kept_if_wanted(keep: bool, annotations: Json | None) -> None:  # noqa: FBT001 (a parameter of pytest)
    crd = _one(chart(NAME, {**DEFAULTS, "crds": {"keep": keep}}), "CustomResourceDefinition")
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
    policy = _one(chart(NAME, values), "ValidatingAdmissionPolicy")
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


# --- the plain manifests are the chart --------------------------------------------------------------------------------


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of `deploy/` whose settings may be changed."""
    return shutil.copytree(ROOT / "deploy", tmp_path / "deploy")


def test_the_plain_manifests_are_the_chart_with_its_defaults() -> None:
    assert _comparable(kustomized(ROOT / "deploy")) == _comparable(chart(NAME, DEFAULTS))


def test_with_the_policies_too(deploy: Path) -> None:
    _with_policies(deploy / "kustomization.yaml")
    expected = chart(NAME, {**DEFAULTS, **POLICIES, "finalizerPolicy": "On"})
    assert _comparable(kustomized(deploy)) == _comparable(expected)


def test_with_sealing_at_admission_too(deploy: Path) -> None:
    kustomization = deploy / "kustomization.yaml"
    components = "components:\n  - components/sealing-admission\n  - components/require-sealed\n"
    kustomization.write_text(kustomization.read_text() + components)
    plain, rendered = _comparable(kustomized(deploy)), _comparable(chart(NAME, SEALING))
    for found in (plain, rendered):
        _sorted_environment(_one(list(found.values()), "Deployment"))
    assert plain == rendered


def _sorted_environment(deployment: Json) -> None:
    """Lists in which the order means nothing, as a patch puts its own first."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for name in ("env", "ports"):
        container[name].sort(key=lambda each: each["name"])


@pytest.mark.parametrize(
    ("values", "policies"),
    [
        ({"finalizerPolicy": "Off"}, False),
        ({"finalizerPolicy": "On", **POLICIES, "namespacedNumbersEverywhere": True}, True),
    ],
    ids=["bare", "policies"],
)
def test_in_one_namespace_too(deploy: Path, values: Json, policies: bool) -> None:  # noqa: FBT001 (as above)
    overlay = deploy / "overlays" / "namespaced"
    settings = {"LIVEKIT_URL": URL, "BYOC_NAMESPACES": "phones", "BYOC_INSTALLATION_ID": "one"}
    (overlay / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if policies:
        _with_policies(overlay / "kustomization.yaml")
    expected = chart(NAME, {**NAMESPACED, "namespaces": ["phones"], **values})
    assert _comparable(kustomized(overlay)) == _comparable(expected)


def test_a_changed_setting_of_the_plain_manifests_replaces_the_pods(deploy: Path) -> None:
    before = _one(kustomized(deploy), "Deployment")
    with (deploy / "settings.env").open("a") as settings:
        settings.write("BYOC_LOG_LEVEL=DEBUG\n")
    after = kustomized(deploy)
    read = [found["data"] for found in after if found["kind"] == "ConfigMap"]
    assert [each["BYOC_LOG_LEVEL"] for each in read] == ["DEBUG"] * 2, "the pods' and the people's"
    assert _one(after, "Deployment") != before


def _with_policies(kustomization: Path) -> None:
    """Take the components in by their own commented lines."""
    text = kustomization.read_text()
    assert "# components:\n#   - " in text
    kustomization.write_text(text.replace("# components:\n", "components:\n").replace("\n#   - ", "\n  - "))


# --- helpers ----------------------------------------------------------------------------------------------------------

_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
_HASH = re.compile(r"(byoc-operator-settings)-[a-z0-9]{10}\b")


def _identity(found: Json) -> tuple[str, str, str, str]:
    metadata = found["metadata"]
    return found["apiVersion"], found["kind"], metadata.get("namespace", ""), metadata["name"]


def _one(rendered: list[Json], kind: str) -> Json:
    (found,) = (each for each in rendered if each["kind"] == kind)
    return found


def _comparable(rendered: list[Json]) -> dict[tuple[str, str, str, str], Json]:
    """By identity, without the namespace and without what only helm or only kustomize adds."""
    plain: list[Json] = json.loads(_HASH.sub(r"\1", json.dumps(rendered)))
    return {_identity(each): _without_marks(each) for each in plain if each["kind"] != "Namespace"}


def _without_marks(found: Json) -> Json:
    for metadata in (found["metadata"], found.get("spec", {}).get("template", {}).get("metadata", {})):
        for name in _OF_HELM:
            metadata.get("labels", {}).pop(name, None)
        annotations = metadata.pop("annotations", {})
        kept = {
            name: value
            for name, value in annotations.items()
            if name not in ("helm.sh/resource-policy", "byoc.talkifai.dev/settings")
        }
        if kept:
            metadata["annotations"] = kept
    return found


def _selects(rendered: list[Json]) -> None:
    """Assert that every selector of pods fits the pods."""
    deployment = _one(rendered, "Deployment")["spec"]
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


def _config(values: Json) -> Mapping[str, str]:
    (config,) = (
        found
        for found in chart(NAME, values)
        if found["kind"] == "ConfigMap" and found["metadata"]["name"].endswith("-settings")
    )
    content: Mapping[str, str] = config["data"]
    assert all(isinstance(value, str) for value in content.values())
    return content


def _settings(environment: Mapping[str, str]) -> Settings:
    return Settings.model_validate({**environment, **KEY})
