"""Values of the chart become settings, ports and the Lease of the operator."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers_file import extended
from byoc_operator.cli.stored_deployment import carriers_place
from byoc_operator.settings import Settings
from install.rendered import DEFAULTS, EVERYTHING, NAME, NAMESPACE, NETWORK_POLICY, SEALING, URL, Json, identity, one
from install.rendering import ROOT, chart, chart_text, kustomized

# --- settings ---------------------------------------------------------------------------------------------------------

ON = {"enabled": True}
KEY = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret"}


def test_the_defaults_are_those_of_the_operator() -> None:
    assert _settings(_config(DEFAULTS)) == _settings({"LIVEKIT_URL": URL})


def test_the_carriers_of_the_values_are_a_file_that_the_pods_mount_and_the_operator_takes() -> None:
    rendered = chart(NAME, EVERYTHING)
    (told,) = (found["data"] for found in rendered if found["metadata"]["name"] == f"{NAME}-installation")
    assert extended(BUILT_IN, told["carriers.yaml"]).preset_for(None, "pbx.example.com").carrier == "Mine"
    pod = one(rendered, "Deployment")["spec"]["template"]
    assert carriers_place({"spec": {"template": pod}}, told["BYOC_CARRIERS_FILE"]) == (
        f"{NAME}-installation",
        "carriers.yaml",
    )
    other = {**EVERYTHING, "carriers": [{"name": "Mine", "hosts": ["other.example.com"]}]}
    assert one(chart(NAME, other), "Deployment")["spec"]["template"] == pod, "no pod restarts"


def test_the_component_with_carriers_mounts_the_same(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(ROOT / "deploy", deploy)
    with (deploy / "kustomization.yaml").open("a") as file:
        file.write("components:\n  - components/carriers\n")
    rendered = kustomized(deploy)
    (told,) = (found["data"] for found in rendered if found["metadata"]["name"] == f"{NAME}-installation")
    deployment = one(rendered, "Deployment")
    assert carriers_place(deployment, told["BYOC_CARRIERS_FILE"]) == (f"{NAME}-installation", "carriers.yaml")
    assert extended(BUILT_IN, told["carriers.yaml"]).preset_for(None, "pbx.example.com").carrier == "Example PBX"
    settings = [found["data"] for found in rendered if "-settings" in found["metadata"]["name"]]
    assert [each["BYOC_CARRIERS_FILE"] for each in settings] == [told["BYOC_CARRIERS_FILE"]]


def test_every_value_reaches_its_setting() -> None:
    settings = _settings(_config(EVERYTHING))
    expected = {
        "livekit_url": "ws://10.0.0.1:7443",
        "livekit_timeout_s": 2.5,
        "livekit_requests_per_minute": 900,
        "livekit_proxy": "Environment",
        "sip_uri": "sip.voice.example:5061;transport=tcp",
        "sip_addresses": ("203.0.113.10", "2001:db8::/32"),
        "installation_id": ("new", "old"),
        "namespaces": ("byoc-system", "voice", "123"),
        "sweep_interval_s": 3_000_000,
        "secrets": "Labelled",
        "termination_hosts": (".twilio.com", "sip.telnyx.com"),
        "carriers_file": Path("/etc/byoc/carriers/carriers.yaml"),
        "refused_hosts": "Remove",
        "adoption": "Allow",
        "unknown_fields": "Keep",
        "orphans": "Delete",
        "retain": 20,
        "reservation_s": 60.0,
        "agent_name": "agent",
        "room_prefix": "room-",
        "credentials_max_age_days": 90,
        "sealing": "Require",
        "sealing_create_keys": False,
        "metrics_per_number": True,
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
    (role,) = (found for found in rendered if identity(found)[1:] == ("Role", NAMESPACE, NAME))
    read = [found["data"]["BYOC_LEASE_NAME"] for found in rendered if found["kind"] == "ConfigMap"]
    assert role["rules"][1]["resourceNames"] * 2 == read, "the pods' and the people's"


def test_a_changed_setting_replaces_the_pods_and_a_number_of_replicas_does_not() -> None:
    def template(**changes: object) -> Json:
        found: Json = one(chart(NAME, {**DEFAULTS, **changes}), "Deployment")["spec"]["template"]
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
    values = {"livekit": {"url": url}, "networkPolicy": {"enabled": True, "egressPorts": [6443]}}
    egress = one(chart(NAME, values), "NetworkPolicy")["spec"]["egress"]
    assert [each["port"] for each in egress[1]["ports"]] == [6443, port]


def test_who_may_come_in_is_narrowed_only_where_it_is_told() -> None:
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    api_server = {"ipBlock": {"cidr": "192.0.2.0/28"}}
    narrow = {"metricsFrom": [prometheus], "apiServerFrom": [api_server]}
    told = {**SEALING, "networkPolicy": {**ON, **narrow}, "helmTest": {"enabled": False}}
    ingress = {
        case: one(chart(NAME, values), "NetworkPolicy")["spec"]["ingress"]
        for case, values in (("told", told), ("untold", {**SEALING, **NETWORK_POLICY}))
    }
    assert [(each["ports"][0]["port"], each.get("from")) for each in ingress["told"]] == [
        (8080, [prometheus]),
        (9443, [api_server]),
    ]
    assert [(each["ports"][0]["port"], each.get("from")) for each in ingress["untold"]] == [(8080, None), (9443, None)]


def test_the_pod_of_helm_test_comes_in_with_those_who_may() -> None:
    prometheus: Json = {"namespaceSelector": {}}
    rendered = chart(NAME, {**DEFAULTS, "networkPolicy": {**ON, "metricsFrom": [prometheus]}})
    first, second = one(rendered, "NetworkPolicy")["spec"]["ingress"][0]["from"]
    assert first == prometheus
    assert second["podSelector"]["matchLabels"].items() <= one(rendered, "Pod")["metadata"]["labels"].items()


def test_without_being_asked_nobody_is_kept_from_the_network() -> None:
    assert "NetworkPolicy" not in {found["kind"] for found in chart(NAME, DEFAULTS)}


def test_the_account_is_held_to_the_bundle_wherever_it_may_patch_the_webhook() -> None:
    admission = {"sealing": {"admission": {"enabled": True}}}
    named = {**DEFAULTS, **admission, "serviceAccount": {"name": "phones"}, "fullnameOverride": "other"}
    policy = one(chart(NAME, named, namespace="voice"), "ValidatingAdmissionPolicy")
    (condition,) = policy["spec"]["matchConditions"]
    assert condition["expression"] == "request.userInfo.username == 'system:serviceaccount:voice:phones'"
    injected = {**DEFAULTS, "sealing": {"admission": {"enabled": True, "certificates": "CertManager"}}}
    assert "caBundle and nothing else" not in chart_text(NAME, injected), "nor is there a right to be narrowed"
    assert "mutatingwebhookconfigurations" not in chart_text(NAME, injected)


# --- the plain manifests are the chart --------------------------------------------------------------------------------


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of `deploy/` whose settings may be changed."""
    return shutil.copytree(ROOT / "deploy", tmp_path / "deploy")


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
