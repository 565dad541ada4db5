"""LiveKit's protobuf messages to values of `core.trunk` and back; nothing else knows LiveKit's field names.

Writing fills a message completely, because LiveKit is always given whole objects; the ID is left out, it travels
beside the message. Reading never keeps the text of a credential, and names in `extra` whatever is set in LiveKit
that our value has no word for, so that a foreign change to such a field is a difference too.
Messages: livekit/protocol `protobufs/livekit_sip.proto`.
"""

import re
from collections.abc import Mapping
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPMediaConfig,
    SIPMediaEncryption,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

from ..api.carriers import CREDENTIAL_HEADERS
from ..core.trunk import (
    OUR_SELECTION,
    DispatchRule,
    Form,
    InboundTrunk,
    Mask,
    Masked,
    OutboundTrunk,
    Selection,
    SipObject,
)

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""LiveKit's own are like `ST_4fEsJ2PbsEvk`. Others fit in no status and in no list of an annotation."""

_TRANSPORTS = {
    "AUTO": SIPTransport.SIP_TRANSPORT_AUTO,
    "UDP": SIPTransport.SIP_TRANSPORT_UDP,
    "TCP": SIPTransport.SIP_TRANSPORT_TCP,
    "TLS": SIPTransport.SIP_TRANSPORT_TLS,
}
_TRANSPORT_NAMES = {value: name for name, value in _TRANSPORTS.items()}
_ENCRYPTIONS = {
    "Disabled": SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE,
    "Allowed": SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW,
    "Required": SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE,
}
_ENCRYPTION_NAMES = {value: name for name, value in _ENCRYPTIONS.items()}

# Fields that our values have a word for, and those that say nothing about calls (IDs, times).
_COMMON = frozenset({"name", "metadata", "numbers", "auth_username", "auth_password", "media", "media_encryption"})
_BOOKKEEPING = frozenset({"sip_trunk_id", "sip_dispatch_rule_id", "created_at", "updated_at"})
_OUTBOUND_FIELDS = _COMMON | _BOOKKEEPING | {"address", "transport", "headers", "from_host", "destination_country"}
_INBOUND_FIELDS = (
    _COMMON
    | _BOOKKEEPING
    | {"allowed_addresses", "allowed_numbers", "headers_to_attributes"}
    | {"ringing_timeout", "max_call_duration", "krisp_enabled"}
)
_RULE_FIELDS = _BOOKKEEPING | {"name", "trunk_ids", "rule", "room_config", "media"}
_AGENT_FIELDS = frozenset({"agent_name", "metadata"})
_ROOM_FIELDS = frozenset({"agents"})
_MEDIA_FIELDS = frozenset({"encryption"})


def outbound_to_proto(trunk: OutboundTrunk) -> SIPOutboundTrunkInfo:
    """The message for an outbound trunk, without its ID. ValueError (names the field) if a credential has no text."""
    return SIPOutboundTrunkInfo(
        name=trunk.name,
        metadata=trunk.metadata,
        address=trunk.address,
        transport=_TRANSPORTS[trunk.transport],
        numbers=trunk.numbers,
        auth_username=_text(trunk.username, "username"),
        auth_password=_text(trunk.password, "password"),
        headers={name: _header_text(name, value) for name, value in trunk.headers.items()},
        # Servers before 1.13.2 know `media_encryption` only, newer ones prefer `media`.
        media=SIPMediaConfig(encryption=_ENCRYPTIONS[trunk.media_encryption]),
        media_encryption=_ENCRYPTIONS[trunk.media_encryption],
        from_host=trunk.from_host,
        destination_country=trunk.destination_country,
    )


def inbound_to_proto(trunk: InboundTrunk) -> SIPInboundTrunkInfo:
    """The message for an inbound trunk, without its ID. ValueError (names the field) if a credential has no text."""
    return SIPInboundTrunkInfo(
        name=trunk.name,
        metadata=trunk.metadata,
        numbers=trunk.numbers,
        allowed_addresses=trunk.allowed_addresses,
        allowed_numbers=trunk.allowed_numbers,
        auth_username=_text(trunk.username, "username"),
        auth_password=_text(trunk.password, "password"),
        headers_to_attributes=trunk.headers_to_attributes,
        ringing_timeout=_duration(trunk.ringing_timeout_s),
        max_call_duration=_duration(trunk.max_call_duration_s),
        krisp_enabled=trunk.noise_cancellation,
        # Both fields, as in `outbound_to_proto`.
        media=SIPMediaConfig(encryption=_ENCRYPTIONS[trunk.media_encryption]),
        media_encryption=_ENCRYPTIONS[trunk.media_encryption],
    )


