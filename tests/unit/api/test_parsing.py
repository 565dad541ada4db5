"""Objects, credentials and what becomes of a spec: nothing that stands there may crash us or be told."""

import ipaddress
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.conditions import Reason, Verdict
from byoc_operator.api.encoding import from_base64
from byoc_operator.api.resource import MAX_ANSWER, parse
from byoc_operator.api.schema import DeletionPolicy, ManagementPolicy, PhoneNumberSpec
from byoc_operator.api.termination_hosts import refused_host
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.credential_values import Field, problem_of
from byoc_operator.core.credentials import (
    REFUSED_TYPES,
    Credentials,
    Reading,
    SecretFacts,
    SecretRules,
    SecretUse,
    UsedKey,
    facts_of,
    resolve,
)
from byoc_operator.core.desired import Installation, allowed_addresses, preset_of
from byoc_operator.core.origination import origination_uri
from byoc_operator.core.trunk import Kind, Masked
from strategies import MASK, QUICK, json_objects, json_values, raw_specs, specs, wanted

GROUP = "byoc.talkifai.dev"
METADATA = {"namespace": "voice", "name": "main", "uid": "u", "resourceVersion": "5", "generation": 3}


def raw(spec: object = None, status: object = None, **annotations: str) -> dict[str, Any]:
    ours = {f"{GROUP}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {"metadata": METADATA | {"annotations": ours}, "spec": spec, "status": status}


# Objects

fields = st.sampled_from(["phoneNumber", "terminationUri", "inbound", "outbound", "managementPolicy", "deletionPolicy"])


@QUICK
@given(json_values | st.dictionaries(fields, json_values), json_values | json_objects, st.text(), st.text())
def test_whatever_spec_and_status_hold_an_object_is_parsed(spec: object, status: object, one: str, two: str) -> None:
    number = parse(raw(spec, status, refresh=one, recreate=two, paused=one, force_orphan=two))
    assert (number.spec is None) == (number.invalid is not None)
    assert number.phone_number
    assert isinstance(number.status.ready.reason, str)
    assert isinstance(number.refresh_due, bool)
    assert isinstance(number.status.ids.outbound, str)
    assert len(number.requested.refresh) <= MAX_ANSWER


@QUICK
@given(raw_specs())
def test_a_valid_spec_is_parsed(spec: dict[str, Any]) -> None:
    number = parse(raw(spec))
    assert (number.invalid, number.phone_number) == (None, spec["phoneNumber"])


def test_policies_are_known_even_of_an_invalid_spec() -> None:
    number = parse(raw({"managementPolicy": "Observe", "deletionPolicy": "Retain", "phoneNumber": "nonsense"}))
    assert number.invalid is not None
    assert (number.management_policy, number.deletion_policy) == (ManagementPolicy.OBSERVE, DeletionPolicy.RETAIN)


@pytest.mark.parametrize(
    ("value", "paused"), [("true", True), (" TRUE ", True), ("false", False), ("", False), ("1", False), ("yes", False)]
)
def test_paused_is_true_and_nothing_else(value: str, *, paused: bool) -> None:
    wishes = parse(raw(paused=value)).requested
    assert wishes.paused is paused
    assert wishes.unclear == (("byoc.talkifai.dev/paused",) if value in ("1", "yes") else ())


@pytest.mark.parametrize(
    ("status", "version", "sealed"),
    [
        ({}, None, False),
        ({"credentials": None}, None, False),
        ({"credentials": "4711"}, None, False),
        ({"credentials": {"secretName": "sip"}}, "", False),
        ({"credentials": {"resourceVersion": 4711, "sealed": False}}, "", False),
        ({"credentials": {"resourceVersion": "4711", "sealed": True}}, "4711", True),
    ],
)
def test_which_credentials_were_written_last(status: dict[str, Any], version: str | None, *, sealed: bool) -> None:
    written = parse(raw(status=status)).status.credentials
    assert (written and written.resource_version, bool(written and written.sealed)) == (version, sealed)


def test_long_annotations_are_answered_by_their_digest() -> None:
    one, other = (parse(raw(refresh="x" * 5000 + end)).requested.refresh for end in "ab")
    assert one.startswith("sha256:")
    assert one != other
    assert parse(raw(refresh="x" * MAX_ANSWER)).requested.refresh == "x" * MAX_ANSWER


@pytest.mark.parametrize(
    ("asked", "status", "due"),
    [
        ("", {"observedGeneration": 1}, False),
        ("1", {"observedGeneration": -1}, False),
        ("1", {}, False),
        ("1", {"observedGeneration": 1}, True),
        ("1", {"observedGeneration": 1, "lastHandledRefresh": "1"}, False),
        ("2", {"observedGeneration": 1, "lastHandledRefresh": "1"}, True),
    ],
)
def test_when_a_refresh_is_due(asked: str, status: dict[str, Any], *, due: bool) -> None:
    assert parse(raw(status=status, refresh=asked)).refresh_due is due


@pytest.mark.parametrize(
    ("uri", "allowed", "refused"),
    [
        ("sip.example.com", (), False),
        ("sip.example.com", ("example.com",), False),
        ("SIP.Example.COM:5061", (".example.com",), False),
        ("example.com", (".example.com",), False),
        ("badexample.com", ("example.com",), True),
        ("example.com.evil.net", ("example.com",), True),
        ("[2001:db8::1]:5060", ("example.com",), True),
        ("x.pstn.twilio.com", ("*.pstn.twilio.com",), False),
        ("pstn.twilio.com", ("*.pstn.twilio.com",), False),
        ("xpstn.twilio.com", ("*.pstn.twilio.com",), True),
        ("sip.example.com.", ("Example.com.",), False),
        ("[2001:DB8:0::1]:5060", ("2001:db8::1",), False),
        ("[2001:db8::1]", ("2001:0db8:0:0:0:0:0:0001",), False),
        ("[2001:db8::2]", ("2001:db8::1",), True),
        ("203.0.113.7:5060", ("203.0.113.7",), False),
        ("203.0.113.8", ("203.0.113.7",), True),
    ],
)
def test_hosts_that_the_installation_allows(uri: str, allowed: tuple[str, ...], *, refused: bool) -> None:
    parsed = parse_spec({"phoneNumber": "+19876543210", "terminationUri": uri})
    assert isinstance(parsed, PhoneNumberSpec)
    assert (refused_host(parsed, allowed) is not None) is refused


# Credentials

PASSWORD, USER = UsedKey(Field.PASSWORD, "password"), UsedKey(Field.USERNAME, "username")
USE = SecretUse("sipPasswordSecretRef", "voice", "sip", (PASSWORD, USER), {}, frozenset({Kind.OUTBOUND_TRUNK}))
ANY = SecretRules()
NOT_OPENED = Verdict(Reason.SEALING_KEY_UNKNOWN, "the value is sealed.")
READING = Reading(MASK, lambda _text, _namespace, _field: NOT_OPENED)


def facts(type_: str, **values: bytes | None) -> SecretFacts:
    """As the API server spells these bytes; None: as it spells nothing."""
    texts = {key: from_base64("?" if value is None else b64encode(value).decode()) for key, value in values.items()}
    return SecretFacts("voice", "sip", "7", type_, True, 0.0, facts_of("voice", "sip", type_, texts, READING))


@QUICK
@given(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=300))
def test_any_bytes_give_credentials_or_a_verdict(username: bytes | None, password: bytes | None) -> None:
    found = resolve(USE, facts("Opaque", username=username, password=password), ANY)
    assert isinstance(found, Credentials | Verdict)


