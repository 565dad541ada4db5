"""Conversions for the fields whose type in LiveKit's messages differs from the type in our values.

If a message has settings that our value does not have, the name of LiveKit's field goes into `extra`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.protocol.sip import (
    SIPDispatchRuleInfo,
    SIPHeaderOptions,
    SIPInboundTrunkInfo,
    SIPMediaEncryption,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

from ..core.trunk import OUR_SELECTION, Mask, Masked, RoomForm, Selection

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

_INCLUDED = {
    "": SIPHeaderOptions.SIP_NO_HEADERS,
    "XHeaders": SIPHeaderOptions.SIP_X_HEADERS,
    "All": SIPHeaderOptions.SIP_ALL_HEADERS,
}
_INCLUDED_NAMES = {value: name for name, value in _INCLUDED.items()}


class FieldForm(NamedTuple):
    """How a field is written and read whose type in LiveKit differs from the type in our value.

    `write`: sets a field of a message to our value. `read`: returns our value of a field of a message, and adds to the
    set the names of fields with settings that our value does not have. `also`: other LiveKit fields that `read` reads.
    `parts`: what our value has of LiveKit's message, as paths such as `media.encryption`; empty: the whole field.
    """

    write: Callable[[Any, str, Any], None]
    read: Callable[[Any, str, set[str]], object]
    also: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


class Group(NamedTuple):
    """How fields are written and read that stand together in one message inside LiveKit's message.

    `attributes`: of our value. `field`: LiveKit's field with the inner message. `write`: sets it from our value.
    `read`: puts the values by attribute into the dictionary, perhaps without those that have their default, and adds to
    the set the names of fields with settings that our value does not have; the mask is for credentials. `parts`: as in
    `FieldForm`.
    """

    attributes: tuple[str, ...]
    field: str
    parts: tuple[str, ...]
    write: Callable[[Any, Any], None]
    read: Callable[[Any, dict[str, Any], set[str], Mask], None]


def _write_transport(info: SIPOutboundTrunkInfo, field: str, transport: str) -> None:
    setattr(info, field, _TRANSPORTS[transport])


def _read_transport(info: SIPOutboundTrunkInfo, field: str, extra: set[str]) -> str:
    name = _TRANSPORT_NAMES.get(info.transport)
    if name is None:
        extra.add(field)
    return name or "AUTO"


def _write_seconds(info: SIPInboundTrunkInfo, field: str, seconds: int) -> None:
    if seconds:
        getattr(info, field).seconds = seconds


def _read_seconds(info: SIPInboundTrunkInfo, field: str, extra: set[str]) -> int:
    """A duration in whole seconds; a fraction puts the field into `extra`."""
    if not info.HasField(field):
        return 0
    return _whole_seconds(getattr(info, field), field, extra)


def _whole_seconds(duration: Duration, field: str, extra: set[str]) -> int:
    if duration.nanos:
        extra.add(field)
    note_unknown(extra, duration)
    seconds: int = duration.seconds
    return seconds


def _write_encryption(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, encryption: str) -> None:
    """Sets both fields: servers before 1.13.2 know only `media_encryption`, newer ones prefer `media`."""
    info.media.encryption = info.media_encryption = _ENCRYPTIONS[encryption]


def _read_encryption(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, extra: set[str]) -> str:
    """The encryption in force. `extra` gets unknown values and two values that contradict."""
    media, old = info.media, info.media_encryption
    new, is_new = media.encryption, media.HasField("encryption")
    if new not in _ENCRYPTION_NAMES:
        extra.add("media")
    # 0 in the old field means unset: LiveKit then uses only `media` (livekit/protocol `livekit/sip.go`, `UpgradeWith`).
    if (is_new and old not in (0, new)) or old not in _ENCRYPTION_NAMES:
        extra.add("media_encryption")
    note_unknown(extra, media)
    return _ENCRYPTION_NAMES.get(new if is_new else old, "Disabled")


def _write_codecs(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, codecs: tuple[str, ...]) -> None:
    for codec in codecs:
        name, _, rate = codec.partition("/")
        info.media.codecs.add(name=name, rate=int(rate or 0))


def _read_codecs(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, extra: set[str]) -> tuple[str, ...]:
    """Each codec as `NAME`, or as `NAME/RATE` if LiveKit has a rate."""
    codecs = info.media.codecs
    if not codecs:
        return ()
    note_unknown(extra, *codecs)
    return tuple(f"{each.name}/{each.rate}" if each.rate else each.name for each in codecs)


def _write_only_listed(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, only: bool) -> None:  # noqa: FBT001 - a form's shape
    info.media.only_listed_codecs = only


def _read_only_listed(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, __: set[str]) -> bool:
    return info.media.only_listed_codecs


def _write_media_timeout(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, seconds: int) -> None:
    if seconds:
        info.media.media_timeout.seconds = seconds


def _read_media_timeout(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, field: str, extra: set[str]) -> int:
    """Whole seconds; a fraction puts `media` into `extra`."""
    if not info.media.HasField("media_timeout"):
        return 0
    return _whole_seconds(info.media.media_timeout, field, extra)


def _write_included(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, field: str, headers: str) -> None:
    setattr(info, field, _INCLUDED[headers])


def _read_included(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, field: str, extra: set[str]) -> str:
    headers = _INCLUDED_NAMES.get(info.include_headers)
    if headers is None:
        extra.add(field)
    return headers or ""


def _write_room(info: SIPDispatchRuleInfo, _: str, prefix: str) -> None:
    individual = info.rule.dispatch_rule_individual
    individual.SetInParent()
    individual.room_prefix = prefix


def _read_room(info: SIPDispatchRuleInfo, field: str, extra: set[str]) -> str:
    """The prefix of an individual room; any other kind of rule is put into `extra`."""
    individual = info.rule.dispatch_rule_individual
    if not info.rule.HasField("dispatch_rule_individual") or individual.pin or individual.no_randomness:
        extra.add(field)
    note_unknown(extra, info.rule, individual)
    return individual.room_prefix


def selection(info: SIPDispatchRuleInfo, mask: Mask, extra: set[str]) -> Selection:
    """Which calls a rule is for. `room` is empty for an individual rule, whose room `room_prefix` names."""
    if info.media.ListFields():  # a create adds an empty `media` by itself
        extra.add("media")
    note_unknown(extra, info.media)
    rule = info.rule
    match rule.WhichOneof("rule"):
        case "dispatch_rule_individual":
            form, room, pin = RoomForm.INDIVIDUAL, "", rule.dispatch_rule_individual.pin
            if not pin and not info.inbound_numbers and not info.numbers:
                return OUR_SELECTION  # thousands of rules share this value
        case "dispatch_rule_direct":
            form, room, pin = RoomForm.DIRECT, rule.dispatch_rule_direct.room_name, rule.dispatch_rule_direct.pin
        case "dispatch_rule_callee":
            form, room, pin = RoomForm.CALLEE, rule.dispatch_rule_callee.room_prefix, rule.dispatch_rule_callee.pin
        case _:
            form, room, pin = RoomForm.UNKNOWN, "", ""
    return Selection(form, room, digest(pin, mask), tuple(info.inbound_numbers), tuple(info.numbers))


def note_unknown(extra: set[str], *messages: Message) -> None:
    """Adds `unknown` to `extra` if a message has fields that our version of the protocol does not have."""
    for message in messages:
        if len(UnknownFieldSet(message)):
            extra.add("unknown")


def digest(text: str, mask: Mask) -> Masked | None:
    """The digest of a credential in one of LiveKit's lists; None for an empty text."""
    return mask.bare(text) if text else None


TRANSPORT = FieldForm(_write_transport, _read_transport)
SECONDS = FieldForm(_write_seconds, _read_seconds)
CODECS = FieldForm(_write_codecs, _read_codecs, parts=("media.codecs",))
ONLY_LISTED_CODECS = FieldForm(_write_only_listed, _read_only_listed, parts=("media.only_listed_codecs",))
MEDIA_TIMEOUT = FieldForm(_write_media_timeout, _read_media_timeout, parts=("media.media_timeout",))
INCLUDED_HEADERS = FieldForm(_write_included, _read_included)
ENCRYPTION = FieldForm(
    _write_encryption, _read_encryption, also=("media",), parts=("media.encryption", "media_encryption")
)
ROOM = FieldForm(_write_room, _read_room, also=("media",))