def rule_to_proto(rule: DispatchRule) -> SIPDispatchRuleInfo:
    """The message for a dispatch rule, without its ID: one room per call, one agent."""
    return SIPDispatchRuleInfo(
        name=rule.name,
        trunk_ids=rule.trunk_ids,
        rule=SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix=rule.room_prefix)),
        room_config=RoomConfiguration(
            agents=[RoomAgentDispatch(agent_name=rule.agent_name, metadata=rule.agent_metadata)],
        ),
    )


def outbound_from_proto(info: SIPOutboundTrunkInfo, mask: Mask, *, lists_passwords: bool) -> OutboundTrunk:
    """The value of a listed outbound trunk; `lists_passwords`: an empty password means that none is set."""
    media = info.media
    extra = _unnamed(info, _OUTBOUND_FIELDS) | _media_extra(media, info.media_encryption) | _unknown(info, media)
    if info.transport not in _TRANSPORT_NAMES:
        extra.add("transport")
    return OutboundTrunk(
        id=usable_id(info.sip_trunk_id),
        name=info.name,
        metadata=info.metadata,
        address=info.address,
        transport=_TRANSPORT_NAMES.get(info.transport, "AUTO"),
        numbers=tuple(info.numbers),
        username=_digest(info.auth_username, mask),
        password=_digest(info.auth_password, mask),
        headers=_read_headers(info.headers, mask),
        media_encryption=_encryption(media, info.media_encryption),
        from_host=info.from_host,
        destination_country=info.destination_country,
        extra=tuple(sorted(extra)) if extra else (),
        password_listed=_password_listed(info, lists_passwords=lists_passwords),
    )


def inbound_from_proto(info: SIPInboundTrunkInfo, mask: Mask, *, lists_passwords: bool) -> InboundTrunk:
    """The value of a listed inbound trunk; `lists_passwords`: an empty password means that none is set."""
    media = info.media
    extra = _unnamed(info, _INBOUND_FIELDS) | _media_extra(media, info.media_encryption) | _unknown(info, media)
    return InboundTrunk(
        id=usable_id(info.sip_trunk_id),
        name=info.name,
        metadata=info.metadata,
        numbers=tuple(info.numbers),
        allowed_addresses=tuple(info.allowed_addresses),
        allowed_numbers=tuple(info.allowed_numbers),
        username=_digest(info.auth_username, mask),
        password=_digest(info.auth_password, mask),
        headers_to_attributes=dict(info.headers_to_attributes),
        ringing_timeout_s=_seconds(info, "ringing_timeout", extra),
        max_call_duration_s=_seconds(info, "max_call_duration", extra),
        noise_cancellation=info.krisp_enabled,
        media_encryption=_encryption(media, info.media_encryption),
        extra=tuple(sorted(extra)) if extra else (),
        password_listed=_password_listed(info, lists_passwords=lists_passwords),
    )


def rule_from_proto(info: SIPDispatchRuleInfo, mask: Mask) -> DispatchRule:
    """The value of a listed dispatch rule; `extra` holds `rule` if it is not the plain individual kind."""
    individual = info.rule.dispatch_rule_individual
    agents = info.room_config.agents
    agent = agents[0] if agents else RoomAgentDispatch()
    extra = _unnamed(info, _RULE_FIELDS) | _unknown(info, info.rule, individual, info.media, info.room_config, *agents)
    if not info.rule.HasField("dispatch_rule_individual") or individual.pin or individual.no_randomness:
        extra.add("rule")
    if len(agents) > 1 or _unnamed(info.room_config, _ROOM_FIELDS) or _unnamed(agent, _AGENT_FIELDS):
        extra.add("room_config")
    # A create adds an empty `media` by itself.
    if info.media.ListFields():
        extra.add("media")
    return DispatchRule(
        id=usable_id(info.sip_dispatch_rule_id),
        name=info.name,
        trunk_ids=tuple(info.trunk_ids),
        room_prefix=individual.room_prefix,
        agent_name=agent.agent_name,
        agent_metadata=agent.metadata,
        extra=tuple(sorted(extra)) if extra else (),
        selection=_selection(info, mask),
    )


def usable_id(text: str) -> str:
    """An ID as LiveKit makes them; empty for any other text: such an object can be seen, but not named."""
    return text if _ID.fullmatch(text) else ""