_NAMES = " ".join((*Reason.__members__, *Field.__members__))
"""A verdict names its reason, and credentials name their fields. Neither is a value of a Secret."""

words = st.text(st.characters(categories=["Lu"], max_codepoint=127), min_size=6, max_size=300).filter(
    lambda word: word not in _NAMES
)
spoilers = st.sampled_from(["\n", "\r\n", " ", "\t", "\x00", '"', "\\", ":", ""])


@QUICK
@given(words, spoilers, st.booleans())
def test_a_verdict_never_quotes_a_value(word: str, spoiler: str, sealed: bool) -> None:  # noqa: FBT001
    value = (("fernet:" if sealed else "") + word + spoiler).encode()
    for username, password in ((value, b"fine"), (b"fine", value), (value, value)):
        found = resolve(USE, facts("Opaque", username=username, password=password), ANY)
        assert word not in repr(found)
        assert not sealed or isinstance(found, Verdict)


@pytest.mark.parametrize(
    ("password", "reason", "words_"),
    [
        (b"", Reason.SECRET_INVALID, "empty"),
        (b"x" * 257, Reason.SECRET_INVALID, "longer than 256"),
        (b"x" * 256, None, ""),
        (b"secret\n", Reason.SECRET_INVALID, "newline"),
        (b" secret", Reason.SECRET_INVALID, "blank"),
        (b"se\x07cret", Reason.SECRET_INVALID, "control"),
        (b"\xff\xfe", Reason.SECRET_INVALID, "UTF-8"),
        (None, Reason.SECRET_INVALID, "UTF-8"),
        (b"\xef\xbb\xbfsecret", Reason.SECRET_INVALID, "byte order mark"),
        (b"\xef\xbb\xbffernet:abc", Reason.SECRET_INVALID, "byte order mark"),
        (b"fernet:abc", Reason.SEALING_KEY_UNKNOWN, "sealed"),
        ('pässwörd:"\\'.encode(), None, ""),
    ],
)
def test_which_passwords_can_be_used(password: bytes | None, reason: Reason | None, words_: str) -> None:
    found = resolve(USE, facts("Opaque", username=b"user", password=password), ANY)
    assert (found.reason if isinstance(found, Verdict) else None) is reason
    assert not isinstance(found, Verdict) or words_ in found.message


@QUICK
@given(st.text(st.characters(exclude_categories=())), st.sampled_from(Field))
@example("\udcc3\udca4", Field.PASSWORD)
def test_whatever_somebody_types_can_be_used_or_is_told_why_not(text: str, field: Field) -> None:
    assert problem_of(text, field) or text.encode()


