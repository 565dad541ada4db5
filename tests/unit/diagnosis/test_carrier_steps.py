"""The set-up steps at the carrier have the number's own values, and never a password."""

from typing import Any

import pytest

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers_file import extended
from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.diagnosis.carrier_steps import Setup, Step, carrier_steps

PHONE = "+19876543210"
SECRET = {"sipUsername": "trunk-user", "sipPasswordSecretRef": {"name": "carrier-sip", "key": "pw"}}
CARRIERS = ["demo.pstn.twilio.com", "sip.telnyx.eu", "sip.example.com:5071"]
ADDRESSES = ("203.0.113.10", "198.51.100.0/28")


def steps(
    uri: str, *, sip_uri: str = "livekit.example.com", addresses: tuple[str, ...] = ADDRESSES, **spec: Any
) -> dict[str, str]:
    fields = {"phoneNumber": PHONE, "terminationUri": uri, "inboundAgentId": "agent", **SECRET, **spec}
    setup = Setup(PhoneNumberSpec.model_validate(fields), sip_uri, addresses)
    found = carrier_steps(setup)
    assert len({step.place for step in found}) == len(found)
    return {step.place: step.does for step in found}


def text(uri: str, **given: Any) -> str:
    return "\n".join(f"{place}: {does}" for place, does in steps(uri, **given).items())


def test_a_number_at_twilio() -> None:
    found = steps("demo.pstn.twilio.com")
    assert found["General → Secure Trunking"].startswith("On")
    assert found["Termination → Termination SIP URI"].startswith("demo.pstn.twilio.com,")
    credentials = found["Termination → Authentication → Credential Lists"]
    assert "user trunk-user, and the password in key pw of Secret carrier-sip" in credentials
    assert "sip:livekit.example.com;transport=tls" in found["Origination"]
    assert PHONE in found["Numbers"]


def test_a_number_at_telnyx() -> None:
    found = steps("sip.telnyx.eu")
    assert found["SIP connection"] == "Create one of type FQDN, and add host livekit.example.com, port 5061."
    assert found["SIP connection → Transport"].startswith("TLS.")
    assert found["SIP connection → Encrypted media"] == "SRTP."
    assert "+E.164" in found["SIP connection → Inbound → number format"]
    assert "Outbound voice profile" in " ".join(found)


def test_a_number_at_any_other_carrier() -> None:
    found = steps("sip.example.com:5071", transport="TCP", mediaEncryption="Disabled")
    assert found["Calls out"] == "Let the carrier take our calls at sip.example.com:5071 over TCP, without SRTP."
    assert found["Calls in"] == "Send them to sip:livekit.example.com;transport=tcp."
    assert "203.0.113.10, 198.51.100.0/28" in found["Calls out → allowed addresses"]
    assert "from every address" in found["Calls in → the carrier's addresses"]


def test_a_preset_without_steps_of_its_own_tells_its_notes() -> None:
    assert "secure trunking" in steps("1.zt.plivo.com")["Plivo"]


def test_a_carrier_without_tls_says_which_fields_to_set() -> None:
    told = steps("sipconnect.sipgate.de")["Encryption"]
    assert told == "sipgate has no TLS: set spec.transport to TCP or UDP, and spec.mediaEncryption to Disabled."
    assert "Encryption" not in steps("sipconnect.sipgate.de", transport="UDP", mediaEncryption="Disabled")


def test_a_carrier_without_srtp_says_which_field_to_set() -> None:
    carriers = extended(BUILT_IN, "carriers: [{name: Mine, hosts: [pbx.example.com], srtp: false}]")
    fields = {"phoneNumber": PHONE, "terminationUri": "pbx.example.com"}
    found = carrier_steps(Setup(PhoneNumberSpec.model_validate(fields), carriers=carriers))
    assert Step("Encryption", "Mine has no SRTP: set spec.mediaEncryption to Disabled.") in found


def test_a_carrier_whose_addresses_are_known_is_not_asked_for_them() -> None:
    found = steps("sip.example.com", inbound={"allowedAddresses": ["192.0.2.0/24"]})
    assert "Calls in → the carrier's addresses" not in found


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("demo.pstn.twilio.com", "Secure Trunking: Off"),
        ("sip.telnyx.com", "Encrypted media: None"),
        ("sip.example.com", "without SRTP"),
    ],
)
def test_without_encryption(uri: str, says: str) -> None:
    assert says in text(uri, transport="TCP", mediaEncryption="Disabled")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("demo.pstn.twilio.com", "Secure Trunking: On"),
        ("sip.telnyx.com", "Encrypted media: SRTP"),
        ("sip.example.com", "calls in may also come without"),
    ],
)
def test_encryption_that_is_allowed_must_be_on_for_calls_out(uri: str, says: str) -> None:
    assert says in text(uri, mediaEncryption="Allowed")


@pytest.mark.parametrize("uri", CARRIERS)
def test_what_the_operator_does_not_know_is_told(uri: str) -> None:
    assert "BYOC_SIP_URI has no endpoint for transport TLS" in text(uri, sip_uri="")
    assert "None" not in text(uri, sip_uri="")


@pytest.mark.parametrize("uri", ["demo.pstn.twilio.com", "sip.example.com"])
def test_addresses_that_the_operator_does_not_know_are_told(uri: str) -> None:
    assert "BYOC_SIP_ADDRESSES does not name them" in text(uri, addresses=())


@pytest.mark.parametrize("uri", CARRIERS)
def test_a_number_that_takes_no_calls_has_no_steps_for_them(uri: str) -> None:
    told = text(uri, inboundAgentId="")
    assert "livekit.example.com" not in told
    assert "Calls in" not in told
    assert "Origination" not in told


@pytest.mark.parametrize("uri", ["demo.pstn.twilio.com", "sip.example.com"])
def test_without_credentials_our_addresses_are_a_must(uri: str) -> None:
    told = text(uri, sipPasswordSecretRef=None)
    assert "Allow the addresses of our calls: 203.0.113.10" in told
    assert "Secret" not in told


@pytest.mark.parametrize("uri", CARRIERS)
def test_a_user_name_of_the_secret_is_named_by_its_place(uri: str) -> None:
    assert "user (key username of Secret carrier-sip)" in text(uri, sipUsername="")


@pytest.mark.parametrize("uri", ["sip.telnyx.com", "sip.example.com"])
def test_a_challenge_needs_credentials_at_the_carrier(uri: str) -> None:
    assert "LiveKit challenges the carrier's calls" in text(uri, inbound={"authentication": "Digest"})


def test_where_the_settings_could_not_be_read_nothing_is_said_about_them() -> None:
    uri = "sip:sip.example.com:5061;transport=tls"
    for carrier in ("Twilio", "Telnyx", "Generic"):
        spec = PhoneNumberSpec.model_validate(
            {
                "phoneNumber": "+12025550123",
                "terminationUri": "sip.example.com",
                "inboundAgentId": "a",
                "carrier": carrier,
            }
        )
        known = str(carrier_steps(Setup(spec, settings_read=False, recorded_uri=uri)))
        assert "sip.example.com" in known
        unknown = str(carrier_steps(Setup(spec, settings_read=False)))
        assert "settings could not be read" in unknown
        assert "BYOC_SIP" not in known + unknown
