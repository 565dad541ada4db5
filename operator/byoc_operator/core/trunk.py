"""LiveKit's three SIP objects as plain values.

Two values are equal when LiveKit treats calls in the same way; drift detection and planning compare values. The LiveKit
ID is not compared. Credentials are compared by a keyed digest, so that no password stays in memory.

Each field is defined here once. Its type says its shape and whether it holds a credential (`Masked`). Its metadata has
the path that users see. `core.fields` makes a table of both. Only `livekit_sip.convert` has the names of LiveKit's
protobuf fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Protocol, Self, TypeVar

from pydantic import SecretStr


class Kind(StrEnum):
    """The three kinds of LiveKit object, in the order of creation: a rule names its trunk, so it comes last.

    The value is the first part of the paths that users see. `label`: the name of the kind in messages. `id_prefix`: the
    prefix of LiveKit's IDs of this kind.
    """

    label: str
    id_prefix: str

    OUTBOUND_TRUNK = "outboundTrunk", "outbound trunk", "ST_"
    INBOUND_TRUNK = "inboundTrunk", "inbound trunk", "ST_"
    DISPATCH_RULE = "dispatchRule", "dispatch rule", "SDR_"

    def __new__(cls, path: str, label: str, id_prefix: str) -> Self:
        """A member whose value is its path, with label and prefix as attributes."""
        kind = str.__new__(cls, path)
        kind._value_, kind.label, kind.id_prefix = path, label, id_prefix
        return kind


CREATE_ORDER = tuple(Kind)

DELETE_ORDER = tuple(reversed(CREATE_ORDER))
"""Rules come first, so that no rule names a trunk that is gone."""

DEPENDENTS: Mapping[Kind, frozenset[Kind]] = {
    Kind.OUTBOUND_TRUNK: frozenset(),
    Kind.INBOUND_TRUNK: frozenset({Kind.DISPATCH_RULE}),  # the rule names the trunk
    Kind.DISPATCH_RULE: frozenset({Kind.INBOUND_TRUNK}),  # a trunk must not be deleted before its rule
}
"""The kinds that wait when a change of this kind fails."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A credential, which is compared by digest and has its text only while a run needs the text.

    `digest`: keyed with a random key of this process, so it has no meaning elsewhere. `text`: None for a credential
    that was read from LiveKit or is kept in memory.
    """

    digest: str
    text: SecretStr | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return "Masked(***)"


class Mask(Protocol):
    """Turns a credential's text into a `Masked`."""

    def __call__(self, text: str) -> Masked:
        """Digest and text, for a credential that may have to be written."""
        ...

    def bare(self, text: str) -> Masked:
        """The digest only, for a credential that was read from LiveKit."""
        ...


