"""LiveKit's three SIP objects as plain values, in the field's words.

Equality is what drift detection and planning use: two values are equal when LiveKit would treat calls
the same. The LiveKit ID takes no part in it. Credentials take part by a keyed digest, so that a value read
back from LiveKit can be compared with a desired one without keeping a password in memory.

Each field stands here once. Its type says its shape, and whether it holds a credential (`Masked`). Its metadata says
the path that users see. `core.fields` makes a table of both.
Names of LiveKit's own protobuf fields appear in `livekit_sip.convert` only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, Self

from pydantic import SecretStr


class Kind(StrEnum):
    """The three kinds of object, in the order in which they are created: a rule names its trunk.

    The value is the first part of a field path shown to users. `label`: what a message calls such an object.
    `id_prefix`: how LiveKit begins the IDs of this kind.
    """

    label: str
    id_prefix: str

    OUTBOUND_TRUNK = "outboundTrunk", "outbound trunk", "ST_"
    INBOUND_TRUNK = "inboundTrunk", "inbound trunk", "ST_"
    DISPATCH_RULE = "dispatchRule", "dispatch rule", "SDR_"

    def __new__(cls, path: str, label: str, id_prefix: str) -> Self:
        """A member that is a plain text, and its facts beside the text."""
        kind = str.__new__(cls, path)
        kind._value_, kind.label, kind.id_prefix = path, label, id_prefix
        return kind


CREATE_ORDER = tuple(Kind)

DELETE_ORDER = tuple(reversed(CREATE_ORDER))
"""Rules first, so that no rule names a trunk that is gone."""

DEPENDENTS: Mapping[Kind, frozenset[Kind]] = {
    Kind.OUTBOUND_TRUNK: frozenset(),
    Kind.INBOUND_TRUNK: frozenset({Kind.DISPATCH_RULE}),  # the rule names the trunk
    Kind.DISPATCH_RULE: frozenset({Kind.INBOUND_TRUNK}),  # a trunk must not go before its rule
}
"""The kinds that wait when a change of this kind fails."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A credential: compared by digest, its text present only while a run needs it.

    `digest` is keyed with a random key of this process, so it means nothing outside of it.
    `text` is None for whatever was read back or remembered.
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
        """The digest alone, for a credential that was read back."""
        ...


def _told(path: str, *, always_set: bool = False, withheld: bool = False) -> Mapping[str, object]:
    """The metadata of a field; see `core.fields.Field`. `path`: the part behind the kind."""
    return {"path": path, "always_set": always_set, "withheld": withheld}


@dataclass(frozen=True, slots=True)
class OutboundTrunk:
    """How LiveKit dials the carrier. `address` is `host` or `host:port`, `transport` one of TLS, TCP, UDP, AUTO.

    `headers`: SIP header name → value, sent on the INVITE; a header that carries the user name has a `Masked` value.
    `password` None with a `username`: none is set, or the server does not list passwords (`password_listed` False).
    `extra`: names of fields that are set in LiveKit and that we never set.
    """

    kind: ClassVar = Kind.OUTBOUND_TRUNK
    trunk_ids: ClassVar[tuple[str, ...]] = ()

    name: str = field(metadata=_told("name", always_set=True))
    metadata: str = field(metadata=_told("metadata", always_set=True))
    address: str = field(metadata=_told("address"))
    transport: str = field(metadata=_told("transport"))
    numbers: tuple[str, ...] = field(metadata=_told("numbers"))
    username: Masked | None = field(default=None, metadata=_told("username"))
    password: Masked | None = field(default=None, metadata=_told("password", withheld=True))
    headers: Mapping[str, str | Masked] = field(default_factory=dict, metadata=_told("headers"))
    media_encryption: str = field(default="Disabled", metadata=_told("mediaEncryption"))
    from_host: str = field(default="", metadata=_told("fromHost"))
    destination_country: str = field(default="", metadata=_told("destinationCountry"))
    extra: tuple[str, ...] = ()
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class InboundTrunk:
    """Which calls LiveKit accepts. `allowed_addresses` are CIDRs (empty: anyone), `allowed_numbers` E.164 callers.

    Durations are whole seconds, 0 means LiveKit's default. `extra`, `password_listed`: as in `OutboundTrunk`.
    """

    kind: ClassVar = Kind.INBOUND_TRUNK
    trunk_ids: ClassVar[tuple[str, ...]] = ()

    name: str = field(metadata=_told("name", always_set=True))
    metadata: str = field(metadata=_told("metadata", always_set=True))
    numbers: tuple[str, ...] = field(metadata=_told("numbers"))
    allowed_addresses: tuple[str, ...] = field(default=(), metadata=_told("allowedAddresses"))
    allowed_numbers: tuple[str, ...] = field(default=(), metadata=_told("allowedNumbers"))
    username: Masked | None = field(default=None, metadata=_told("username"))
    password: Masked | None = field(default=None, metadata=_told("password", withheld=True))
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict, metadata=_told("headersToAttributes"))
    ringing_timeout_s: int = field(default=0, metadata=_told("ringingTimeout"))
    max_call_duration_s: int = field(default=0, metadata=_told("maxCallDuration"))
    noise_cancellation: bool = field(default=False, metadata=_told("noiseCancellation"))
    media_encryption: str = field(default="Disabled", metadata=_told("mediaEncryption"))
    extra: tuple[str, ...] = ()
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