def _selection(info: SIPDispatchRuleInfo, mask: Mask) -> Selection:
    """Which calls a rule is for. The room of an individual rule is told by `room_prefix`."""
    rule = info.rule
    direct, callee = rule.dispatch_rule_direct, rule.dispatch_rule_callee
    match rule.WhichOneof("rule"):
        case "dispatch_rule_individual":
            form, room, pin = Form.INDIVIDUAL, "", rule.dispatch_rule_individual.pin
        case "dispatch_rule_direct":
            form, room, pin = Form.DIRECT, direct.room_name, direct.pin
        case "dispatch_rule_callee":
            form, room, pin = Form.CALLEE, callee.room_prefix, callee.pin
        case _:
            form, room, pin = Form.UNKNOWN, "", ""
    selection = Selection(form, room, _digest(pin, mask), tuple(info.inbound_numbers), tuple(info.numbers))
    return OUR_SELECTION if selection == OUR_SELECTION else selection  # one value for thousands of rules


def credential_texts(sip_object: SipObject) -> list[str]:
    """The texts that an object brings to LiveKit and that must not appear in any message."""
    if isinstance(sip_object, DispatchRule):
        return []
    headers = sip_object.headers.values() if isinstance(sip_object, OutboundTrunk) else ()
    credentials = (sip_object.username, sip_object.password, *headers)
    return [
        credential.text.get_secret_value()
        for credential in credentials
        if isinstance(credential, Masked) and credential.text is not None
    ]


def remembered_password(wanted: SipObject) -> Masked | None:
    """The password that was sent, without its text, where the reply does not tell it."""
    if isinstance(wanted, DispatchRule) or wanted.password is None:
        return None
    return Masked(wanted.password.digest)


def _text(masked: Masked | None, field: str) -> str:
    if masked is None:
        return ""
    if masked.text is None:
        raise ValueError(f"{field}: only a digest is known, its text is needed to write it")
    return masked.text.get_secret_value()


def _header_text(name: str, value: str | Masked) -> str:
    return value if isinstance(value, str) else _text(value, f"headers[{name}]")


def _digest(text: str, mask: Mask) -> Masked | None:
    return Masked(mask(text).digest) if text else None


def _read_headers(headers: Mapping[str, str], mask: Mask) -> dict[str, str | Masked]:
    return {
        name: Masked(mask(value).digest) if name.lower() in CREDENTIAL_HEADERS else value
        for name, value in headers.items()
    }


def _duration(seconds: int) -> Duration | None:
    return Duration(seconds=seconds) if seconds else None


def _seconds(info: SIPInboundTrunkInfo, field: str, extra: set[str]) -> int:
    """A duration, whole seconds as ours are; what it holds beside them is put into `extra`."""
    if not info.HasField(field):
        return 0
    duration: Duration = getattr(info, field)
    if duration.nanos:
        extra.add(field)
    extra |= _unknown(duration)
    return duration.seconds


def _encryption(media: SIPMediaConfig, old: SIPMediaEncryption) -> str:
    """What is in force; `old`: the older field `media_encryption`."""
    chosen = media.encryption if media.HasField("encryption") else old
    return _ENCRYPTION_NAMES.get(chosen, "Disabled")


def _media_extra(media: SIPMediaConfig, old: SIPMediaEncryption) -> set[str]:
    """What `_encryption` does not tell: other settings of media, values it does not know, two that contradict."""
    extra, chosen = set(), media.encryption
    if _unnamed(media, _MEDIA_FIELDS) or chosen not in _ENCRYPTION_NAMES:
        extra.add("media")
    # The old field at 0 is unset: LiveKit then takes `media` alone (livekit/protocol `livekit/sip.go`, `UpgradeWith`).
    old_contradicts = media.HasField("encryption") and old not in (0, chosen)
    if old_contradicts or old not in _ENCRYPTION_NAMES:
        extra.add("media_encryption")
    return extra


def _password_listed(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, *, lists_passwords: bool) -> bool:
    return lists_passwords or bool(info.auth_password) or not info.auth_username


def _unnamed(message: Message, named: frozenset[str]) -> set[str]:
    known = _described(message.DESCRIPTOR, named)
    return {field.name for field, _ in message.ListFields() if field not in known}


@cache
def _described(descriptor: Descriptor, named: frozenset[str]) -> frozenset[FieldDescriptor]:
    """The fields themselves: to ask thousands of objects for the name of each takes twice as long."""
    return frozenset(field for field in descriptor.fields if field.name in named)


def _unknown(*messages: Message) -> set[str]:
    """`unknown` if any of the messages holds fields that our version of the protocol does not have."""
    for message in messages:
        if len(UnknownFieldSet(message)):
            return {"unknown"}
    return set()
