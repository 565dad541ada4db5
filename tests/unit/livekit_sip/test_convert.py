"""Values to protobuf and back."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.egress import (
    AliOSSUpload,
    AutoTrackEgress,
    EncodedFileOutput,
    GCPUpload,
    ProxyConfig,
    RoomCompositeEgressRequest,
    S3Upload,
    StreamOutput,
)
from livekit.protocol.room import RoomConfiguration, RoomEgress
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleCallee,
    SIPDispatchRuleDirect,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPMediaConfig,
    SIPMediaEncryption,
    SIPOutboundTrunkInfo,
)

from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import SOUND, VIDEO, DispatchRule, InboundTrunk, Masked, OutboundTrunk
from byoc_operator.livekit_sip import convert
from byoc_operator.livekit_sip.convert import credential_texts

MASK = make_mask(secrets.token_bytes(32))
ALLOW = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW
REQUIRE = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
DISABLE = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE

_Info = TypeVar("_Info", SIPOutboundTrunkInfo, SIPInboundTrunkInfo, SIPDispatchRuleInfo)

texts = st.text(max_size=20)
credentials = st.none() | st.text(min_size=1, max_size=20).map(MASK)
text_tuples = st.lists(texts, max_size=3).map(tuple)
pairs = st.dictionaries(texts, texts, max_size=3)
encryptions = st.sampled_from(["Disabled", "Allowed", "Required"])
plain_headers = st.dictionaries(st.sampled_from(["X-Team", "X-Call", "User-to-User"]), texts)
user_headers = st.dictionaries(st.sampled_from(["X-Telnyx-Username", "x-telnyx-username"]), texts.map(MASK), max_size=1)
included = st.sampled_from(["", "XHeaders", "All"])
outcomes = st.sampled_from([{}, {"outcome": "X-Outcome"}, {"a": "X-A", "b": ""}])
codecs = st.sampled_from([(), ("PCMU",), ("opus/48000", "PCMA/8000"), ("G722", "PCMU", "G722")])
outbound_trunks = st.builds(
    OutboundTrunk,
    name=texts,
    metadata=texts,
    address=texts,
    transport=st.sampled_from(["TLS", "TCP", "UDP", "AUTO"]),
    numbers=text_tuples,
    username=credentials,
    password=credentials,
    headers=st.builds(lambda plain, user: plain | user, plain_headers, user_headers),
    headers_to_attributes=st.sampled_from([{}, {"X-Call-Ref": "ref"}]),
    attributes_to_headers=outcomes,
    include_headers=included,
    media_encryption=encryptions,
    codecs=codecs,
    only_listed_codecs=st.booleans(),
    media_timeout_s=st.integers(0, 600),
    from_host=texts,
    destination_country=texts,
    extra=st.just(()),
).filter(lambda trunk: trunk.username not in [MASK(each) for each in trunk.headers.values() if isinstance(each, str)])
"""No plain header repeats the user name: such a header is a credential."""

inbound_trunks = st.builds(
    InboundTrunk,
    name=texts,
    metadata=texts,
    numbers=text_tuples,
    allowed_addresses=text_tuples,
    allowed_numbers=text_tuples,
    username=credentials,
    password=credentials,
    headers_to_attributes=plain_headers,
    attributes_to_headers=outcomes,
    include_headers=included,
    response_headers=st.sampled_from([{}, {"X-Team": "longer than user names"}, {"X-Telnyx-Username": MASK("user")}]),
    realm=texts,
    ringing_status=st.integers(0, 699),
    ringing_timeout_s=st.integers(0, 86_400),
    max_call_duration_s=st.integers(0, 86_400),
    noise_cancellation=st.booleans(),
    media_encryption=encryptions,
    codecs=codecs,
    only_listed_codecs=st.booleans(),
    media_timeout_s=st.integers(0, 600),
    extra=st.just(()),
)
rules = st.builds(
    DispatchRule,
    name=texts,
    trunk_ids=text_tuples,
    room_prefix=texts,
    agent_name=texts,
    agent_metadata=texts,
    additional_agents=text_tuples,
    attributes=pairs,
    hide_caller_number=st.booleans(),
    empty_timeout_s=st.integers(0, 2**32 - 1),
    departure_timeout_s=st.integers(0, 2**32 - 1),
    max_participants=st.integers(0, 2**32 - 1),
    room_metadata=texts,
    room_tags=pairs,
    extra=st.just(()),
)


def s3(bucket: str, region: str, endpoint: str, *, path_style: bool) -> dict[str, str]:
    flag = "true" if path_style else ""
    told = {"type": "s3", "bucket": bucket, "region": region, "endpoint": endpoint, "forcePathStyle": flag}
    return {name: text for name, text in told.items() if text}


bare_recordings = st.builds(replace, rules, recording=st.sampled_from([SOUND, VIDEO]), recording_path=texts)
recorded_rules = (
    bare_recordings
    | st.builds(
        replace,
        bare_recordings,
        recording_storage=st.builds(s3, texts, texts, texts, path_style=st.booleans()),
        recording_access_key=credentials,
        recording_secret=credentials,
    )
    | st.builds(
        replace,
        bare_recordings,
        recording_storage=st.sampled_from(
            [
                {"type": "gcs", "bucket": "calls"},
                {"type": "gcs"},
                {"type": "azure", "accountName": "acme", "containerName": "calls"},
            ]
        ),
        recording_secret=credentials,
    )
)


def read_outbound(info: SIPOutboundTrunkInfo, *, lists_passwords: bool = True) -> OutboundTrunk:
    return convert.OUTBOUND.from_proto(info, MASK, lists_passwords=lists_passwords)


def read_rule(info: SIPDispatchRuleInfo) -> DispatchRule:
    return convert.RULE.from_proto(info, MASK)


def read_inbound(info: SIPInboundTrunkInfo, *, lists_passwords: bool = True) -> InboundTrunk:
    return convert.INBOUND.from_proto(info, MASK, lists_passwords=lists_passwords)


@given(outbound_trunks)
def test_an_outbound_trunk_survives_the_round_trip(trunk: OutboundTrunk) -> None:
    over_the_wire = SIPOutboundTrunkInfo.FromString(convert.OUTBOUND.to_proto(trunk).SerializeToString())
    assert read_outbound(over_the_wire) == trunk


@given(inbound_trunks)
def test_an_inbound_trunk_survives_the_round_trip(trunk: InboundTrunk) -> None:
    over_the_wire = SIPInboundTrunkInfo.FromString(convert.INBOUND.to_proto(trunk).SerializeToString())
    assert read_inbound(over_the_wire) == trunk


@given(rules | recorded_rules)
def test_a_rule_survives_the_round_trip(rule: DispatchRule) -> None:
    over_the_wire = SIPDispatchRuleInfo.FromString(convert.RULE.to_proto(rule).SerializeToString())
    assert read_rule(over_the_wire) == rule


OUTBOUND = OutboundTrunk("out", "{}", "sip.example.com", "TLS", ("+15550100000",), media_encryption="Required")
INBOUND = InboundTrunk("in", "{}", ("+15550100000",), media_encryption="Required")
RULE = DispatchRule("rule", ("ST_a",), "call-", "agent", "{}")
FILE = EncodedFileOutput(filepath="calls/")
FOREIGN_RECORDINGS = (
    RoomCompositeEgressRequest(),
    RoomCompositeEgressRequest(audio_only=True, file=FILE),
    RoomCompositeEgressRequest(audio_only=True, file_outputs=[FILE, FILE]),
    RoomCompositeEgressRequest(audio_only=True, file_outputs=[FILE], layout="grid"),
    *(
        RoomCompositeEgressRequest(audio_only=True, file_outputs=[EncodedFileOutput(**output)])
        for output in (
            {"s3": S3Upload(bucket="calls", session_token="t")},
            {"s3": S3Upload(bucket="calls", assume_role_arn="arn:aws:iam::1:role/r")},
            {"gcp": GCPUpload(bucket="calls", proxy=ProxyConfig(url="http://proxy.example.com"))},
            {"aliOSS": AliOSSUpload(bucket="calls")},
        )
    ),
    RoomCompositeEgressRequest(audio_only=True, file_outputs=[EncodedFileOutput(disable_manifest=True)]),
    RoomCompositeEgressRequest(audio_only=True, stream_outputs=[StreamOutput(urls=["rtmp://live.example.com/x/y"])]),
)
"""Recordings that a spec cannot ask for."""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("include_headers", 99),
        ("media", SIPMediaConfig(media_timeout=Duration(nanos=1))),
        ("media_encryption", ALLOW),
        ("transport", 99),
    ],
)
def test_what_we_never_set_on_outbound_trunks_is_seen(field: str, value: Any) -> None:
    assert_seen(convert.OUTBOUND.to_proto(OUTBOUND), SIPOutboundTrunkInfo(**{field: value}), field, read_outbound)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("include_headers", 99),
        ("ringing_timeout", Duration(nanos=1)),
        ("max_call_duration", Duration(nanos=1)),
        ("media", SIPMediaConfig(media_timeout=Duration(nanos=1))),
        ("media_encryption", ALLOW),
        ("media_encryption", 99),
    ],
)
def test_what_we_never_set_on_inbound_trunks_is_seen(field: str, value: Any) -> None:
    assert_seen(convert.INBOUND.to_proto(INBOUND), SIPInboundTrunkInfo(**{field: value}), field, read_inbound)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inbound_numbers", ["+1"]),
        ("numbers", ["+1"]),
        ("metadata", "m"),
        ("room_preset", "preset"),
        ("krisp_enabled", True),
        ("media_encryption", ALLOW),
        ("media", SIPMediaConfig(encryption=DISABLE)),
        ("rule", SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(pin="1"))),
        ("rule", SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(no_randomness=True))),
        ("rule", SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name="room"))),
        ("rule", SIPDispatchRule(dispatch_rule_callee=SIPDispatchRuleCallee(room_prefix="call-"))),
        ("room_config", RoomConfiguration(name="room")),
        ("room_config", RoomConfiguration(min_playout_delay=1)),
        ("room_config", RoomConfiguration(egress=RoomEgress(tracks=AutoTrackEgress(filepath="f")))),
        *(("room_config", RoomConfiguration(egress=RoomEgress(room=request))) for request in FOREIGN_RECORDINGS),
    ],
)
def test_what_we_never_set_on_rules_is_seen(field: str, value: Any) -> None:
    assert_seen(convert.RULE.to_proto(RULE), SIPDispatchRuleInfo(**{field: value}), field, read_rule)


def assert_seen(
    ours: _Info, foreign: _Info, field: str, read: Callable[[_Info], OutboundTrunk | InboundTrunk | DispatchRule]
) -> None:
    before = read(ours)
    ours.MergeFrom(foreign)
    after = read(ours)
    assert after != before
    assert after.extra == (field,)


def test_keys_of_a_storage_are_read_as_digests_only() -> None:
    info = convert.RULE.to_proto(RULE)
    file = info.room_config.egress.room.file_outputs.add(filepath="calls/")
    file.s3.CopyFrom(S3Upload(bucket="acme-calls", access_key="AKIAEXAMPLE", secret="storage-key"))
    rule = read_rule(info)
    assert rule.recording_storage == {"type": "s3", "bucket": "acme-calls"}
    assert (rule.recording_access_key, rule.recording_secret) == (MASK("AKIAEXAMPLE"), MASK("storage-key"))
    assert "AKIAEXAMPLE" not in repr(rule)
    assert "storage-key" not in repr(rule)


def test_a_newer_setting_of_a_storage_is_seen() -> None:
    info = convert.RULE.to_proto(replace(RULE, recording=SOUND, recording_storage={"type": "s3", "bucket": "calls"}))
    info.room_config.egress.room.file_outputs[0].s3.MergeFromString(b"\xfa\x3f\x01x")
    assert "unknown" in read_rule(info).extra


@pytest.mark.parametrize("lists", [True, False])
def test_whether_a_missing_key_is_not_set_or_not_listed(lists: bool) -> None:  # noqa: FBT001 - a parameter
    info = convert.RULE.to_proto(replace(RULE, recording=SOUND, recording_storage={"type": "gcs", "bucket": "calls"}))
    assert convert.RULE.from_proto(info, MASK, lists_passwords=lists).password_listed == lists
    for rule in (RULE, replace(RULE, recording=SOUND)):
        assert convert.RULE.from_proto(convert.RULE.to_proto(rule), MASK, lists_passwords=lists).password_listed


def test_a_recording_of_a_version_without_storages_is_in_step() -> None:
    """Version 0.1 and its successor wrote a rule without a storage; an upgrade must not replace it."""
    own = replace(RULE, recording=SOUND, recording_path="calls/")
    stored = convert.RULE.to_proto(RULE)
    stored.room_config.egress.room.CopyFrom(RoomCompositeEgressRequest(audio_only=True, file_outputs=[FILE]))
    assert read_rule(stored) == own
    assert convert.RULE.to_proto(own) == stored


def test_a_header_that_repeats_the_user_name_is_read_as_a_credential() -> None:
    info = SIPOutboundTrunkInfo(auth_username="trunk-user", headers={"X-Login": "trunk-user", "X-Team": "sales"})
    trunk = convert.OUTBOUND.from_proto(info, MASK)
    assert trunk.headers == {"X-Login": trunk.username, "X-Team": "sales"}
    assert "trunk-user" not in repr(trunk)


def test_an_empty_header_of_a_trunk_without_user_name_is_no_credential() -> None:
    trunk = convert.OUTBOUND.from_proto(SIPOutboundTrunkInfo(headers={"X-Empty": ""}), MASK)
    assert trunk.headers == {"X-Empty": ""}


def test_codecs_are_written_in_the_parts_that_livekit_has() -> None:
    for info in (
        convert.OUTBOUND.to_proto(replace(OUTBOUND, codecs=("PCMU", "opus/48000"))),
        convert.INBOUND.to_proto(replace(INBOUND, codecs=("PCMU", "opus/48000"))),
    ):
        assert [(each.name, each.rate) for each in info.media.codecs] == [("PCMU", 0), ("opus", 48_000)]


@pytest.mark.parametrize("trunk", [OUTBOUND, INBOUND], ids=["outbound", "inbound"])
def test_a_trunk_of_a_version_without_the_optional_fields_is_in_step(trunk: OutboundTrunk | InboundTrunk) -> None:
    """Version 0.1 wrote no field but these; its trunks must not be replaced by an upgrade."""
    if isinstance(trunk, OutboundTrunk):
        known: Any = {"name": "out", "metadata": "{}", "address": "sip.example.com", "transport": 3}
        stored: Any = SIPOutboundTrunkInfo(**known, numbers=trunk.numbers, media_encryption=REQUIRE)
        stored.media.encryption = REQUIRE
        assert read_outbound(stored) == trunk
    else:
        stored = SIPInboundTrunkInfo(name="in", metadata="{}", numbers=trunk.numbers, media_encryption=REQUIRE)
        stored.media.encryption = REQUIRE
        assert read_inbound(stored) == trunk


@pytest.mark.parametrize("agent", [0, 1])
def test_other_settings_of_an_agent_are_seen(agent: int) -> None:
    info = convert.RULE.to_proto(replace(RULE, additional_agents=("second",)))
    info.room_config.agents[agent].attributes["a"] = "b"
    assert read_rule(info).extra == ("room_config",)


def test_agents_with_different_metadata_are_seen() -> None:
    info = convert.RULE.to_proto(replace(RULE, additional_agents=("second",)))
    info.room_config.agents[1].metadata = "another"
    assert read_rule(info).extra == ("room_config",)


def test_every_agent_gets_the_same_metadata() -> None:
    info = convert.RULE.to_proto(replace(RULE, additional_agents=("second", "third")))
    told = [(agent.agent_name, agent.metadata) for agent in info.room_config.agents]
    assert told == [("agent", "{}"), ("second", "{}"), ("third", "{}")]


@given(rules)
def test_a_room_of_its_own_settings_shows_no_other_setting(rule: DispatchRule) -> None:
    """What a rule has is read from the message alone: a second write of what was read gives the same message."""
    sent = convert.RULE.to_proto(rule)
    assert convert.RULE.to_proto(read_rule(sent)) == sent


def test_a_rule_without_a_kind_is_not_ours() -> None:
    info = convert.RULE.to_proto(RULE)
    info.ClearField("rule")
    assert read_rule(info).extra == ("rule",)


UNKNOWN_FIELD = b"\xa2\x06\x01x"  # field 100, the text "x"


@pytest.mark.parametrize("inside", ["", "rule", "room_config"])
def test_fields_of_a_newer_protocol_are_seen_on_rules(inside: str) -> None:
    info = convert.RULE.to_proto(RULE)
    (getattr(info, inside) if inside else info).MergeFromString(UNKNOWN_FIELD)
    assert read_rule(info).extra == ("unknown",)


def test_fields_of_a_newer_protocol_are_seen_in_a_codec() -> None:
    info = convert.OUTBOUND.to_proto(replace(OUTBOUND, codecs=("PCMU",)))
    info.media.codecs[0].MergeFromString(UNKNOWN_FIELD)
    assert read_outbound(info).extra == ("unknown",)


@pytest.mark.parametrize("inside", ["", "media"])
def test_fields_of_a_newer_protocol_are_seen_on_trunks(inside: str) -> None:
    inbound, outbound = convert.INBOUND.to_proto(INBOUND), convert.OUTBOUND.to_proto(OUTBOUND)
    for info in (inbound, outbound):
        (getattr(info, inside) if inside else info).MergeFromString(UNKNOWN_FIELD)
    assert read_inbound(inbound).extra == read_outbound(outbound).extra == ("unknown",)


@pytest.mark.parametrize("field", SIPOutboundTrunkInfo.DESCRIPTOR.fields_by_name)
def test_every_field_of_an_outbound_trunk_makes_a_difference(field: str) -> None:
    """A new field in livekit-protocol must show up here, not slip through; likewise below."""
    assert_different(SIPOutboundTrunkInfo(), field, read_outbound)


@pytest.mark.parametrize("field", SIPInboundTrunkInfo.DESCRIPTOR.fields_by_name)
def test_every_field_of_an_inbound_trunk_makes_a_difference(field: str) -> None:
    assert_different(SIPInboundTrunkInfo(), field, read_inbound)


@pytest.mark.parametrize("field", SIPDispatchRuleInfo.DESCRIPTOR.fields_by_name)
def test_every_field_of_a_rule_makes_a_difference(field: str) -> None:
    assert_different(SIPDispatchRuleInfo(), field, read_rule)


def assert_different(
    info: _Info, field: str, read: Callable[[_Info], OutboundTrunk | InboundTrunk | DispatchRule]
) -> None:
    before = read(info)
    populate(info, field)
    is_bookkeeping = field in {"sip_trunk_id", "sip_dispatch_rule_id", "created_at", "updated_at"}
    assert (read(info) == before) is is_bookkeeping


def populate(message: Message, name: str) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    samples: dict[str, Any] = {
        "ringing_timeout": Duration(seconds=1),
        "max_call_duration": Duration(seconds=1),
        "media": SIPMediaConfig(encryption=ALLOW),
        "created_at": Timestamp(seconds=1),
        "updated_at": Timestamp(seconds=1),
        "rule": SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="x")),
        "room_config": RoomConfiguration(agents=[RoomAgentDispatch(agent_name="x")]),
    }
    if name in samples:
        getattr(message, name).CopyFrom(samples[name])
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, name)["x"] = "y"
    elif field.is_repeated:
        getattr(message, name).append("x")
    else:
        setattr(message, name, "x" if field.cpp_type == field.CPPTYPE_STRING else 1)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (SIPOutboundTrunkInfo(), "Disabled"),
        (SIPOutboundTrunkInfo(media=SIPMediaConfig()), "Disabled"),
        (SIPOutboundTrunkInfo(media=SIPMediaConfig(encryption=DISABLE)), "Disabled"),
        (SIPOutboundTrunkInfo(media=SIPMediaConfig(encryption=REQUIRE)), "Required"),
        (SIPOutboundTrunkInfo(media_encryption=ALLOW), "Allowed"),
        (SIPOutboundTrunkInfo(media_encryption=ALLOW, media=SIPMediaConfig()), "Allowed"),
        (SIPOutboundTrunkInfo(media_encryption=ALLOW, media=SIPMediaConfig(encryption=ALLOW)), "Allowed"),
    ],
)
def test_media_encryption_is_read_as_livekit_reads_it(info: SIPOutboundTrunkInfo, expected: str) -> None:
    trunk = read_outbound(info)
    assert trunk.media_encryption == expected
    assert trunk.extra == ()


@pytest.mark.parametrize(("old", "new"), [(ALLOW, REQUIRE), (REQUIRE, DISABLE)])
def test_contradicting_media_encryption_is_a_difference(old: SIPMediaEncryption, new: SIPMediaEncryption) -> None:
    trunk = read_outbound(SIPOutboundTrunkInfo(media_encryption=old, media=SIPMediaConfig(encryption=new)))
    assert trunk.extra == ("media_encryption",)


@pytest.mark.parametrize("encryption", ["Disabled", "Allowed", "Required"])
def test_both_encryption_fields_are_always_sent(encryption: str) -> None:
    for info in (
        convert.OUTBOUND.to_proto(replace(OUTBOUND, media_encryption=encryption)),
        convert.INBOUND.to_proto(replace(INBOUND, media_encryption=encryption)),
    ):
        assert info.media.HasField("encryption")
        assert info.media.encryption == info.media_encryption


def test_an_empty_media_on_a_rule_is_nothing() -> None:
    info = convert.RULE.to_proto(RULE)
    info.media.SetInParent()
    assert read_rule(info) == RULE


@pytest.mark.parametrize(
    ("username", "password", "lists_passwords", "listed"),
    [
        ("user", "", True, True),
        ("user", "", False, False),
        ("user", "pass", False, True),
        ("", "", False, True),
    ],
)
def test_a_password_that_is_not_listed_is_told_from_none(
    *, username: str, password: str, lists_passwords: bool, listed: bool
) -> None:
    outbound = SIPOutboundTrunkInfo(auth_username=username, auth_password=password)
    inbound = SIPInboundTrunkInfo(auth_username=username, auth_password=password)
    assert read_outbound(outbound, lists_passwords=lists_passwords).password_listed is listed
    assert read_inbound(inbound, lists_passwords=lists_passwords).password_listed is listed


def test_a_credential_without_text_is_refused_by_name() -> None:
    digest = Masked("0123456789abcdef")
    with pytest.raises(ValueError, match=r"^username:") as refused:
        convert.OUTBOUND.to_proto(replace(OUTBOUND, username=digest))
    assert "0123" not in str(refused.value)
    with pytest.raises(ValueError, match=r"^password:"):
        convert.INBOUND.to_proto(replace(INBOUND, password=digest))
    with pytest.raises(ValueError, match=r"^headers\[X-Telnyx-Username\]:"):
        convert.OUTBOUND.to_proto(replace(OUTBOUND, headers={"X-Telnyx-Username": digest}))


def test_reading_keeps_no_text() -> None:
    sent = replace(
        OUTBOUND, username=MASK("us3r"), password=MASK("s3cret"), headers={"X-Telnyx-Username": MASK("us3r")}
    )
    read = read_outbound(convert.OUTBOUND.to_proto(sent))
    assert read == sent
    assert credential_texts(sent) == ["us3r", "s3cret", "us3r"]
    assert credential_texts(read) == []
    for trunk in (sent, read):
        assert "s3cret" not in repr(trunk)
        assert "us3r" not in repr(trunk)
