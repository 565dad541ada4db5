"""What LiveKit has on an object and our value has no word for: named, carried over by a replace, or never kept."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo, SIPOutboundTrunkInfo
from pydantic import SecretStr

from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Masked, OutboundTrunk, SipObject, UnknownFields
from byoc_operator.livekit_sip import convert
from byoc_operator.livekit_sip.convert import Conversion
from byoc_operator.livekit_sip.remainder import Parts, Remainder

pytestmark = pytest.mark.slow

MASK = make_mask(secrets.token_bytes(32))
NEWER = b"\xf8\x3f\x2a"
"""Field 1023 with the value 42, which no version of the protocol has."""

KINDS: Mapping[type[Message], Conversion[Any, Any]] = {
    SIPOutboundTrunkInfo: convert.OUTBOUND,
    SIPInboundTrunkInfo: convert.INBOUND,
    SIPDispatchRuleInfo: convert.RULE,
}
OUTBOUND = OutboundTrunk("out", "{}", "sip.example.com", "TLS", ("+15550100000",), media_encryption="Required")
INBOUND = InboundTrunk("in", "{}", ("+15550100000",), media_encryption="Required")
RULE = DispatchRule("rule", ("ST_a",), "call-", "agent", "{}")
OURS: Mapping[type[Message], SipObject] = {
    SIPOutboundTrunkInfo: OUTBOUND,
    SIPInboundTrunkInfo: INBOUND,
    SIPDispatchRuleInfo: RULE,
}


class _Telling:
    """A mask that also keeps the texts of what was read, so that a value that was read can be written."""

    def __call__(self, text: str) -> Masked:
        return MASK(text)

    def bare(self, text: str) -> Masked:
        return Masked(MASK(text).digest, SecretStr(text))


def _scalars(descriptor: Any) -> st.SearchStrategy[Any]:
    """Values of a field that is no message, small so that they meet."""
    match descriptor.cpp_type:
        case descriptor.CPPTYPE_STRING if descriptor.type == descriptor.TYPE_BYTES:
            return st.binary(max_size=3)
        case descriptor.CPPTYPE_STRING:
            return st.sampled_from(["a", "b", "text"])
        case descriptor.CPPTYPE_BOOL:
            return st.booleans()
        case descriptor.CPPTYPE_FLOAT | descriptor.CPPTYPE_DOUBLE:
            return st.just(1.5)
        case _:
            return st.integers(0, 5)


@st.composite
def messages(draw: st.DrawFn, of: type[Message], depth: int = 4) -> Any:
    """A message with a few fields of all kinds, and with fields that are newer than the protocol, at every depth."""
    made: Any = of()
    fields: list[Any] = list(of.DESCRIPTOR.fields)
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda each: each.name)):
        if field.message_type is None:
            values = _scalars(field)
            if field.is_repeated:
                getattr(made, field.name).extend(draw(st.lists(values, max_size=2)))
            else:
                setattr(made, field.name, draw(values))
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(made, field.name)["key"] = draw(_scalars(field.message_type.fields_by_name["value"]))
        elif depth:
            part = getattr(made, field.name)
            for target in [part.add() for _ in range(2)] if field.is_repeated else [part]:
                target.CopyFrom(draw(messages(type(target), depth - 1)))
    if draw(st.booleans()):
        made.MergeFromString(NEWER)
    return made


def newer_in(message: Message) -> list[tuple[int, Any]]:
    found: Any = UnknownFieldSet(message)
    return [(each.field_number, each.data) for each in found]


def read(info: Message) -> SipObject:
    found: SipObject = KINDS[type(info)].from_proto(info, MASK)
    return found


def behind(info: Message) -> UnknownFields:
    return read(info).unknown or UnknownFields()


def over_the_wire(info: Message) -> Any:
    return type(info).FromString(info.SerializeToString())


def replaced(info: Message, wanted: SipObject) -> Any:
    """The message that replaces `info`, with its remainder."""
    conversion = KINDS[type(info)]
    return over_the_wire(conversion.to_proto(wanted, conversion.remainder(info)))


def rest_of(info: Message, agents: frozenset[str]) -> bytes:
    """The bytes of a remainder, of entries for agents only those with one of these names."""
    rest: Any = KINDS[type(info)].remainder(info).message
    if isinstance(rest, SIPDispatchRuleInfo) and rest.HasField("room_config"):
        kept = [each for each in rest.room_config.agents if each.agent_name in agents]
        del rest.room_config.agents[:]
        rest.room_config.agents.extend(kept)
        if not rest.room_config.ListFields() and not len(UnknownFieldSet(rest.room_config)):
            rest.ClearField("room_config")
    found: bytes = rest.SerializeToString(deterministic=True)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@settings(deadline=None)
@given(data=st.data())
def test_a_replace_has_our_fields_as_desired_and_all_others_as_they_were(
    kind: type[Message], data: st.DataObject
) -> None:
    before = over_the_wire(data.draw(messages(kind)))
    wanted = replace(KINDS[kind].from_proto(data.draw(messages(kind)), _Telling()), extra=(), unknown=None)
    written = replaced(before, wanted)
    found = read(written)
    assert replace(found, extra=()) == wanted
    assert (found.unknown or UnknownFields()).contradicting == ()
    agents: frozenset[str] = frozenset()
    if isinstance(written, SIPDispatchRuleInfo):
        agents = frozenset(each.agent_name for each in written.room_config.agents)
    assert rest_of(written, agents) == rest_of(before, agents)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
@settings(deadline=None)
@given(data=st.data())
def test_what_is_named_is_what_a_replace_carries_over(kind: type[Message], data: st.DataObject) -> None:
    before = data.draw(messages(kind))
    rest = KINDS[kind].remainder(before)
    named = behind(before).settings
    assert rest.settings == named
    assert bool(read(before).extra) == bool(named or behind(before).contradicting)


def with_settings(kind: type[Message]) -> Any:
    """An object of ours with a setting of each form that the API has no word for."""
    info: Any = KINDS[kind].to_proto(OURS[kind])
    info.MergeFromString(NEWER)
    if isinstance(info, SIPDispatchRuleInfo):
        info.room_preset, info.krisp_enabled = "preset", True
        info.room_config.min_playout_delay = 100
        info.room_config.MergeFromString(NEWER)
        info.room_config.agents[0].deployment = "blue"
        info.room_config.agents[0].MergeFromString(NEWER)
    else:
        info.media.MergeFromString(NEWER)
    return info


def test_settings_are_named_by_their_paths() -> None:
    assert behind(with_settings(SIPDispatchRuleInfo)) == UnknownFields(
        (
            "krisp_enabled",
            "room_config.agents.deployment",
            "room_config.agents.unknown",
            "room_config.min_playout_delay",
            "room_config.unknown",
            "room_preset",
            "unknown",
        )
    )
    for kind in (SIPInboundTrunkInfo, SIPOutboundTrunkInfo):
        assert behind(with_settings(kind)) == UnknownFields(("media.unknown", "unknown"))


def test_objects_with_the_same_settings_share_the_paths() -> None:
    first, second = (behind(with_settings(SIPDispatchRuleInfo)).settings for _ in range(2))
    assert [id(path) for path in first] == [id(path) for path in second]


def test_settings_and_fields_newer_than_the_protocol_stay_at_every_depth() -> None:
    after = replaced(with_settings(SIPDispatchRuleInfo), replace(RULE, agent_metadata='{"a": 1}', room_prefix="ring-"))
    room = after.room_config
    assert (after.room_preset, after.krisp_enabled, room.min_playout_delay) == ("preset", True, 100)
    assert [(each.agent_name, each.metadata, each.deployment) for each in room.agents] == [
        ("agent", '{"a": 1}', "blue")
    ]
    for part in (after, room, room.agents[0]):
        assert newer_in(part) == [(1023, 42)]
    assert after.rule.dispatch_rule_individual.room_prefix == "ring-"


def test_the_settings_of_an_agent_do_not_pass_to_another_agent() -> None:
    after = replaced(with_settings(SIPDispatchRuleInfo), replace(RULE, agent_name="sales"))
    assert [(each.agent_name, each.deployment) for each in after.room_config.agents] == [("sales", "")]
    assert after.room_config.min_playout_delay == 100


def test_an_own_field_that_is_taken_away_does_not_stay() -> None:
    info: Any = KINDS[SIPInboundTrunkInfo].to_proto(
        replace(INBOUND, ringing_timeout_s=30, allowed_numbers=("+15550100001",), headers_to_attributes={"X-A": "a"})
    )
    assert replaced(info, INBOUND) == KINDS[SIPInboundTrunkInfo].to_proto(INBOUND)


def _pin(info: Any) -> None:
    info.rule.dispatch_rule_individual.pin = "1234"


def _direct(info: Any) -> None:
    info.rule.dispatch_rule_direct.room_name = "lobby"


def _callers(info: Any) -> None:
    info.inbound_numbers.append("+15550100001")


def _called(info: Any) -> None:
    info.numbers.append("+15550100001")


def _media(info: Any) -> None:
    info.media.encryption = 1


def _old_encryption(info: Any) -> None:
    info.media_encryption = 1


def _newer_room_form(info: Any) -> None:
    info.rule.Clear()
    info.rule.MergeFromString(NEWER)


def _second_agent(info: Any) -> None:
    info.room_config.agents.add(agent_name="listener")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (_pin, "rule"),
        (_direct, "rule"),
        (_callers, "inbound_numbers"),
        (_called, "numbers"),
        (_media, "media"),
        (_old_encryption, "media_encryption"),
        (_newer_room_form, "rule"),
        (_second_agent, "room_config"),
    ],
)
def test_what_decides_who_calls_in_and_who_answers_never_stays(change: Any, name: str) -> None:
    info: Any = KINDS[SIPDispatchRuleInfo].to_proto(RULE)
    change(info)
    assert name in behind(info).contradicting
    assert behind(info).settings == ()
    assert replaced(info, RULE) == KINDS[SIPDispatchRuleInfo].to_proto(RULE)


@pytest.mark.parametrize("kind", [SIPInboundTrunkInfo, SIPOutboundTrunkInfo])
def test_an_encryption_that_nobody_knows_never_stays(kind: type[Message]) -> None:
    info: Any = KINDS[kind].to_proto(OURS[kind])
    info.media.encryption = 7
    assert behind(info).contradicting == ("media", "media_encryption")
    assert replaced(info, OURS[kind]) == KINDS[kind].to_proto(OURS[kind])


def test_a_recording_that_no_spec_asks_for_never_stays_and_the_other_egress_does() -> None:
    info: Any = KINDS[SIPDispatchRuleInfo].to_proto(RULE)
    info.room_config.egress.room.file_outputs.add().s3.tagging = "somebody's"
    info.room_config.egress.tracks.filepath = "tracks/"
    assert behind(info).contradicting == ("room_config",)
    assert behind(info).settings == ("room_config.egress.tracks",)
    after: Any = replaced(info, RULE)
    assert not after.room_config.egress.HasField("room")
    assert after.room_config.egress.tracks.filepath == "tracks/"


def test_a_remainder_shows_nothing_of_its_content_and_knows_all_its_texts() -> None:
    info: Any = KINDS[SIPDispatchRuleInfo].to_proto(RULE)
    info.room_config.egress.tracks.s3.secret = "storage-key"
    info.MergeFromString(b"\xfa\x3f\x0d\x0a\x0bnewer-key-1")
    rest = KINDS[SIPDispatchRuleInfo].remainder(info)
    assert "key" not in repr(rest)
    assert {"storage-key", "newer-key-1"} <= set(rest.texts())
    assert list(Remainder().texts()) == []


def test_a_part_needs_a_field_and_an_entry_needs_a_key() -> None:
    for path in ("media.nothing", "media.codecs.name"):
        with pytest.raises(KeyError):
            Parts(SIPInboundTrunkInfo, (path,))
