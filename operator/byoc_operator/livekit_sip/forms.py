"""Conversions for the fields whose type in LiveKit's messages differs from the type in our values.

If a message has settings that our value does not have, the name of LiveKit's field goes into `extra`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.sip import (
    SIPDispatchRuleInfo,
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
    duration = getattr(info, field)
    if duration.nanos:
        extra.add(field)
    _note_unknown(extra, duration)
    seconds: int = duration.seconds
    return seconds


def _write_encryption(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, encryption: str) -> None:
    """Sets both fields: servers before 1.13.2 know only `media_encryption`, newer ones prefer `media`."""
    info.media.encryption = info.media_encryption = _ENCRYPTIONS[encryption]


def _read_encryption(info: SIPOutboundTrunkInfo | SIPInboundTrunkInfo, _: str, extra: set[str]) -> str:
    """The encryption in force. `extra` gets other settings of media, unknown values, and two values that contradict."""
    media, old = info.media, info.media_encryption
    new, is_new = media.encryption, media.HasField("encryption")
    if len(media.ListFields()) > is_new or new not in _ENCRYPTION_NAMES:
        extra.add("media")
    # 0 in the old field means unset: LiveKit then uses only `media` (livekit/protocol `livekit/sip.go`, `UpgradeWith`).
    if (is_new and old not in (0, new)) or old not in _ENCRYPTION_NAMES:
        extra.add("media_encryption")
    _note_unknown(extra, media)
    return _ENCRYPTION_NAMES.get(new if is_new else old, "Disabled")


def _write_room(info: SIPDispatchRuleInfo, _: str, prefix: str) -> None:
    individual = info.rule.dispatch_rule_individual
    individual.SetInParent()
    individual.room_prefix = prefix


def _read_room(info: SIPDispatchRuleInfo, field: str, extra: set[str]) -> str:
    """The prefix of an individual room; any other kind of rule is put into `extra`."""
    individual = info.rule.dispatch_rule_individual
    if not info.rule.HasField("dispatch_rule_individual") or individual.pin or individual.no_randomness:
        extra.add(field)
    _note_unknown(extra, info.rule, individual)
    return individual.room_prefix


def _agent_written(info: SIPDispatchRuleInfo) -> RoomAgentDispatch:
    agents = info.room_config.agents
    return agents[0] if agents else agents.add()


def _write_agent_name(info: SIPDispatchRuleInfo, _: str, name: str) -> None:
    _agent_written(info).agent_name = name


def _write_agent_metadata(info: SIPDispatchRuleInfo, _: str, metadata: str) -> None:
    _agent_written(info).metadata = metadata


def _read_agent_name(info: SIPDispatchRuleInfo, field: str, extra: set[str]) -> str:
    """The name of the first agent; more agents and other settings of the room are put into `extra`."""
    room = info.room_config
    agents = room.agents
    if len(agents) > 1 or len(room.ListFields()) > bool(agents) or (agents and _has_more(agents[0])):
        extra.add(field)
    _note_unknown(extra, room, *agents)
    return agents[0].agent_name if agents else ""


def _read_agent_metadata(info: SIPDispatchRuleInfo, _: str, __: set[str]) -> str:
    agents = info.room_config.agents
    return agents[0].metadata if agents else ""


def selection(info: SIPDispatchRuleInfo, mask: Mask, extra: set[str]) -> Selection:
    """Which calls a rule is for. `room` is empty for an individual rule, whose room `room_prefix` names."""
    if info.media.ListFields():  # a create adds an empty `media` by itself
        extra.add("media")
    _note_unknown(extra, info.media)
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


_AGENT_FIELDS = frozenset(RoomAgentDispatch.DESCRIPTOR.fields_by_name[name] for name in ("agent_name", "metadata"))


def _has_more(agent: RoomAgentDispatch) -> bool:
    """Whether an agent has settings beside name and metadata."""
    return not _AGENT_FIELDS.issuperset([field for field, _ in agent.ListFields()])


def _note_unknown(extra: set[str], *messages: Message) -> None:
    """Adds `unknown` to `extra` if a message has fields that our version of the protocol does not have."""
    for message in messages:
        if len(UnknownFieldSet(message)):
            extra.add("unknown")


def digest(text: str, mask: Mask) -> Masked | None:
    """The digest of a credential in one of LiveKit's lists; None for an empty text."""
    return mask.bare(text) if text else None


TRANSPORT = FieldForm(_write_transport, _read_transport)
SECONDS = FieldForm(_write_seconds, _read_seconds)
ENCRYPTION = FieldForm(
    _write_encryption, _read_encryption, also=("media",), parts=("media.encryption", "media_encryption")
)
ROOM = FieldForm(_write_room, _read_room, also=("media",))
AGENT_NAME = FieldForm(_write_agent_name, _read_agent_name, parts=("room_config.agents.agent_name",))
AGENT_METADATA = FieldForm(_write_agent_metadata, _read_agent_metadata, parts=("room_config.agents.metadata",))
