"""Findings that follow from values of the spec and of the settings."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.addresses import lets_everybody_in
from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers import Carrier
from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.desired import Installation, allowed_addresses, preset_of
from byoc_operator.core.findings import KEYS_IN_LIVEKIT, Code, Evidence, findings
from manifests import BASE, GENERIC, merged

HALVES = ("0.0.0.0/1", "128.0.0.0/1")


def spec(**changes: Any) -> PhoneNumberSpec:
    parsed = parse_spec(merged(BASE, {**GENERIC, **changes}))
    assert isinstance(parsed, PhoneNumberSpec), parsed
    return parsed


def found(parsed: PhoneNumberSpec, sip_uri: str = "sip.example.org") -> dict[str, str]:
    installation = Installation(("one",), "livekit.example.com", sip_uri=sip_uri)
    return {str(each.code): each.message for each in findings(parsed, installation, Evidence(), 0.0)}


# Who may call


@pytest.mark.parametrize(
    "addresses",
    [
        ("0.0.0.0/0",),
        ("255.255.255.255/0",),
        ("::/0",),
        ("0::ffff:0/0",),
        HALVES,
        ("128.0.0.0/1", "0.0.0.0/2", "64.0.0.0/2"),
        ("::/1", "8000::/1"),
        ("2000::/3",),
        ("2000::/4", "3000::/4"),
        ("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"),
        tuple(f"{first}.0.0.0/{6}" for first in range(0, 224, 4)),
        ("203.0.113.7", "::/0"),
        tuple(map(str, ipaddress.IPv4Network("0.0.0.0/0").address_exclude(ipaddress.IPv4Network("203.0.113.7")))),
    ],
    ids=lambda addresses: f"{addresses[0]} and {len(addresses) - 1} more",
)
def test_a_list_that_lets_everybody_in_is_told(addresses: tuple[str, ...]) -> None:
    inbound = {"allowedAddresses": list(addresses), "allowAnyAddress": True}
    assert "InboundOpen" in found(spec(inbound=inbound))


@pytest.mark.parametrize(
    "addresses",
    [
        ("54.172.60.0/30",),
        ("10.0.0.0/8", "203.0.113.7"),
        ("0.0.0.0/1",),
        ("0.0.0.0/1", "0.0.0.0/1"),
        ("2001:db8::/32",),
        ("fc00::/7",),
        ("::/3",),
    ],
)
def test_a_list_that_keeps_callers_out_is_not(addresses: tuple[str, ...]) -> None:
    inbound = {"allowedAddresses": list(addresses), "allowAnyAddress": True}
    assert "InboundOpen" not in found(spec(inbound=inbound))


def test_without_a_list_and_without_an_agent_that_answers() -> None:
    assert "InboundOpen" in found(spec())
    assert "InboundOpen" in found(spec(inbound={"allowAnyAddress": True}, terminationUri="x.pstn.twilio.com"))
    assert "InboundOpen" not in found(spec(terminationUri="x.pstn.twilio.com"))
    assert "InboundOpen" not in found(spec(inboundAgentId=None))


def test_addresses_of_ipv4_that_are_written_as_ipv6_count() -> None:
    assert lets_everybody_in(("::ffff:0:0/96",))
    assert lets_everybody_in(("::ffff:0:0/97", "::ffff:128.0.0.0/97"))
    assert lets_everybody_in(("::ffff:0:0/97", "128.0.0.0/1"))
    assert not lets_everybody_in(("::ffff:0:0/97",))


@given(st.lists(st.ip_addresses(v=4), min_size=1, max_size=6), st.integers(8, 32))
def test_a_range_and_its_halves_are_judged_alike(addresses: list[ipaddress.IPv4Address], prefix: int) -> None:
    ranges = [ipaddress.ip_network(f"{address}/{prefix}", strict=False) for address in addresses]
    halves = [half for each in ranges for half in (each.subnets() if prefix < ipaddress.IPV4LENGTH else [each])]
    assert lets_everybody_in(tuple(map(str, ranges))) == lets_everybody_in(tuple(map(str, halves)))


# Ports and transports


@pytest.mark.parametrize(
    ("uri", "transport", "told"),
    [
        ("sip.example.com:5060", "TLS", True),
        ("sip.example.com:5061", "TLS", False),
        ("sip.example.com", "TLS", False),
        ("sip.example.com:15060", "TLS", False),
        ("sip.example.com:5061", "TCP", True),
        ("sip.example.com:5061", "UDP", True),
        ("sip.example.com:5060", "TCP", False),
        ("203.0.113.7:5060", "TLS", True),
        ("[2001:db8::1]:5061", "UDP", True),
        ("[2001:db8::5061]", "UDP", False),
    ],
)
def test_the_port_of_another_transport_is_told(uri: str, transport: str, *, told: bool) -> None:
    number = spec(terminationUri=uri, transport=transport, mediaEncryption="Disabled")
    assert ("PortOfAnotherTransport" in found(number)) is told


def test_the_port_of_another_transport_in_the_setting_is_told_too() -> None:
    told = found(spec(), "sip.example.org:5060;transport=tls")["PortOfAnotherTransport"]
    assert told.endswith("(status.originationUri, from BYOC_SIP_URI)")
    assert "PortOfAnotherTransport" not in found(spec(), "sip.example.org:5060")
    assert "PortOfAnotherTransport" not in found(spec(), "sip.example.org:5061;transport=tls")
    assert "PortOfAnotherTransport" not in found(spec(inboundAgentId=None), "sip.example.org:5060;transport=tls")


@pytest.mark.parametrize(
    ("transport", "media", "told"),
    [("UDP", "Allowed", True), ("UDP", "Disabled", False), ("TCP", "Allowed", False), ("TLS", "Allowed", False)],
)
def test_an_invite_that_is_too_large_for_udp_is_told(transport: str, media: str, *, told: bool) -> None:
    assert ("InviteTooLargeForUdp" in found(spec(transport=transport, mediaEncryption=media))) is told


def test_a_number_without_an_origination_uri_is_told_why() -> None:
    number = spec(transport="TCP", mediaEncryption="Disabled")
    assert "SipUriNotConfigured" not in found(number)
    assert found(number, "")["SipUriNotConfigured"].endswith("set BYOC_SIP_URI.")
    assert "add an endpoint with ;transport=tcp" in found(number, "sip.example.org:26899")["SipUriNotConfigured"]
    assert "SipUriNotConfigured" not in found(spec(), "sip.example.org:26899")
    assert "SipUriNotConfigured" not in found(spec(inboundAgentId=None), "")


# Carriers


@pytest.mark.parametrize("preset", BUILT_IN.presets, ids=lambda preset: str(preset.carrier))
def test_a_preset_takes_each_of_its_own_hosts(preset: Any) -> None:
    for host in preset.hosts:
        number = spec(terminationUri=f"x{host}" if host.startswith(".") else host)
        assert allowed_addresses(number, preset_of(number, BUILT_IN)) == preset.signalling_ranges
        named = spec(terminationUri=number.termination_uri, carrier=str(preset.carrier))
        assert allowed_addresses(named, preset_of(named, BUILT_IN)) == preset.signalling_ranges


@pytest.mark.parametrize("address", ["185.246.42.128", "185.246.42.129", "185.246.41.140", "192.76.120.10"])
def test_telnyx_calls_from_the_addresses_of_every_region(address: str) -> None:
    preset = BUILT_IN.preset_for(None, "sip.telnyx.me")
    assert preset.carrier == Carrier.TELNYX
    networks = map(ipaddress.ip_network, preset.signalling_ranges)
    assert any(ipaddress.ip_address(address) in network for network in networks)


def test_every_code_is_one_of_the_list() -> None:
    assert set(found(spec())) <= {str(code) for code in Code}


# Recordings


@pytest.mark.parametrize("recording", [{}, {"audioOnly": False}])
def test_a_recording_is_told(recording: dict[str, bool]) -> None:
    told = found(spec(inbound={"recording": recording}))["RecordingOn"]
    assert "law of the caller's country" in told
    assert "Without LiveKit's egress service nothing is recorded" in told


KEYS = {"credentialsSecretRef": {"name": "recordings"}}


@pytest.mark.parametrize(
    "storage",
    [
        {"s3": {"bucket": "calls", **KEYS}},
        {"gcs": {"bucket": "calls", **KEYS}},
        {"azure": {"accountName": "acme", "containerName": "calls", **KEYS}},
    ],
)
def test_keys_in_livekit_are_told_beside_the_recording(storage: dict[str, Any]) -> None:
    assert "sip.admin" not in found(spec(inbound={"recording": {}}))["RecordingOn"]
    assert found(spec(inbound={"recording": storage}))["RecordingOn"].endswith(KEYS_IN_LIVEKIT)


def test_no_recording_is_told_where_nothing_is_recorded() -> None:
    assert "RecordingOn" not in found(spec())
    assert "RecordingOn" not in found(spec(inbound={"recording": {}}, inboundAgentId=None))


# What cannot be done


def test_settings_of_calls_in_have_no_effect_without_an_agent() -> None:
    told = found(spec(inboundAgentId=None, inbound={"recording": {}}))["NoInboundAgent"]
    assert told.endswith("Until then spec.inbound has no effect.")
    assert "no effect" not in found(spec(inboundAgentId=None, inbound={"allowAnyAddress": False}))["NoInboundAgent"]


@pytest.mark.parametrize(
    ("codecs", "unknown"),
    [
        (["PCMU", "PCMA", "G722", "AMR-WB"], ""),
        (["opus/48000", "OPUS/48000", "pcmu/8000", "telephone-event/8000", "telephone-event/16000"], ""),
        (["G729/8000", "PCMU"], " (G729/8000)"),
        (["PCMU/16000", "opus/16000", "PCMA"], " (PCMU/16000, opus/16000)"),
        (None, ""),
    ],
)
def test_a_codec_that_livekit_does_not_have_is_told(codecs: list[str] | None, unknown: str) -> None:
    message = found(spec(media={} if codecs is None else {"codecs": codecs})).get("CodecNotSupported", "")
    assert message.endswith(unknown)
    assert bool(message) is bool(unknown)


@pytest.mark.parametrize(
    ("host", "codecs", "only", "told"),
    [
        ("x.pstn.twilio.com", ["G722", "opus/48000"], True, " (Twilio: PCMU, PCMA)"),
        ("x.pstn.twilio.com", ["G722", "pcma/8000"], True, None),
        ("x.pstn.twilio.com", ["G722"], False, None),
        ("x.pstn.twilio.com", ["PCMU/16000"], True, " (Twilio: PCMU, PCMA)"),
        ("sip.telnyx.com", ["G722"], True, None),
        ("sip.example.com", ["G729/8000", "telephone-event/8000"], True, ""),
        ("sip.example.com", ["G729/8000", "PCMU"], True, None),
    ],
)
def test_a_list_without_a_codec_in_common_is_told(host: str, codecs: list[str], only: bool, told: str | None) -> None:  # noqa: FBT001 - a row of a table
    message = found(spec(terminationUri=host, media={"codecs": codecs, "onlyListedCodecs": only})).get(
        "NoCodecInCommon"
    )
    assert (message is None) is (told is None)
    assert message is None or message.endswith(f"such as PCMU.{told}")


@pytest.mark.parametrize(
    ("host", "transport", "media", "told"),
    [
        ("sipconnect.sipgate.de", "TLS", "Required", "sipgate has no TLS: set spec.transport to TCP or UDP"),
        ("sipconnect.sipgate.de", "TCP", "Allowed", "sipgate has no SRTP: set spec.mediaEncryption to Disabled."),
        ("sipconnect.sipgate.de", "TCP", "Disabled", ""),
        ("sip.zadarma.com", "TLS", "Required", ""),
        ("x.pstn.twilio.com", "TLS", "Required", ""),
    ],
)
def test_encryption_that_the_carrier_lacks_is_told(host: str, transport: str, media: str, told: str) -> None:
    number = spec(terminationUri=host, transport=transport, mediaEncryption=media)
    message = found(number).get("CarrierLacksEncryption", "")
    assert told in message
    assert bool(message) is bool(told)


def test_a_ring_status_after_the_default_time_is_told() -> None:
    assert "RingStatusLate" in found(spec(inbound={"ringStatus": 480}))
    assert "RingStatusLate" not in found(spec(inbound={"ringStatus": 480, "ringTimeoutSeconds": 30}))
    assert "RingStatusLate" not in found(spec(inbound={"ringTimeoutSeconds": 30}))
    assert "RingStatusLate" not in found(spec(inboundAgentId=None, inbound={"ringStatus": 480}))


# What the room shows


def test_every_header_shows_a_caller_who_should_be_hidden() -> None:
    hidden: dict[str, Any] = {"hideCallerNumber": True}
    told = found(spec(inbound=hidden | {"includeHeaders": "All"}))["CallerNumberNotHidden"]
    assert told.endswith(" (includeHeaders: All)")
    for included in ("XHeaders", "None", None):
        inbound = {key: value for key, value in (hidden | {"includeHeaders": included}).items() if value is not None}
        assert "CallerNumberNotHidden" not in found(spec(inbound=inbound))
    assert "CallerNumberNotHidden" not in found(spec(inbound={"includeHeaders": "All"}))
    assert "CallerNumberNotHidden" not in found(spec(inboundAgentId=None, inbound=hidden | {"includeHeaders": "All"}))


@pytest.mark.parametrize(
    ("inbound", "told"),
    [
        ({"includeHeaders": "All"}, " (includeHeaders: All)"),
        ({"headersToAttributes": {"proxy-authorization": "a", "X-A": "b"}}, " (proxy-authorization)"),
        ({"headersToAttributes": {"X-A": "b"}, "includeHeaders": "XHeaders"}, ""),
    ],
)
def test_an_answer_to_the_challenge_that_the_room_shows_is_told(inbound: dict[str, Any], told: str) -> None:
    digest = {"sipPasswordSecretRef": {"name": "sip"}, "inbound": {**inbound, "authentication": "Digest"}}
    message = found(spec(**digest)).get("DigestInAttributes", "")
    assert message.endswith(told)
    assert bool(message) is bool(told)
    assert "DigestInAttributes" not in found(spec(inbound=inbound))
    assert "DigestInAttributes" not in found(spec(**digest, inboundAgentId=None))


@pytest.mark.parametrize(("hidden", "told"), [(True, " (From, P-Asserted-Identity)"), (False, "")])
def test_a_hidden_caller_that_headers_show_is_told(hidden: bool, told: str) -> None:  # noqa: FBT001 - a row of a table
    headers = {"From": "from", "X-Team": "team", "P-Asserted-Identity": "pai"}
    parsed = spec(inbound={"hideCallerNumber": hidden, "headersToAttributes": headers})
    message = found(parsed).get("CallerNumberNotHidden", "")
    assert message.endswith(told)
    assert bool(message) is hidden
