"""The parts of the spec that calls in and calls out have in common: media, and which SIP headers become attributes."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from .schema_types import ATOMIC, INT32, Codec, Model

MAX_MEDIA_TIMEOUT_S = 600
"""LiveKit refuses a longer one (livekit/protocol `livekit/sip.go`, `MaxSIPMediaTimeout`)."""


class IncludeHeaders(StrEnum):
    """Which SIP headers become attributes without being named."""

    NONE = "None"
    X_HEADERS = "XHeaders"
    ALL = "All"


class MediaSpec(Model):
    """How audio travels, in both directions."""

    codecs: tuple[Codec, ...] | None = Field(
        default=None,
        max_length=16,
        json_schema_extra=ATOMIC,
        description="Codecs that LiveKit offers and accepts beside its own, at least one, each by its name in SDP and "
        "its clock rate in Hz; PCMU, PCMA, G722, AMR-WB and opus need no rate. Absent: LiveKit's own only. Example: "
        "[PCMU, G722, opus]",
    )
    only_listed_codecs: bool = Field(
        default=False,
        description="Whether `codecs` stands in place of LiveKit's own codecs. A call without a codec in common fails.",
    )
    media_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_MEDIA_TIMEOUT_S,
        json_schema_extra=INT32,
        description="After how many seconds without audio from the other side a call is ended. Absent: LiveKit's "
        "default. Example: 30",
    )


PLAIN_MEDIA: Final = MediaSpec()
"""The media of a spec without settings of media. All such specs share this value."""