def _shown_as(path: str, *, always_set: bool = False, withheld_with: str = "") -> Mapping[str, object]:
    """The metadata of a field; see `core.fields.Field`. `path`: the part behind the kind."""
    return {"path": path, "always_set": always_set, "withheld_with": withheld_with}


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """What is behind the names in an object's `extra`: paths as in LiveKit's messages, sorted, never a value.

    `settings`: what the API has no word for, such as `room_preset`; a replace may carry it over.
    `contradicting`: what says something else than any object of ours, such as `rule` for a rule with a PIN; it never
    stays.
    """

    settings: tuple[str, ...] = ()
    contradicting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboundTrunk:
    """How LiveKit places calls at the carrier. `address`: `host` or `host:port`. `transport`: TLS, TCP, UDP or AUTO.

    `headers`: SIP headers of the INVITE, name to value; a header with the user name has a `Masked` value. `password`:
    None if none is set, or if the server does not list passwords (`password_listed` is then False). `include_headers`:
    XHeaders, All or empty. `codecs`: `NAME` or `NAME/RATE`. `media_timeout_s`: whole seconds, 0 for LiveKit's default.
    `extra`: names of fields that are set in LiveKit and that the operator never sets. `unknown`: what is behind them;
    None: all of them contradict ours.
    """

    kind: ClassVar = Kind.OUTBOUND_TRUNK
    trunk_ids: ClassVar[tuple[str, ...]] = ()

    name: str = field(metadata=_shown_as("name", always_set=True))
    metadata: str = field(metadata=_shown_as("metadata", always_set=True))
    address: str = field(metadata=_shown_as("address"))
    transport: str = field(metadata=_shown_as("transport"))
    numbers: tuple[str, ...] = field(metadata=_shown_as("numbers"))
    username: Masked | None = field(default=None, metadata=_shown_as("username"))
    password: Masked | None = field(default=None, metadata=_shown_as("password", withheld_with="username"))
    headers: Mapping[str, str | Masked] = field(default_factory=dict, metadata=_shown_as("headers"))
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("headersToAttributes"))
    attributes_to_headers: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("attributesToHeaders"))
    include_headers: str = field(default="", metadata=_shown_as("includeHeaders"))
    media_encryption: str = field(default="Disabled", metadata=_shown_as("mediaEncryption"))
    codecs: tuple[str, ...] = field(default=(), metadata=_shown_as("media.codecs"))
    only_listed_codecs: bool = field(default=False, metadata=_shown_as("media.onlyListedCodecs"))
    media_timeout_s: int = field(default=0, metadata=_shown_as("media.mediaTimeout"))
    from_host: str = field(default="", metadata=_shown_as("fromHost"))
    destination_country: str = field(default="", metadata=_shown_as("destinationCountry"))
    extra: tuple[str, ...] = ()
    unknown: UnknownFields | None = field(default=None, compare=False)
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class InboundTrunk:
    """Which calls LiveKit accepts. `allowed_addresses`: CIDRs. `allowed_numbers`: callers. Both are empty for any.

    Durations are whole seconds; 0 means LiveKit's default, also for `ringing_status`, a SIP status. `response_headers`:
    SIP headers of the 200 OK. The other fields: as in `OutboundTrunk`.
    """

    kind: ClassVar = Kind.INBOUND_TRUNK
    trunk_ids: ClassVar[tuple[str, ...]] = ()

    name: str = field(metadata=_shown_as("name", always_set=True))
    metadata: str = field(metadata=_shown_as("metadata", always_set=True))
    numbers: tuple[str, ...] = field(metadata=_shown_as("numbers"))
    allowed_addresses: tuple[str, ...] = field(default=(), metadata=_shown_as("allowedAddresses"))
    allowed_numbers: tuple[str, ...] = field(default=(), metadata=_shown_as("allowedNumbers"))
    username: Masked | None = field(default=None, metadata=_shown_as("username"))
    password: Masked | None = field(default=None, metadata=_shown_as("password", withheld_with="username"))
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("headersToAttributes"))
    attributes_to_headers: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("attributesToHeaders"))
    include_headers: str = field(default="", metadata=_shown_as("includeHeaders"))
    response_headers: Mapping[str, str | Masked] = field(default_factory=dict, metadata=_shown_as("responseHeaders"))
    realm: str = field(default="", metadata=_shown_as("authRealm"))
    ringing_timeout_s: int = field(default=0, metadata=_shown_as("ringingTimeout"))
    ringing_status: int = field(default=0, metadata=_shown_as("ringingTimeoutStatus"))
    max_call_duration_s: int = field(default=0, metadata=_shown_as("maxCallDuration"))
    noise_cancellation: bool = field(default=False, metadata=_shown_as("noiseCancellation"))
    media_encryption: str = field(default="Disabled", metadata=_shown_as("mediaEncryption"))
    codecs: tuple[str, ...] = field(default=(), metadata=_shown_as("media.codecs"))
    only_listed_codecs: bool = field(default=False, metadata=_shown_as("media.onlyListedCodecs"))
    media_timeout_s: int = field(default=0, metadata=_shown_as("media.mediaTimeout"))
    extra: tuple[str, ...] = ()
    unknown: UnknownFields | None = field(default=None, compare=False)
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


class RoomForm(StrEnum):
    """How a dispatch rule chooses the room of a call; UNKNOWN: in a way that is newer than the operator."""

    INDIVIDUAL = "Individual"
    DIRECT = "Direct"
    CALLEE = "Callee"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls a dispatch rule is for, and what decides its rank among other rules.

    `room`: name or prefix of the room. `callers`, `numbers`: the only callers and called numbers, empty for any. `pin`:
    the digest of the PIN that the caller must enter, None for none.
    """

    form: RoomForm = RoomForm.INDIVIDUAL
    room: str = ""
    pin: Masked | None = None
    callers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


UNREADABLE = "unreadable"
"""The entry in an object's `extra` that says that fields of the object could not be read and were left out."""

OUR_SELECTION = Selection()
"""The selection of the operator's rules: every call over the rule's trunks."""


_NO_STORAGE: Mapping[str, str] = MappingProxyType({})
"""Most rules share this value: a map for each takes memory."""

SOUND = "Sound"
VIDEO = "SoundAndVideo"


