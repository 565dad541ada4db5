"""LiveKit's protobuf messages to values of `core.trunk` and back; nothing else knows LiveKit's field names.

Writing fills a message completely, because LiveKit is always given whole objects; the ID is left out, it travels
beside the message. Reading never keeps the text of a credential, and names in `extra` whatever is set in LiveKit
that our value has no word for, so that a foreign change to such a field is a difference too.
Messages: livekit/protocol `protobufs/livekit_sip.proto`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

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

from ..core.carriers import CREDENTIAL_HEADERS
from ..core.ownership import owner_of, parse_mark
from ..core.trunk import DispatchRule, InboundTrunk, Mask, Masked, OutboundTrunk, SipObject

# What is kept of an object that anybody may have made: more than we ever write, so that what is cut differs from ours.
MAX_NAME = 640
MAX_METADATA = 4096
MAX_FOREIGN_METADATA = 512
MAX_TEXT = 1024
MAX_HEADERS = 64
MAX_ENTRIES = 256
MAX_NUMBERS = 10_000
"""Numbers of one inbound trunk that are known; of the others LiveKit itself says whether they conflict."""

_CUT = "…"
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
    extra = _unnamed(info, _OUTBOUND_FIELDS) | _media_extra(info) | _unknown(info, info.media)
    if info.transport not in _TRANSPORT_NAMES:
        extra.add("transport")
    return OutboundTrunk(
        id=usable_id(info.sip_trunk_id),
        name=_kept(info.name, MAX_NAME),
        metadata=_kept_metadata(info.metadata),
        address=_kept(info.address),
        transport=_TRANSPORT_NAMES.get(info.transport, "AUTO"),
        numbers=_entries(info.numbers),
        username=_digest(info.auth_username, mask),
        password=_digest(info.auth_password, mask),
        headers=_read_headers(info.headers, mask),
        media_encryption=_encryption(info),
        from_host=_kept(info.from_host),
        destination_country=_kept(info.destination_country),
        extra=tuple(sorted(extra)),
        password_listed=_password_listed(info, lists_passwords=lists_passwords),
    )


def inbound_from_proto(info: SIPInboundTrunkInfo, mask: Mask, *, lists_passwords: bool) -> InboundTrunk:
    """The value of a listed inbound trunk; `lists_passwords`: an empty password means that none is set."""
    extra = _unnamed(info, _INBOUND_FIELDS) | _media_extra(info)
    extra |= _unknown(info, info.media, info.ringing_timeout, info.max_call_duration)
    # Our durations are whole seconds.
    extra |= {name for name in ("ringing_timeout", "max_call_duration") if getattr(info, name).nanos}
    return InboundTrunk(
        id=usable_id(info.sip_trunk_id),
        name=_kept(info.name, MAX_NAME),
        metadata=_kept_metadata(info.metadata),
        numbers=_entries(info.numbers, MAX_NUMBERS),
        allowed_addresses=_entries(info.allowed_addresses),
        allowed_numbers=_entries(info.allowed_numbers),
        username=_digest(info.auth_username, mask),
        password=_digest(info.auth_password, mask),
        headers_to_attributes={
            _kept(name): _kept(value) for name, value in islice(info.headers_to_attributes.items(), MAX_HEADERS)
        },
        ringing_timeout_s=info.ringing_timeout.seconds,
        max_call_duration_s=info.max_call_duration.seconds,
        noise_cancellation=info.krisp_enabled,
        media_encryption=_encryption(info),
        extra=tuple(sorted(extra)),
        password_listed=_password_listed(info, lists_passwords=lists_passwords),
    )


def rule_from_proto(info: SIPDispatchRuleInfo) -> DispatchRule:
    """The value of a listed dispatch rule; `extra` holds `rule` if it is not the plain individual kind."""
    individual = info.rule.dispatch_rule_individual
    agents = info.room_config.agents
    agent = agents[0] if agents else RoomAgentDispatch()
    extra = _unnamed(info, _RULE_FIELDS) | _unknown(info, info.rule, individual, info.media, info.room_config, *agents)
    if not info.rule.HasField("dispatch_rule_individual") or individual.pin or individual.no_randomness:
        extra.add("rule")
    if len(agents) > 1 or _unnamed(info.room_config, {"agents"}) or _unnamed(agent, _AGENT_FIELDS):
        extra.add("room_config")
    # A create adds an empty `media` by itself.
    if info.media.ListFields():
        extra.add("media")
    rule = DispatchRule(
        id=usable_id(info.sip_dispatch_rule_id),
        name=_kept(info.name, MAX_NAME),
        trunk_ids=_entries(info.trunk_ids),
        room_prefix=_kept(individual.room_prefix),
        agent_name=_kept(agent.agent_name),
        agent_metadata=agent.metadata,
        extra=tuple(sorted(extra)),
    )
    if len(rule.agent_metadata) <= MAX_FOREIGN_METADATA or owner_of(rule) is not None:
        return rule
    return replace(rule, agent_metadata=_kept(rule.agent_metadata, MAX_FOREIGN_METADATA))


def usable_id(text: str) -> str:
    """An ID as LiveKit makes them; empty for any other text: such an object can be seen, but not named."""
    return text if _ID.fullmatch(text) else ""


def _kept(text: str, most: int = MAX_TEXT) -> str:
    return text if len(text) <= most else text[:most] + _CUT


def _kept_metadata(metadata: str) -> str:
    """Metadata, cut where it is longer than a mark of ours can be; whose it is stays."""
    if len(metadata) <= MAX_FOREIGN_METADATA:
        return metadata
    mark = parse_mark(metadata)
    if mark is None:
        return _kept(metadata, MAX_FOREIGN_METADATA)
    # The blank: a mark that somebody filled up is not as we wrote it, and is written anew.
    return metadata if len(metadata) <= MAX_METADATA else mark.dump() + " "


def _entries(values: Sequence[str], most: int = MAX_ENTRIES) -> tuple[str, ...]:
    """The entries of a list; one that was cut ends with an ellipsis, so that it is equal to none of ours."""
    more = (_CUT,) if len(values) > most else ()
    return (*(_kept(value) for value in values[:most]), *more)


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
        _kept(name): Masked(mask(value).digest) if name.lower() in CREDENTIAL_HEADERS else _kept(value)
        for name, value in islice(headers.items(), MAX_HEADERS)
    }


def _duration(seconds: int) -> Duration | None:
    return Duration(seconds=seconds) if seconds else None


def _encryption(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo) -> str:
    chosen = info.media.encryption if info.media.HasField("encryption") else info.media_encryption
    return _ENCRYPTION_NAMES.get(chosen, "Disabled")


def _media_extra(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo) -> set[str]:
    """What `_encryption` does not tell: other settings of media, values it does not know, two that contradict."""
    extra = set()
    if _unnamed(info.media, {"encryption"}) or info.media.encryption not in _ENCRYPTION_NAMES:
        extra.add("media")
    # The old field at 0 is unset: LiveKit then takes `media` alone (livekit/protocol `livekit/sip.go`, `UpgradeWith`).
    old_contradicts = info.media.HasField("encryption") and info.media_encryption not in (0, info.media.encryption)
    if old_contradicts or info.media_encryption not in _ENCRYPTION_NAMES:
        extra.add("media_encryption")
    return extra


def _password_listed(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, *, lists_passwords: bool) -> bool:
    return lists_passwords or bool(info.auth_password) or not info.auth_username


def _unnamed(message: Message, named: Iterable[str]) -> set[str]:
    return {field.name for field, _ in message.ListFields()}.difference(named)


def _unknown(*messages: Message) -> set[str]:
    """`unknown` if any of the messages holds fields that our version of the protocol does not have."""
    return {"unknown"} if any(len(UnknownFieldSet(message)) for message in messages) else set()
