"""A wrong value stops helm, before anything reaches a cluster, with the name of the value."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from byoc_operator.errors import CannotRun
from byoc_operator.settings import load
from install.rendering import ROOT, RenderRefused, chart

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
    ("metrics.serviceMonitor.scrapeTimeout", "soon", "/metrics/serviceMonitor/scrapeTimeout"),
    ("metrics.serviceMonitor.relabelings", [{"action": "destroy"}], "/metrics/serviceMonitor/relabelings/0/action"),
    ("metrics.podMonitor.relabelings", [{"source_labels": ["a"]}], "'source_labels' not allowed"),
    ("metrics.podMonitor.interval", "30", "/metrics/podMonitor/interval"),
    ("metrics.prometheusRule.namespace", "Monitoring", "/metrics/prometheusRule/namespace"),
    ("metrics.prometheusRule.runbooks", "https://git.example/it's", "/metrics/prometheusRule/runbooks"),
    ("metrics.prometheusRule.runbooks", "docs/runbooks.md", "/metrics/prometheusRule/runbooks"),
    ("metrics.prometheusRule.labels", {"a": 1}, "/metrics/prometheusRule/labels/a"),
    ("metrics.dashboard.folder", "Voice", "'folder' not allowed"),
    ("metrics.perNumber", "yes", "/metrics/perNumber"),
    ("livekit.proxy", "http://proxy:3128", "/livekit/proxy"),
    ("livekit.certificateAuthority.file", "/ca.crt", "'file' not allowed"),
    ("livekit.certificateAuthority.key", "a/b", "/livekit/certificateAuthority/key"),
    ("livekit.certificateAuthority", {"configMap": "a", "secret": "b"}, "name a ConfigMap or a Secret, not both"),
    ("global.imageRegistry", "registry.example/", "/global/imageRegistry"),
    ("global.imagePullSecrets", [1], "/global/imagePullSecrets/0"),
    ("global.nodeSelector", {"a": 1}, "/global/nodeSelector/a"),
    ("global.tolerations", [{"keys": "a"}], "'keys' not allowed"),
    ("image.registry", "registry.example/", "/image/registry"),
    ("openshift.enabled", True, "/openshift/enabled"),
    ("podSecurityContext.runAsUser", "root", "/podSecurityContext/runAsUser"),
    ("podSecurityContext.privileged", True, "'privileged' not allowed"),
    ("securityContext.readOnlyFilesystem", True, "'readOnlyFilesystem' not allowed"),
    ("startupProbe.periodSeconds", 0, "/startupProbe/periodSeconds"),
    ("livenessProbe.httpGet", {}, "'httpGet' not allowed"),
    ("readinessProbe.timeout", 1, "'timeout' not allowed"),
    ("hostAliases", [{"ip": "livekit", "hostnames": ["a"]}], "/hostAliases/0/ip"),
    ("dnsPolicy", "Cluster", "/dnsPolicy"),
    ("dnsConfig.nameservers", ["dns.example.com"], "/dnsConfig/nameservers/0"),
    ("strategy.type", "Rolling", "/strategy/type"),
    ("runtimeClassName", "GVisor", "/runtimeClassName"),
    ("serviceAccount.create", False, "serviceAccount.name: is required with serviceAccount.create=false"),
    ("networkPolicy.dnsPorts", ["dns"], "/networkPolicy/dnsPorts/0"),
    ("helmTest.image", "busybox", "'image' not allowed"),
    ("networkPolicy.egress", [], "'egress' not allowed"),
    ("networkPolicy.metricsFrom", [{"namespace": "monitoring"}], "'namespace' not allowed"),
    ("resources.limit", {}, "'limit' not allowed"),
    ("tolerations", [{"keys": "a"}], "'keys' not allowed"),
    # forms
    ("livekit.url", "livekit.example.com", "/livekit/url"),
    ("livekit.url", "ftp://livekit.example.com", "/livekit/url"),
    ("livekit.url", "wss://user:password@livekit.example.com", "/livekit/url"),
    ("livekit.url", "wss://livekit.example.com?access_token=x", "/livekit/url"),
    ("livekit.url", "wss://livekit.example.com/#x", "/livekit/url"),
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
    ("namespacedNumbersEverywhere", "yes", "/namespacedNumbersEverywhere"),
    ("refusedHosts", "Drop", "/refusedHosts"),
    ("unknownFields", "keep", "/unknownFields"),
    ("terminationHosts", ["*.*.twilio.com"], "/terminationHosts/0"),
    ("terminationHosts", ["twilio.com:5061"], "/terminationHosts/0"),
    ("terminationHosts", ["https://twilio.com"], "/terminationHosts/0"),
    ("terminationHosts", ["twilio..com"], "/terminationHosts/0"),
    ("terminationHosts", ["twilio.com\u200b"], "/terminationHosts/0"),
    ("sip.uri", "sip.example.com:70000", "/sip/uri"),
    ("sip.uri", "sip.example.com\ufeff", "/sip/uri"),
    ("sip.addresses", ["::ffff:203.0.113.7"], "/sip/addresses/0"),
    ("sip.addresses", ["2001:db8:::1"], "/sip/addresses/0"),
    ("installationId", ",", "/installationId"),
    ("agentName", "agent\u2060", "/agentName"),
    ("roomPrefix", "", "/roomPrefix"),
    ("roomPrefix", "call\U000e0041-", "/roomPrefix"),
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
    ("extraEnv", [{"name": "BYOC_LIVEKIT_CA_FILE", "value": "/x"}], "/extraEnv/0/name"),
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
    ("sip.uri", "sip.example.com:26899,sip.example.com:5060;transport=tcp"),
    ("terminationHosts", ["*.twilio.com", ".telnyx.eu", "example.com.", "203.0.113.7", "2001:db8::1"]),
    ("installationId", "new, old"),
    ("podDisruptionBudget.maxUnavailable", "50%"),
    ("resources", {"limits": {"memory": "1Gi", "cpu": 1}}),
    ("global", {"anything": ["at", "all"], "imageRegistry": "", "nodeSelector": None}),
    ("strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}}),
    ("extraEnv", [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
]


@pytest.mark.parametrize(("path", "value"), RIGHT, ids=[f"{path}={value}" for path, value in RIGHT])
def test_what_looks_unusual_but_is_right_is_taken(path: str, value: object) -> None:
    assert chart("byoc-operator", _with(path, value))


# --- chart and settings judge alike -----------------------------------------------------------------------------------

SETTINGS = {
    "livekit.url": "LIVEKIT_URL",
    "sip.uri": "BYOC_SIP_URI",
    "sip.addresses[]": "BYOC_SIP_ADDRESSES",
    "terminationHosts[]": "BYOC_TERMINATION_HOSTS",
    "installationId": "BYOC_INSTALLATION_ID",
    "namespaces[]": "BYOC_NAMESPACES",
    "agentName": "BYOC_AGENT_NAME",
    "roomPrefix": "BYOC_ROOM_PREFIX",
}
_HOST_TEXTS = st.sampled_from(
    [
        "twilio.com",
        "TWILIO.com.",
        "*.twilio.com",
        ".twilio.com",
        "*.*.twilio.com",
        "..twilio.com",
        "*twilio.com",
        "*",
        "*.",
        ".",
        "twilio..com",
        "-x.com",
        "x_y.com",
        "sip:twilio.com",
        "https://twilio.com/x",
        "twilio.com/x",
        "203.0.113.7",
        "203.0.113.7/30",
        "203.0.113.007",
        "203.0.113.256",
        "*.203.0.113.7",
        "2001:DB8::1",
        "[2001:db8::1]",
        "0::ffff:0",
        "::ffff:203.0.113.7",
        "[::ffff:203.0.113.7]",
        "fe80::1%eth0",
        "0::ffff:0/0",
        "::/0",
        "10.0.0.0/08",
        "sip.example.com\u200b",
        "\ufeffsip.example.com",
        "sip.ex\u00adample.com",
        "voice",
        "Voice",
        "voi_ce",
        "a" * 63,
        "a" * 64,
        "call-",
        "a b",
        " a",
        "a/b",
        "\U000e0041a",
        "a\tb",
    ]
)
_SETTING_TEXTS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "sip:", "sips:", "wss://", "http://", "ftp://", "wss://u:p@"]),
    _HOST_TEXTS,
    st.sampled_from(["", "", ":5060", ":0", ":65536", ":", "/path", "?q=1", "#f", ":7880/x y"]),
    st.sampled_from(["", "", ";transport=tcp", ";transport=ws", ";transport=TLS", ",sip.example.com"]),
)


@pytest.mark.parametrize("path", SETTINGS)
@hypothesis_settings(max_examples=150, deadline=None)
@given(text=_HOST_TEXTS | _SETTING_TEXTS)
@example(text="sip.example.com:26899,sip.example.com:5060;transport=tcp")
@example(text="wss://livekit.example.com/x y")
@example(text="WSS://LiveKit.example.com")
@example(text="wss://livekit.example.com\u3000")
@example(text="wss://livekit.example.com?access_token=x")
@example(text="wss://livekit.example.com#x")
@example(text="wss://livekit.example.com/path?access_token=x")
@example(text="wss://livekit.example.com/path#x")
@example(text="wss://livekit.example.com/path:@;,%")
@example(text="sip.example.com , sip.example.org")
def test_what_the_schema_takes_the_operator_takes_too(path: str, text: str) -> None:
    if path.endswith("[]") and ("," in text or text != text.strip()):
        return  # what separates the entries in the environment
    schema = json.loads((ROOT / "helm/byoc-operator/values.schema.json").read_text(encoding="utf-8"))
    for name in path.removesuffix("[]").split("."):
        schema = schema["properties"][name]
    schema = schema.get("items", schema)
    environment = {"LIVEKIT_URL": "wss://livekit.example.com", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}
    assert _accepts(schema, text) == _starts({**environment, SETTINGS[path]: text})


def _accepts(schema: dict[str, Any], text: str) -> bool:
    """As helm judges a text: Go's `$` is the end of the text only."""
    return (
        re.search(schema["pattern"].removesuffix("$") + r"\Z", text) is not None
        and len(text) <= schema.get("maxLength", len(text))
        and not ("not" in schema and re.search(schema["not"]["pattern"].replace("$", r"\Z"), text))
    )


def _starts(environment: dict[str, str]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            load()
        except CannotRun:
            return False
    return True