@pytest.mark.parametrize("username", [b'a"b', b"a\\b", b"a:b"])
def test_a_user_name_that_sip_cannot_quote_is_refused(username: bytes) -> None:
    found = resolve(USE, facts("Opaque", username=username, password=b"fine"), ANY)
    assert isinstance(found, Verdict)
    assert found.reason is Reason.SECRET_INVALID


@pytest.mark.parametrize("type_", sorted(REFUSED_TYPES))
def test_secrets_of_other_uses_are_never_read(type_: str) -> None:
    refused = facts(type_, username=b"user", password=b"password")
    assert refused.values == {}
    found = resolve(USE, refused, ANY)
    assert isinstance(found, Verdict)
    assert found.reason is Reason.SECRET_INVALID


@pytest.mark.parametrize(
    ("values", "own_name", "reason"),
    [
        ({"username": b"user"}, None, Reason.SECRET_KEY_MISSING),
        ({"password": b"pass"}, None, Reason.SECRET_KEY_MISSING),
        ({"password": b"pass"}, MASK("user"), None),
        ({"password": b"pass", "username": b"bad\n"}, MASK("user"), None),
        ({}, MASK("user"), Reason.SECRET_KEY_MISSING),
    ],
)
def test_which_keys_must_be_there(values: dict[str, bytes], own_name: Masked | None, reason: Reason | None) -> None:
    use = replace(USE, keys=(PASSWORD,), given={Field.USERNAME: own_name}) if own_name else USE
    found = resolve(use, facts("Opaque", **values), ANY)
    assert (found.reason if isinstance(found, Verdict) else None) is reason


def test_a_secret_that_is_not_there() -> None:
    found = resolve(USE, None, SecretRules(labelled_only=True))
    assert isinstance(found, Verdict)
    assert found.reason is Reason.SECRET_NOT_FOUND


# What becomes of a spec


@QUICK
@given(specs())
def test_allowed_addresses_are_networks_each_once(spec: PhoneNumberSpec) -> None:
    found = allowed_addresses(spec, preset_of(spec, BUILT_IN))
    assert [str(ipaddress.ip_network(address)) for address in found] == list(found)
    assert len(set(found)) == len(found)
    assert all("/" in address for address in found)


@QUICK
@given(specs())
def test_without_an_inbound_agent_there_is_no_way_in(spec: PhoneNumberSpec) -> None:
    want = wanted(spec)
    assert (want.inbound is None) is (want.rule is None) is (not spec.inbound_agent_id)
    assert want.outbound.numbers == (spec.phone_number,)


@pytest.mark.parametrize(
    ("sip_uri", "transport", "expected"),
    [
        ("", "TLS", ""),
        ("sip.example.org", "TLS", "sip:sip.example.org;transport=tls"),
        ("sip:sip.example.org", "TCP", "sip:sip.example.org;transport=tcp"),
        ("sip.example.org:5061", "TLS", "sip:sip.example.org:5061;transport=tls"),
        ("sip.example.org:5061", "TCP", "sip:sip.example.org;transport=tcp"),
        ("sip.example.org:5061", "UDP", "sip:sip.example.org;transport=udp"),
        ("sip.example.org:5060", "TLS", "sip:sip.example.org;transport=tls"),
        ("sip.example.org:5060", "TCP", "sip:sip.example.org:5060;transport=tcp"),
        ("[2001:db8::1]:5060", "TLS", "sip:[2001:db8::1];transport=tls"),
        ("[2001:db8::1]", "UDP", "sip:[2001:db8::1];transport=udp"),
        ("sip.example.org:26899", "TLS", "sip:sip.example.org:26899;transport=tls"),
        ("sip.example.org:26899", "TCP", ""),
        ("sip.example.org:26899", "UDP", ""),
        ("sip.example.org:26899, sip.example.org:5070;transport=udp", "TLS", "sip:sip.example.org:26899;transport=tls"),
        ("sip.example.org:26899,sip.example.org:5070;transport=udp", "UDP", "sip:sip.example.org:5070;transport=udp"),
        ("sip.example.org:26899,sip.example.org:5070;transport=udp", "TCP", ""),
        ("a.example.org;transport=tcp,b.example.org", "TLS", "sip:b.example.org;transport=tls"),
        ("a.example.org;transport=tcp,b.example.org", "TCP", "sip:a.example.org;transport=tcp"),
        ("a.example.org;transport=tcp,b.example.org;transport=udp", "TLS", "sip:a.example.org;transport=tcp"),
        ("sip:sip.example.org;transport=tcp", "TLS", "sip:sip.example.org;transport=tcp"),
        ("sip.example.org:5061;transport=tls", "UDP", "sip:sip.example.org:5061;transport=tls"),
    ],
)
def test_the_origination_uri(sip_uri: str, transport: str, expected: str) -> None:
    assert origination_uri(sip_uri, transport) == expected


def test_the_first_installation_id_marks() -> None:
    owners = Installation(("new", "old"), "livekit.example.com").owners("voice", "main")
    assert [str(owner) for owner in owners] == ["new/voice/main", "old/voice/main"]
