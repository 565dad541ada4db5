"""The built-in presets, and which preset a termination host has."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.built_in_carriers import BUILT_IN, CREDENTIAL_HEADERS
from byoc_operator.api.carriers import GENERIC, Carrier, Catalogue, Preset
from strategies import QUICK

PRESETS = BUILT_IN.presets


def test_each_name_of_the_crd_but_generic_has_a_preset() -> None:
    assert {preset.carrier for preset in PRESETS} == set(Carrier) - {Carrier.GENERIC}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.carrier)
def test_a_built_in_preset_has_hosts_and_says_where_its_facts_are_from(preset: Preset) -> None:
    assert preset.hosts
    assert preset.sources
    assert preset.read >= "2026-09"
    assert preset.authentication
    assert all(ipaddress.ip_network(each).is_global for each in preset.signalling_ranges)


def test_what_the_presets_of_0_1_0_said_is_unchanged() -> None:
    twilio, telnyx = PRESETS[:2]
    assert (twilio.carrier, twilio.hosts, len(twilio.signalling_ranges)) == ("Twilio", (".twilio.com",), 8)
    assert (twilio.username_header, twilio.answers_challenge) == ("", False)
    assert (telnyx.carrier, len(telnyx.hosts), len(telnyx.signalling_ranges)) == ("Telnyx", 6, 18)
    assert (telnyx.username_header, telnyx.answers_challenge) == ("X-Telnyx-Username", True)
    assert {"x-telnyx-username"} == CREDENTIAL_HEADERS


@pytest.mark.parametrize(
    ("termination_uri", "carrier"),
    [
        ("your-trunk.pstn.twilio.com:5061", "Twilio"),
        ("YOUR-TRUNK.PSTN.TWILIO.COM.", "Twilio"),
        ("twilio.com", "Generic"),
        ("nottwilio.com", "Generic"),
        ("sip.telnyx.com", "Telnyx"),
        ("x.sip.telnyx.com", "Generic"),
        ("1.zt.plivo.com", "Plivo"),
        ("acme.sip-eu.vonage.com", "Vonage"),
        ("fra.eu.out.didww.com", "DIDWW"),
        ("us.wavix.net", "Wavix"),
        ("acme.pstn.exotel.com:443", "Exotel"),
        ("203.0.113.7", "Generic"),
        ("[2001:db8::1]:5061", "Generic"),
    ],
)
def test_a_host_tells_its_carrier(termination_uri: str, carrier: str) -> None:
    assert BUILT_IN.preset_for(None, termination_uri).carrier == carrier


def test_a_name_counts_before_the_host() -> None:
    assert BUILT_IN.preset_for(Carrier.TELNYX, "x.twilio.com").carrier == "Telnyx"
    assert BUILT_IN.preset_for(Carrier.GENERIC, "x.twilio.com") is GENERIC


def test_the_most_specific_host_counts() -> None:
    near = Preset("near", hosts=(".a.example.com",))
    own = Preset("own", hosts=("x.a.example.com",))
    catalogue = Catalogue((Preset("far", hosts=(".example.com",)), near, own))
    hosts = ("b.example.com", "a.example.com", "y.a.example.com", "x.a.example.com")
    assert [catalogue.preset_for(None, host).carrier for host in hosts] == ["far", "far", "near", "own"]


def test_an_address_is_a_host_in_any_spelling() -> None:
    catalogue = Catalogue((Preset("pbx", hosts=("2001:db8::1", "203.0.113.7")),))
    for termination_uri in ("[2001:DB8:0::1]:5061", "[2001:db8::1]", "203.0.113.7:5060"):
        assert catalogue.preset_for(None, termination_uri).carrier == "pbx"


@QUICK
@given(st.text(max_size=300))
def test_any_text_has_a_preset(termination_uri: str) -> None:
    assert BUILT_IN.preset_for(None, termination_uri) in (GENERIC, *PRESETS)
