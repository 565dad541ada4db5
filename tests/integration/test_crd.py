"""The generated CRD on a real API server: what it refuses, in which words, and what kubectl shows."""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from byoc_operator.generate.command import CRD_FILE
from manifests import BAD, BASE, GOOD, BadManifest, manifest, merged
from testbed.bed import Bed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def crd(bed: Bed) -> Bed:
    """The bed with our CRD in force."""
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / CRD_FILE))
    bed.wait_for_crd()
    return bed


@pytest.fixture(scope="module")
def refusals(crd: Bed) -> Mapping[str, str]:
    """What kubectl says of each bad manifest, by object name; all in one run of kubectl, nothing is stored."""
    items = [manifest(f"bad-{index}", "default", bad.spec) for index, bad in enumerate(BAD)]
    return _refusals(_dry_run(crd, items))


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_manifest_is_refused_with_words_that_help(refusals: Mapping[str, str], bad: BadManifest) -> None:
    refusal = refusals[f"bad-{BAD.index(bad)}"]
    assert f"{bad.field}: " in refusal
    assert [word for word in bad.words if word not in refusal] == []
    assert "regular expression" not in refusal
    assert "rule:" not in refusal


def test_every_good_manifest_is_accepted(crd: Bed) -> None:
    items = [manifest(f"good-{index}", "default", spec) for index, spec in enumerate(GOOD.values())]
    assert _dry_run(crd, items) == ""