class Form(StrEnum):
    """Which room a dispatch rule brings a call to; UNKNOWN: a form that is newer than we are."""

    INDIVIDUAL = "Individual"
    DIRECT = "Direct"
    CALLEE = "Callee"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls a dispatch rule is for, and what decides its place among other rules.

    `room`: name or prefix of the room; `callers`, `numbers`: the only callers and called numbers, empty for any;
    `pin`: what the caller must enter, by digest.
    """

    form: Form = Form.INDIVIDUAL
    room: str = ""
    pin: Masked | None = None
    callers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


UNREADABLE = "unreadable"
"""Stands in an object's `extra` where parts of it could not be read and were left out."""

OUR_SELECTION = Selection()
"""Every call over the rule's trunks."""


@dataclass(frozen=True, slots=True)
class DispatchRule:
    """What happens with an accepted call: a room of its own (`room_prefix`), one agent with JSON metadata.

    `trunk_ids` empty means a wildcard rule: it takes calls of every trunk and of none. We never make one.
    `selection` takes no part in equality: what of it differs from ours is named in `extra`.
    A rule of ours has no numbers, and LiveKit withholds nothing of a rule.
    """

    kind: ClassVar = Kind.DISPATCH_RULE
    numbers: ClassVar[tuple[str, ...]] = ()
    password_listed: ClassVar[bool] = True

    name: str = field(metadata=_told("name", always_set=True))
    trunk_ids: tuple[str, ...] = field(metadata=_told("trunkIds", always_set=True))
    room_prefix: str = field(metadata=_told("roomPrefix"))
    agent_name: str = field(metadata=_told("agentName"))
    agent_metadata: str = field(metadata=_told("agentMetadata"))
    extra: tuple[str, ...] = ()
    selection: Selection = field(default=OUR_SELECTION, compare=False)
    id: str = field(default="", compare=False)


Trunk = OutboundTrunk | InboundTrunk
SipObject = Trunk | DispatchRule

CLASSES: Mapping[Kind, type[SipObject]] = {each.kind: each for each in (OutboundTrunk, InboundTrunk, DispatchRule)}


def kind_of(sip_object: SipObject) -> Kind:
    """The kind of a SIP object."""
    return sip_object.kind


def normalised(number: str) -> str:
    """A number as LiveKit compares it on trunks: blanks, dashes and brackets dropped, one leading plus.

    Anything with other characters stays as it is. Source: livekit/protocol `livekit/sip.go`, `NormalizeNumber`.
    """
    bare = number.removeprefix("+")
    if not bare or any(character not in "0123456789- ()" for character in bare):
        return number
    return "+" + "".join(character for character in bare if character.isdigit())
