"""Converts LiveKit's `RoomConfiguration` of a dispatch rule: the agents of a call and the settings of its room.

Most rules have one agent and no settings. They are read without a look at the single settings, because a sweep reads
thousands of rules. Messages: livekit/protocol `protobufs/livekit_room.proto`, `livekit_agent_dispatch.proto`,
`livekit_egress.proto`.
"""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import SIPDispatchRuleInfo

from ..core.trunk import DispatchRule, Mask
from .forms import Group, note_unknown
from .recording import RECORDING, inner_messages, read_recording, write_recording

_FIELD: Final = "room_config"

_SETTINGS: Final = {
    "empty_timeout_s": "empty_timeout",
    "departure_timeout_s": "departure_timeout",
    "max_participants": "max_participants",
    "room_metadata": "metadata",
}
"""Attributes of our value and LiveKit's fields, for settings that are a number or a text."""

_ROOM_FIELDS = frozenset(
    RoomConfiguration.DESCRIPTOR.fields_by_name[name] for name in ("agents", "tags", "egress", *_SETTINGS.values())
)
_PARTS: Final = ("agents.agent_name", "agents.metadata", "tags", "egress.room", *_SETTINGS.values())
_NOBODY: Final = RoomAgentDispatch()
_Fields = Sequence[tuple[FieldDescriptor, Any]]
_AGENT_FIELDS = frozenset(RoomAgentDispatch.DESCRIPTOR.fields_by_name[name] for name in ("agent_name", "metadata"))


def _write(info: SIPDispatchRuleInfo, rule: DispatchRule) -> None:
    room = info.room_config
    for name in (rule.agent_name, *rule.additional_agents):
        room.agents.add(agent_name=name, metadata=rule.agent_metadata)
    for attribute, field in _SETTINGS.items():
        setattr(room, field, getattr(rule, attribute))
    room.tags.update(rule.room_tags)
    if rule.recording:
        write_recording(room.egress, rule)


def _read(info: SIPDispatchRuleInfo, values: dict[str, Any], extra: set[str], mask: Mask) -> None:
    """The agents and settings of the room. `extra` gets other settings, and further agents with other metadata."""
    room = info.room_config
    agents = room.agents
    first = agents[0] if agents else _NOBODY
    values["agent_name"], values["agent_metadata"] = first.agent_name, first.metadata
    if _has_more(first):
        extra.add(_FIELD)
    fields = room.ListFields()
    if len(fields) > 1 or len(agents) != 1:
        _read_more(room, fields, values, extra, mask)
    note_unknown(extra, room, first)


def _read_more(room: RoomConfiguration, fields: _Fields, values: dict[str, Any], extra: set[str], mask: Mask) -> None:
    """Further agents, and the settings. `fields`: those of the room that are set."""
    more = room.agents[1:]
    values["additional_agents"] = tuple(agent.agent_name for agent in more)
    values.update((attribute, getattr(room, field)) for attribute, field in _SETTINGS.items())
    values["room_tags"] = dict(room.tags)
    if room.HasField("egress"):
        if not read_recording(room.egress, values, mask):
            extra.add(_FIELD)
        note_unknown(extra, *inner_messages(room.egress))
    others = not _ROOM_FIELDS.issuperset([field for field, _ in fields])
    if others or any(_has_more(agent) or agent.metadata != values["agent_metadata"] for agent in more):
        extra.add(_FIELD)
    note_unknown(extra, *more)


def _has_more(agent: RoomAgentDispatch) -> bool:
    """Whether an agent has settings beside name and metadata."""
    return not _AGENT_FIELDS.issuperset([field for field, _ in agent.ListFields()])


ROOM_CONFIG: Final = Group(
    ("agent_name", "agent_metadata", "additional_agents", *_SETTINGS, "room_tags", *RECORDING),
    _FIELD,
    tuple(f"{_FIELD}.{path}" for path in _PARTS),
    _write,
    _read,
)
