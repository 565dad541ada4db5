"""A number from its creation to its end, as its user and as LiveKit see it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers import Carrier
from integration.deployment import INSTALLATION
from integration.fixtures import ROOT
from integration.scene import GOOD_SECRET, Scene, condition, findings, recorded
from integration.sip import plain
from manifests import manifest

CRD = "byocphonenumbers.byoc.talkifai.dev"
TWILIO = BUILT_IN.preset_for(Carrier.TWILIO, "").signalling_ranges


def test_a_number_becomes_a_trunk_each_way_and_a_rule(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(
        friendlyName="Main Support Line", outboundAgentId="agent_sales", sipPasswordSecretRef={"name": "sip"}
    )
    number = scene.ready()
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    owner = f"{INSTALLATION}/{scene.namespace}/a"
    mark = {
        "managedBy": "byoc-operator",
        "owner": owner,
        "outboundAgentId": "agent_sales",
        "recreate": "",
        "deletionPolicy": "Delete",
    }
    outbound, inbound, rule = plain(held.outbound[0]), plain(held.inbound[0]), plain(held.rules[0])
    assert json.loads(outbound.pop("metadata")) == json.loads(inbound.pop("metadata")) == mark
    both = {
        "name": "Main Support Line",
        "numbers": [phone],
        "media": {"encryption": "SIP_MEDIA_ENCRYPT_REQUIRE"},
        "media_encryption": "SIP_MEDIA_ENCRYPT_REQUIRE",
    }
    assert outbound == {
        **both,
        "address": "your-trunk.pstn.twilio.com",
        "transport": "SIP_TRANSPORT_TLS",
        "auth_username": "alice",
        "auth_password": "first-password",
    }
    assert inbound == {**both, "allowed_addresses": list(TWILIO)}
    (agent,) = rule.pop("room_config")["agents"]
    assert json.loads(agent.pop("metadata")) == {
        "agentId": "agent_support",
        "phoneNumber": phone,
        "direction": "inbound",
        "namespace": scene.namespace,
        "name": "a",
    }
    assert agent == {"agent_name": "agent_support"}
    assert rule.pop("media", {}) == {}
    assert rule == {
        "name": f"byoc:{owner}",
        "trunk_ids": [held.inbound[0].sip_trunk_id],
        "rule": {"dispatch_rule_individual": {"room_prefix": "call-"}},
    }
    assert recorded(number) == held.ids


def test_a_ready_number_says_so_in_every_field_of_its_status(scene: Scene) -> None:
    version = scene.secret(GOOD_SECRET)
    scene.number(sipPasswordSecretRef={"name": "sip"})
    status = scene.ready()["status"]
    conditions = {each["type"]: each for each in status.pop("conditions")}
    assert {type_: (each["status"], each["reason"]) for type_, each in conditions.items()} == {
        "Ready": ("True", "Synced"),
        "CredentialsResolved": ("True", "Synced"),
    }
    assert {each["observedGeneration"] for each in conditions.values()} == {1}
    for name in ("inboundTrunkId", "outboundTrunkId", "dispatchRuleId"):
        assert status.pop(name)
    assert [each["code"] for each in status.pop("findings")] == ["CredentialsPlainText"]
    assert status == {
        "observedGeneration": 1,
        "carrier": "Twilio",
        "liveKit": "127.0.0.1",
        "originationUri": "sip:sip.voice.example:5061;transport=tls",
        "credentials": {"secretName": "sip", "resourceVersion": version, "sealed": False},
    }


def test_telnyx_gets_the_user_name_in_its_header(scene: Scene) -> None:
    scene.secret(GOOD_SECRET)
    phone = scene.number(terminationUri="sip.telnyx.com", sipPasswordSecretRef={"name": "sip"})
    assert scene.ready()["status"]["carrier"] == "Telnyx"
    assert dict(scene.held(phone).outbound[0].headers) == {"X-Telnyx-Username": "alice"}


def test_optional_fields_reach_livekit(scene: Scene) -> None:
    phone = scene.number(
        mediaEncryption="Allowed",
        inbound={
            "allowedAddresses": ["203.0.113.7", "2001:db8::1", "198.51.100.0/24"],
            "allowedCallers": ["+15551230000"],
            "ringTimeoutSeconds": 45,
            "maxCallDurationSeconds": 3600,
            "noiseCancellation": True,
            "headersToAttributes": {"X-Customer-Id": "customerId"},
            "agentMetadata": {"tenant": "acme"},
        },
        outbound={"headers": {"X-Account": "4711"}, "fromHost": "voice.example.com", "destinationCountry": "DE"},
    )
    scene.ready()
    held = scene.held(phone)
    inbound, outbound = plain(held.inbound[0]), plain(held.outbound[0])
    wanted_inbound = {
        "allowed_addresses": ["203.0.113.7/32", "2001:db8::1/128", "198.51.100.0/24"],
        "allowed_numbers": ["+15551230000"],
        "ringing_timeout": "45s",
        "max_call_duration": "3600s",
        "krisp_enabled": True,
        "headers_to_attributes": {"X-Customer-Id": "customerId"},
        "media_encryption": "SIP_MEDIA_ENCRYPT_ALLOW",
    }
    assert {name: inbound.get(name) for name in wanted_inbound} == wanted_inbound
    wanted_outbound = {
        "headers": {"X-Account": "4711"},
        "from_host": "voice.example.com",
        "destination_country": "DE",
        "media": {"encryption": "SIP_MEDIA_ENCRYPT_ALLOW"},
    }
    assert {name: outbound.get(name) for name in wanted_outbound} == wanted_outbound
    assert json.loads(held.rules[0].room_config.agents[0].metadata)["tenant"] == "acme"


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"inboundAgentId": "agent_other"}, {"agent": "agent_other"}),
        ({"transport": "UDP", "mediaEncryption": "Disabled"}, {"transport": "SIP_TRANSPORT_UDP"}),
        ({"inbound": {"allowedAddresses": ["203.0.113.9"]}}, {"addresses": ["203.0.113.9/32"]}),
        ({"terminationUri": "sip.example.com:5070"}, {"address": "sip.example.com:5070", "addresses": None}),
        ({"friendlyName": "Reception"}, {"name": "Reception"}),
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_change_replaces_in_place(scene: Scene, changes: dict[str, Any], seen: dict[str, Any]) -> None:
    phone = scene.number()
    scene.ready()
    before = scene.held(phone).ids
    scene.change(**changes)
    number = scene.ready()
    held = scene.held(phone)
    assert held.ids == before == recorded(number)
    outbound, inbound = plain(held.outbound[0]), plain(held.inbound[0])
    found = {
        "agent": held.rules[0].room_config.agents[0].agent_name,
        "transport": outbound["transport"],
        "address": outbound["address"],
        "addresses": inbound.get("allowed_addresses"),
        "name": outbound["name"],
    }
    assert {name: found[name] for name in seen} == seen


def test_without_an_agent_only_the_outbound_trunk_stays_until_there_is_one_again(scene: Scene) -> None:
    phone = scene.number()
    outbound = recorded(scene.ready())[0]
    scene.change(inboundAgentId=None)
    number = scene.ready()
    assert recorded(number) == scene.held(phone).ids == (outbound,)
    assert "NoInboundAgent" in findings(number)
    assert "originationUri" not in number["status"]
    scene.change(inboundAgentId="agent_new")
    number = scene.ready()
    held = scene.held(phone)
    assert held.counts == (1, 1, 1)
    assert recorded(number) == held.ids
    assert held.ids[0] == outbound
    assert "NoInboundAgent" not in findings(number)


def test_a_deleted_number_leaves_nothing_in_livekit(scene: Scene) -> None:
    phone = scene.number()
    scene.ready()
    scene.delete()
    assert scene.held(phone).counts == (0, 0, 0)


def test_a_number_made_before_livekit_knew_it_is_not_healthy(scene: Scene) -> None:
    scene.proxy.error_before("CreateSIPInboundTrunk", times=1000)
    phone = scene.number()
    number = scene.told("LiveKitUnavailable")
    assert condition(number)["status"] == "False"
    assert condition(number, "Reconciling")["reason"] == "Creating"
    assert condition(number, "Stalled")["status"] == ""
    assert scene.held(phone).counts == (1, 0, 0)
    scene.proxy.clear()
    scene.ready()
    assert scene.held(phone).counts == (1, 1, 1)


@pytest.fixture
def without_rules(scene: Scene) -> Iterator[Scene]:
    """The CRD as it may have been before a rule was added to it."""
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"
    scene.bed.kubectl("patch", "crd", CRD, "--type=json", "-p", json.dumps([{"op": "remove", "path": path}]))
    yield scene
    scene.bed.kubectl("apply", "-k", str(ROOT / "deploy/base"))
    probe = json.dumps(_bad(scene, "probe"))

    def refused() -> bool:
        return scene.bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=probe, check=False).returncode != 0

    scene.until(refused, "the rules are in force again", within_s=20)


def _bad(scene: Scene, name: str) -> dict[str, Any]:
    spec = {"phoneNumber": "+12025550000", "terminationUri": "sip.example.com", "transport": "UDP"}
    return manifest(name, scene.namespace, spec)


def test_a_spec_older_than_a_rule_is_stalled_and_the_others_go_on(without_rules: Scene) -> None:
    scene = without_rules
    bad = json.dumps(_bad(scene, "bad"))
    scene.until(
        lambda: scene.bed.kubectl("create", "-f", "-", stdin=bad, check=False).returncode == 0, "accepted", within_s=20
    )
    number = scene.told("InvalidSpec", "bad")
    assert condition(number)["status"] == "False"
    assert condition(number, "Stalled")["reason"] == "InvalidSpec"
    assert condition(number, "Reconciling")["status"] == ""
    assert condition(number)["message"].startswith("spec.mediaEncryption: must be Allowed or Disabled")
    scene.number("good")
    scene.ready("good")
    scene.change("bad", mediaEncryption="Disabled")
    scene.ready("bad")
    scene.delete("bad")


def test_the_columns_of_kubectl_tell_what_matters(scene: Scene) -> None:
    phone = scene.number()
    number = scene.ready()
    head, row = (line.split() for line in scene.kubectl("get", "bpn").splitlines())
    assert head == ["NAME", "NUMBER", "READY", "REASON", "AGENT", "AGE"]
    assert row[:5] == ["a", phone, "True", "Synced", "agent_support"]
    head, row = (line.split() for line in scene.kubectl("get", "bpn", "-o", "wide").splitlines())
    assert head[6:] == ["CARRIER", "TERMINATION", "ORIGINATION", "INBOUND", "OUTBOUND", "MESSAGE"]
    outbound, inbound, _ = recorded(number)
    origination = "sip:sip.voice.example:5061;transport=tls"
    assert row[6:11] == ["Twilio", "your-trunk.pstn.twilio.com", origination, inbound, outbound]


def test_describe_reads_well(scene: Scene) -> None:
    scene.number(sipPasswordSecretRef={"name": "nowhere"})
    scene.told("SecretNotFound")
    told = " ".join(scene.kubectl("describe", "bpn", "a").split())
    message = f"Secret {scene.namespace}/nowhere does not exist. Create it with the key `password`"
    assert f"Message: {message}" in told
    assert "Reason: SecretNotFound Status: True Type: Stalled" in told
    assert f"Warning SecretNotFound <unknown> byoc.talkifai.dev/byoc-operator {message}" in told.replace(
        "0s byoc", "<unknown> byoc"
    )