def test_the_largest_specs_are_judged_by_every_rule_and_not_by_what_that_costs(crd: Bed) -> None:
    """The API server gives up on an object whose rules cost too much, and refuses it for that."""
    assert (
        _dry_run(crd, [manifest("fits", "default", _largest("a", "é", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128"))])
        == ""
    )
    refused = _dry_run(crd, [manifest("wrong", "default", _largest("a", "\n", "a:" * 32))])
    for words in ("must be a CIDR", "values of at most 1024 bytes", "attribute names", "keys of 1 to 253 characters"):
        assert words in refused
    keys = {"headers": {"K" * 1_000_000 + str(index): "x" for index in range(2)}}
    refused += _dry_run(crd, [manifest("keys", "default", merged(BASE, {"outbound": keys}))])
    assert "must have header names of 1 to 255" in refused
    for given_up in ("budget", "cost", "exceed"):
        assert given_up not in refused


def _largest(letter: str, char: str, address: str) -> dict[str, Any]:
    """A spec with everything as long as it may be; `char` in values, `address` in lists."""
    label = letter * 61
    host = ".".join([label] * 4) + ".com"
    names = [f"{index:x}" + letter * 254 for index in range(16)]
    inbound = {
        "allowedAddresses": [address[:64]] * 64,
        "allowedCallers": ["+123456789012345"] * 100,
        "aliases": [f"+{index:032}" for index in range(16)],
        "authentication": "Digest",
        "headersToAttributes": dict.fromkeys(names, char * 1024),
        "agentMetadata": dict.fromkeys((name[:253] for name in names), char * 1024),
        "additionalAgentIds": [f"{index}" + "é" * 127 for index in range(8)],
        "attributes": dict.fromkeys((name[:253] for name in names), char * 1024),
        "room": {
            "prefix": "é" * 64,
            "metadata": char * 1024,
            "tags": dict.fromkeys((name[:253] for name in names), char * 1024),
        },
    }
    return {
        "phoneNumber": "+123456789012345",
        "terminationUri": f"{host}:65535",
        "friendlyName": "é" * 128,
        "inboundAgentId": "é" * 128,
        "outboundAgentId": "é" * 128,
        "sipUsername": "é" * 256,
        "sipPasswordSecretRef": {"name": ("a." * 127)[:253], "key": "k" * 253},
        "inbound": inbound,
        "outbound": {"headers": dict.fromkeys(names, char * 512), "fromHost": host, "destinationCountry": "US"},
    }


def test_a_bad_object_can_still_be_annotated_and_deleted(crd: Bed, namespace: str) -> None:
    """Ratcheting: a rule of the CRD does not lock up an object that was stored before the rule existed."""
    name = "byocphonenumbers.byoc.talkifai.dev"
    whole = json.loads(crd.kubectl("get", "crd", name, "-o", "json").stdout)
    try:
        crd.kubectl("patch", "crd", name, "--type=json", "-p", json.dumps(_without_rules(whole)))
        bad = manifest("old", namespace, merged(BASE, {"transport": "UDP", "friendlyName": "a\tb"}))
        _until_accepted(crd, bad)
    finally:
        crd.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / CRD_FILE))
    _until_refused(crd, namespace)
    crd.kubectl("annotate", "bpn", "old", "byoc.talkifai.dev/refresh=1", "-n", namespace)
    crd.kubectl("delete", "bpn", "old", "-n", namespace)


def test_the_number_cannot_be_changed_and_the_rest_can(crd: Bed, namespace: str) -> None:
    _create(crd, namespace, BASE)
    other = crd.kubectl(*_patch(namespace, {"phoneNumber": "+19876543211"}), check=False)
    assert other.returncode != 0
    assert "spec.phoneNumber: Invalid value" in other.stderr
    assert "cannot be changed; create another ByocPhoneNumber" in other.stderr
    crd.kubectl(*_patch(namespace, {"terminationUri": "sip.example.com"}))


def test_a_new_object_has_defaults_and_a_status_that_is_not_healthy(crd: Bed, namespace: str) -> None:
    created = _create(crd, namespace, {**BASE, "inbound": {}, "sipPasswordSecretRef": {"name": "s"}})
    assert created["status"] == {"observedGeneration": -1}
    assert created["spec"] == {
        **BASE,
        "transport": "TLS",
        "mediaEncryption": "Required",
        "inbound": {
            "allowAnyAddress": False,
            "authentication": "None",
            "noiseCancellation": False,
            "hideCallerNumber": False,
        },
        "sipPasswordSecretRef": {"name": "s", "key": "password"},
        "managementPolicy": "Manage",
        "deletionPolicy": "Delete",
    }


def test_a_whole_status_is_kept(crd: Bed, namespace: str) -> None:
    _create(crd, namespace, BASE)
    ready = {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "Synced",
        "message": "in step",
    }
    status = {
        "observedGeneration": 1,
        "conditions": [ready],
        "carrier": "Twilio",
        "inboundTrunkId": "ST_in",
        "outboundTrunkId": "ST_out",
        "dispatchRuleId": "SDR_1",
        "originationUri": "sip:livekit.example.com;transport=tls",
        "liveKit": "livekit.example.com",
        "lastHandledRefresh": "1",
        "lastHandledRecreate": "",
        "credentials": {"secretName": "s", "resourceVersion": "4711"},
        "pendingChanges": ["outboundTrunk.address"],
        "findings": [{"code": "NoInboundAgent", "message": "set inboundAgentId"}],
    }
    patch = json.dumps({"status": status})
    crd.kubectl("patch", "bpn", "a", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    stored = json.loads(crd.kubectl("get", "bpn", "a", "-n", namespace, "-o", "json").stdout)
    assert stored["status"] == status
    plain = crd.kubectl("get", "bpn", "-n", namespace).stdout.splitlines()
    assert plain[0].split() == ["NAME", "NUMBER", "READY", "REASON", "AGENT", "AGE"]
    assert plain[1].split()[:5] == ["a", "+19876543210", "True", "Synced", "agent_support"]
    wide = crd.kubectl("get", "byoc", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert wide[0].split()[6:] == ["CARRIER", "TERMINATION", "ORIGINATION", "INBOUND", "OUTBOUND", "MESSAGE"]
    assert wide[1].split()[6:10] == ["Twilio", BASE["terminationUri"], status["originationUri"], "ST_in"]


def test_numbers_are_selectable_by_field(crd: Bed, namespace: str) -> None:
    _create(crd, namespace, BASE)
    _create(crd, namespace, {**BASE, "phoneNumber": "+4930123456"}, name="b")
    chosen = crd.kubectl(
        "get", "bpn", "-n", namespace, "--field-selector=spec.phoneNumber=+4930123456", "-o", "name"
    ).stdout
    assert chosen.split() == ["byocphonenumber.byoc.talkifai.dev/b"]


def test_null_is_as_good_as_absent(crd: Bed) -> None:
    spec = {**BASE, "friendlyName": None, "inbound": None, "transport": None, "sipPasswordSecretRef": None}
    assert _dry_run(crd, [manifest("nulls", "default", spec)]) == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("bpn", "A phone number held at a carrier of your own"),
        ("bpn.spec.transport", "How SIP signalling travels. TLS: encrypted."),
        ("bpn.spec.inbound.allowedAddresses", "Example: [54.172.60.0/30]"),
        ("bpn.status.originationUri", "paste this as origination URI"),
    ],
)
def test_explain_reads_well(crd: Bed, path: str, words: str) -> None:
    explained = " ".join(crd.kubectl("explain", path).stdout.split())
    assert words in explained


def _dry_run(bed: Bed, items: list[dict[str, Any]]) -> str:
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    return bed.kubectl(
        "create", "--dry-run=server", "--validate=false", "-f", "-", stdin=objects, check=False, timeout_s=60
    ).stderr


def _refusals(stderr: str) -> dict[str, str]:
    """Refusal by object name."""
    _, *parts = re.split(r'ByocPhoneNumber\S* "([^"]+)" is invalid: ?', stderr)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _without_rules(crd: Mapping[str, Any]) -> list[dict[str, str]]:
    """A JSON patch that takes away all CEL rules of the spec."""
    spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec"
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    paths = [spec, *(f"{spec}/properties/{name}" for name in schema["properties"])]
    nodes = [schema, *schema["properties"].values()]
    key = "x-kubernetes-validations"
    return [{"op": "remove", "path": f"{path}/{key}"} for path, node in zip(paths, nodes, strict=True) if key in node]


def _until_accepted(bed: Bed, item: Mapping[str, Any], timeout_s: float = 15) -> None:
    """Create an object as soon as the API server follows the changed CRD."""
    deadline = time.monotonic() + timeout_s
    while bed.kubectl("create", "-f", "-", stdin=json.dumps(item), check=False).returncode:
        assert time.monotonic() < deadline, "the API server still refuses it"
        time.sleep(0.2)


def _until_refused(bed: Bed, namespace: str, timeout_s: float = 15) -> None:
    """Wait until the rules are back in force."""
    deadline = time.monotonic() + timeout_s
    bad = json.dumps(manifest("probe", namespace, merged(BASE, {"transport": "UDP"})))
    while bed.kubectl("create", "--dry-run=server", "-f", "-", stdin=bad, check=False).returncode == 0:
        assert time.monotonic() < deadline, "the API server still accepts it"
        time.sleep(0.2)


def _create(bed: Bed, namespace: str, spec: Mapping[str, Any], name: str = "a") -> dict[str, Any]:
    text = json.dumps(manifest(name, namespace, spec))
    created: dict[str, Any] = json.loads(bed.kubectl("create", "-f", "-", "-o", "json", stdin=text).stdout)
    return created


def _patch(namespace: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
    return ("patch", "bpn", "a", "-n", namespace, "--type=merge", "-p", json.dumps({"spec": spec}))
