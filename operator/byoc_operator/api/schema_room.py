"""The part of the spec that describes the room of a call."""

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from .schema_types import INT32, Model, Value

ADDITIONAL_AGENTS: Final = 8
"""More agents than that in a call are a mistake: each takes a worker and hears, or talks over, all others."""

MAX_ROOM_TIMEOUT_S: Final = 86_400
"""24 hours: no call lasts longer."""

MAX_PARTICIPANTS: Final = 1_000
"""A room of one call with more people is a mistake. LiveKit has no upper bound."""


class RoomSpec(Model):
    """The settings of the room. Those that are absent have LiveKit's defaults."""

    prefix: str | None = Field(
        default=None,
        max_length=64,
        description="Start of the room's name; LiveKit adds the caller's number and random letters. Empty: nothing "
        "stands before the number. Absent: the operator's setting BYOC_ROOM_PREFIX. Example: support-",
    )
    empty_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_ROOM_TIMEOUT_S,
        json_schema_extra=INT32,
        description="After how many seconds LiveKit closes a room that nobody has joined. Absent: LiveKit's default "
        "(300). Example: 30",
    )
    departure_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_ROOM_TIMEOUT_S,
        json_schema_extra=INT32,
        description="How many seconds LiveKit keeps the room after everybody has left. Absent: LiveKit's default (20). "
        "Example: 5",
    )
    max_participants: int | None = Field(
        default=None,
        ge=1,
        le=MAX_PARTICIPANTS,
        json_schema_extra=INT32,
        description="How many people may be in the room, the caller included; agents and recorders do not count. "
        "Absent: any number. Example: 3",
    )
    metadata: Value = Field(
        default="",
        description="Metadata of the room, for every participant to read, so nothing secret. Example: "
        '\'{"tenant":"acme"}\'',
    )
    tags: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="Tags of the room, at most 16; LiveKit Cloud shows them. Example: {team: support}",
    )


PLAIN_ROOM: Final = RoomSpec()
"""The room of a spec without settings of the room. All such specs share this value."""
