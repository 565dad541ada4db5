"""A tenant tries to make an agent serve under the number of another tenant, on the real API server and LiveKit."""

import json

import pytest

from integration.scene import BASE, Json, Scene, findings, fresh_number, livekit_writes
from integration.sip import plain
from manifests import manifest
from security.tenant import Tenant

CRD = "byocphonenumbers.byoc.talkifai.dev"
FORGED = {"agentid": "agent_other", "Namespace": "bank", "name\u017fpace": "bank", "name": "vip", "tier": "gold"}
REFUSAL = "must not have the keys agentId, phoneNumber, direction, namespace and name"


def _taken(tenant: Tenant) -> bool:
    """Whether the API server takes reserved keys just now."""
    spec = {**BASE, "phoneNumber": fresh_number(), "inbound": {"agentMetadata": FORGED}}
    body = manifest("probe", tenant.namespace, spec)
    return tenant.request("POST", f"{tenant.numbers_path}?dryRun=All", body).status == 201


def _stored(scene: Scene, spec: Json) -> None:
    """Have this CRD."""
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": CRD}}
    scene.bed.kubectl("replace", "-f", "-", stdin=json.dumps({**body, "spec": spec}))


@pytest.fixture
def from_before(scene: Scene, tenant: Tenant) -> str:
    """The phone number of the tenant's number `old`, which is older than the rule."""
    spec = json.loads(scene.bed.kubectl("get", "crd", CRD, "-o", "json").stdout)["spec"]
    without = json.loads(json.dumps(spec))
    fields = without["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    metadata = fields["inbound"]["properties"]["agentMetadata"]
    metadata["x-kubernetes-validations"] = [
        rule for rule in metadata["x-kubernetes-validations"] if REFUSAL not in rule["message"]
    ]
    phone = fresh_number()
    try:
        _stored(scene, without)
        scene.until(lambda: _taken(tenant), "the rule is gone", within_s=30)
        tenant.number("old", {**BASE, "phoneNumber": phone, "inbound": {"agentMetadata": FORGED}})
    finally:
        _stored(scene, spec)
        scene.until(lambda: not _taken(tenant), "the rule is back", within_s=30)
    return phone


def test_reserved_keys_of_an_old_number_reach_no_agent_and_the_number_goes_on(
    scene: Scene, tenant: Tenant, from_before: str
) -> None:
    def ready() -> Json | None:
        number = tenant.find("old")
        return number if number and "MetadataKeyIgnored" in findings(number) else None

    number = scene.until(ready, "the finding is there")
    assert number is not None
    assert [each["status"] for each in number["status"]["conditions"] if each["type"] == "Ready"] == ["True"]
    (rule,) = scene.held(from_before).rules
    (agent,) = plain(rule)["room_config"]["agents"]
    assert json.loads(agent["metadata"]) == {
        "agentId": BASE["inboundAgentId"],
        "phoneNumber": from_before,
        "direction": "inbound",
        "namespace": tenant.namespace,
        "name": "old",
        "tier": "gold",
    }
    with scene.counted() as calls:
        path, merge = f"{tenant.numbers_path}/old", "application/merge-patch+json"
        assert tenant.request("PATCH", path, {"spec": {"outboundAgentId": ""}}, merge).status == 200
        more = {"spec": {"inbound": {"agentMetadata": {"AGENTID": "agent_third"}}}}
        assert REFUSAL in tenant.request("PATCH", path, more, merge).body
        scene.after_a_sweep()
    assert livekit_writes(calls) == {}
    assert tenant.request("DELETE", path).status == 200
    scene.until(lambda: tenant.find("old") is None, "it can be deleted")