@dataclass(frozen=True, slots=True)
class DispatchRule:
    """What LiveKit does with an accepted call: a room of its own (`room_prefix`) and agents.

    `trunk_ids`: empty for a rule that takes the calls of every trunk and of none; the operator never creates one.
    `agent_metadata`: JSON, the same for all agents. `attributes`: of the caller. Timeouts are whole seconds. 0 means
    LiveKit's default, for `max_participants` any number.
    `recording`: what is recorded, empty for nothing; the other fields of the recording are then empty too.
    `recording_storage`: the storage as `type` (`s3`, `gcs`, `azure`) and its settings by their names in the spec; empty
    for that of the egress service. `recording_access_key`: of S3 only. `recording_secret`: the secret access key of S3,
    the service account key of Google, the account key of Azure. Both are as `password` in `OutboundTrunk`.
    `selection`: not compared, because `extra` names the settings that differ from ours. A rule of ours has no numbers.
    """

    kind: ClassVar = Kind.DISPATCH_RULE
    numbers: ClassVar[tuple[str, ...]] = ()

    name: str = field(metadata=_shown_as("name", always_set=True))
    trunk_ids: tuple[str, ...] = field(metadata=_shown_as("trunkIds", always_set=True))
    room_prefix: str = field(metadata=_shown_as("roomPrefix"))
    agent_name: str = field(metadata=_shown_as("agentName"))
    agent_metadata: str = field(metadata=_shown_as("agentMetadata"))
    additional_agents: tuple[str, ...] = field(default=(), metadata=_shown_as("additionalAgents"))
    attributes: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("attributes"))
    hide_caller_number: bool = field(default=False, metadata=_shown_as("hideCallerNumber"))
    empty_timeout_s: int = field(default=0, metadata=_shown_as("room.emptyTimeout"))
    departure_timeout_s: int = field(default=0, metadata=_shown_as("room.departureTimeout"))
    max_participants: int = field(default=0, metadata=_shown_as("room.maxParticipants"))
    room_metadata: str = field(default="", metadata=_shown_as("room.metadata"))
    room_tags: Mapping[str, str] = field(default_factory=dict, metadata=_shown_as("room.tags"))
    recording: str = field(default="", metadata=_shown_as("recording"))
    recording_path: str = field(default="", metadata=_shown_as("recording.path"))
    recording_storage: Mapping[str, str] = field(
        default_factory=lambda: _NO_STORAGE, metadata=_shown_as("recording.storage")
    )
    recording_access_key: Masked | None = field(
        default=None, metadata=_shown_as("recording.accessKeyId", withheld_with="recording_storage")
    )
    recording_secret: Masked | None = field(
        default=None, metadata=_shown_as("recording.secret", withheld_with="recording_storage")
    )
    extra: tuple[str, ...] = ()
    unknown: UnknownFields | None = field(default=None, compare=False)
    selection: Selection = field(default=OUR_SELECTION, compare=False)
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


Trunk = OutboundTrunk | InboundTrunk
SipObject = Trunk | DispatchRule

_Object = TypeVar("_Object", bound=SipObject)

CLASSES: Mapping[Kind, type[SipObject]] = {each.kind: each for each in (OutboundTrunk, InboundTrunk, DispatchRule)}


def kind_of(sip_object: SipObject) -> Kind:
    """The kind of a SIP object."""
    return sip_object.kind


def kept_settings(sip_object: SipObject) -> tuple[str, ...]:
    """The paths of the settings that a replace may carry over."""
    return () if sip_object.unknown is None else sip_object.unknown.settings


def contradicting(sip_object: SipObject) -> tuple[str, ...]:
    """The names in `extra` of fields that say something else than any object of ours."""
    return sip_object.extra if sip_object.unknown is None else sip_object.unknown.contradicting


def partly_unreadable(sip_object: _Object) -> _Object:
    """An object of which fields were left out, because they could not be read."""
    unknown = UnknownFields(kept_settings(sip_object), (*contradicting(sip_object), UNREADABLE))
    return replace(sip_object, extra=(*sip_object.extra, UNREADABLE), unknown=unknown)


def normalised(number: str) -> str:
    """A number as LiveKit compares it on trunks: without blanks, dashes and brackets, with one leading plus.

    A text with other characters is returned unchanged. Source: livekit/protocol `livekit/sip.go`, `NormalizeNumber`.
    """
    bare = number.removeprefix("+")
    if not bare or any(character not in "0123456789- ()" for character in bare):
        return number
    return "+" + "".join(character for character in bare if character.isdigit())
