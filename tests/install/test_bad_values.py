"""A wrong value stops helm, before anything reaches a cluster, with the name of the value."""

import re
from typing import Any

import pytest

from install.rendering import RenderRefused, chart

GOOD: dict[str, Any] = {"livekit": {"url": "wss://livekit.example.com"}}


def _with(path: str, value: object) -> dict[str, Any]:
    """The good values with one more: `a.b` is `{a: {b: value}}`."""
    *folders, name = path.split(".")
    values: dict[str, Any] = {"livekit": dict(GOOD["livekit"])}
    place = values
    for folder in folders:
        place = place.setdefault(folder, {})
    place[name] = value
    return values


WRONG: list[tuple[str, object, str]] = [
    # misspelt, at every depth
    ("livekitt.url", "wss://livekit.example.com", "'livekitt' not allowed"),
    ("livekit.uri", "wss://livekit.example.com", "'uri' not allowed"),
    ("sip.adresses", [], "'adresses' not allowed"),
    ("installationID", "one", "'installationID' not allowed"),
    ("namespace", "voice", "'namespace' not allowed"),
    ("crds.install", True, "'install' not allowed"),
    ("image.name", "byoc", "'name' not allowed"),
    ("metrics.serviceMonitor.enable", True, "'enable' not allowed"),
    ("networkPolicy.egress", [], "'egress' not allowed"),
    ("networkPolicy.metricsFrom", [{"namespace": "monitoring"}], "'namespace' not allowed"),
    ("resources.limit", {}, "'limit' not allowed"),
    ("tolerations", [{"keys": "a"}], "'keys' not allowed"),
    # forms
    ("livekit.url", "livekit.example.com", "/livekit/url"),
    ("livekit.url", "ftp://livekit.example.com", "/livekit/url"),
    ("livekit.url", "wss://user:password@livekit.example.com", "/livekit/url"),
    ("livekit.existingSecret", "", "/livekit/existingSecret"),
    ("livekit.existingSecret", "Live_Kit", "/livekit/existingSecret"),
    ("sip.uri", "sips:sip.example.com", "/sip/uri"),
    ("sip.uri", "user@sip.example.com", "/sip/uri"),
    ("sip.uri", "sip.example.com;transport=ws", "/sip/uri"),
    ("sip.addresses", ["203.0.113.256"], "/sip/addresses/0"),
    ("sip.addresses", ["203.0.113.0/33"], "/sip/addresses/0"),
    ("sip.addresses", ["203.0.113.1", "sip.example.com"], "/sip/addresses/1"),
    ("sip.addresses", "203.0.113.1", "/sip/addresses"),
    ("installationId", "a/b", "/installationId"),
    ("namespaces", "voice", "/namespaces"),
    ("namespaces", ["voice,phones"], "/namespaces/0"),
    ("namespaces", ["Voice"], "/namespaces/0"),
    ("namespaces", ["voice", "voice"], "/namespaces"),
    ("terminationHosts", ["*.twilio.com"], "/terminationHosts/0"),
    ("refusedHosts", "Drop", "/refusedHosts"),
    ("finalizerPolicy", "Maybe", "/finalizerPolicy"),
    ("sealing.policy", "Refuse", "/sealing/policy"),
    ("sealing.admission.certificates", "Nobody", "/sealing/admission/certificates"),
    ("policies.metadata", "On", "/policies/metadata"),
    ("policies.namespaces", True, "/policies/namespaces"),
    ("policies.namespaces.withoutAnnotation", "Nothing", "/policies/namespaces/withoutAnnotation"),
    ("sealing.admission.on", True, "'on' not allowed"),
    ("finalizerPolicy", True, "/finalizerPolicy"),
    ("secrets", "Labeled", "/secrets"),
    ("adoption", "allow", "/adoption"),
    ("orphans", "Remove", "/orphans"),
    ("retain", "Maybe", "/retain"),
    ("retain", 0, "/retain"),
    ("numberReservationSeconds", -1, "/numberReservationSeconds"),
    ("log.level", "info", "/log/level"),
    ("log.format", "yaml", "/log/format"),
    ("image.digest", "sha256:0123", "/image/digest"),
    ("image.tag", "1.0 beta", "/image/tag"),
    ("image.pullPolicy", "Sometimes", "/image/pullPolicy"),
    ("imagePullSecrets", ["pull"], "/imagePullSecrets/0"),
    ("fullnameOverride", "0-phones", "/fullnameOverride"),
    # bounds and kinds
    ("livekit.timeoutSeconds", 0, "/livekit/timeoutSeconds"),
    ("livekit.concurrency", 65, "/livekit/concurrency"),
    ("livekit.requestsPerMinute", -1, "/livekit/requestsPerMinute"),
    ("sweepIntervalSeconds", "5m", "/sweepIntervalSeconds"),
    ("credentialsMaxAgeDays", 1.5, "/credentialsMaxAgeDays"),
    ("replicaCount", "2", "/replicaCount"),
    ("terminationGracePeriodSeconds", 10, "/terminationGracePeriodSeconds"),
    ("podDisruptionBudget.maxUnavailable", "half", "/podDisruptionBudget/maxUnavailable"),
    ("networkPolicy.egressPorts", [70000], "/networkPolicy/egressPorts/0"),
    ("networkPolicy.apiServerFrom", [{"ipBlock": {"cidr": "192.0.2.1"}}], "/networkPolicy/apiServerFrom/0"),
    ("crds.keep", "yes", "/crds/keep"),
    ("commonLabels", {"a": 1}, "/commonLabels/a"),
    ("resources", {"limits": {"memory": True}}, "/resources/limits/memory"),
    # what other objects depend on is not an environment variable's business
    ("extraEnv", [{"name": "BYOC_NAMESPACES", "value": "voice"}], "/extraEnv/0/name"),
    ("extraEnv", [{"name": "LIVEKIT_API_SECRET_FILE", "value": "/x"}], "/extraEnv/0/name"),
    ("extraEnv", [{"name": "A", "val": "b"}], "'val' not allowed"),
    # taken away
    ("sip", None, "missing property 'sip'"),
    ("log.level", None, "missing property 'level'"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG, ids=[f"{path}={value}" for path, value, _ in WRONG])
def test_a_wrong_value_is_refused_by_its_name(path: str, value: object, words: str) -> None:
    with pytest.raises(RenderRefused, match=re.escape(words)):
        chart("byoc-operator", _with(path, value))


RIGHT: list[tuple[str, object]] = [
    ("livekit.url", "http://[2001:db8::1]:7880"),
    ("livekit.requestsPerMinute", 0),
    ("sip.uri", "[2001:db8::1]:5061;transport=tls"),
    ("sip.addresses", ["::/0", "203.0.113.10", "198.51.100.0/28", "2001:db8::1"]),
    ("installationId", "new, old"),
    ("podDisruptionBudget.maxUnavailable", "50%"),
    ("resources", {"limits": {"memory": "1Gi", "cpu": 1}}),
    ("global", {"anything": ["at", "all"]}),
    ("extraEnv", [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
]


@pytest.mark.parametrize(("path", "value"), RIGHT, ids=[f"{path}={value}" for path, value in RIGHT])
def test_what_looks_unusual_but_is_right_is_taken(path: str, value: object) -> None:
    assert chart("byoc-operator", _with(path, value))
