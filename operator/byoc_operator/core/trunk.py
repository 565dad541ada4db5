"""LiveKit's three SIP objects as plain values, in the field's words.

Equality is what drift detection and planning use: two values are equal when LiveKit would treat calls
the same. The LiveKit ID takes no part in it. Credentials take part by a keyed digest, so that a value read
back from LiveKit can be compared with a desired one without keeping a password in memory.
Names of LiveKit's own protobuf fields appear in `livekit_sip.convert` only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr


class Kind(StrEnum):
    """The three kinds of object; the value is the first part of a field path shown to users."""

    OUTBOUND_TRUNK = "outboundTrunk"
    INBOUND_TRUNK = "inboundTrunk"
    DISPATCH_RULE = "dispatchRule"


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


Mask = Callable[[str], Masked]
"""Turns a credential's text into a `Masked` that holds digest and text."""


@dataclass(frozen=True, slots=True)
class OutboundTrunk:
    """How LiveKit dials the carrier. `address` is `host` or `host:port`, `transport` one of TLS, TCP, UDP, AUTO.

    `headers`: SIP header name → value, sent on the INVITE; a header that carries the user name has a `Masked` value.
    `password` None with a `username`: none is set, or the server does not list passwords (`password_listed` False).
    `extra`: names of fields that are set in LiveKit and that we never set.
    """

    name: str
    metadata: str
    address: str
    transport: str
    numbers: tuple[str, ...]
    username: Masked | None = None
    password: Masked | None = None
    headers: Mapping[str, str | Masked] = field(default_factory=dict)
    media_encryption: str = "Disabled"
    from_host: str = ""
    destination_country: str = ""
    extra: tuple[str, ...] = ()
    password_listed: bool = field(default=True, compare=False)
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class InboundTrunk:
    """Which calls LiveKit accepts. `allowed_addresses` are CIDRs (empty: anyone), `allowed_numbers` E.164 callers.

    Durations are whole seconds, 0 means LiveKit's default. `extra`, `password_listed`: as in `OutboundTrunk`.
    """

    name: str
    metadata: str
    numbers: tuple[str, ...]
    allowed_addresses: tuple[str, ...] = ()
    allowed_numbers: tuple[str, ...] = ()
    username: Masked | None = None
    password: Masked | None = None
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict)
    ringing_timeout_s: int = 0
    max_call_duration_s: int = 0
    noise_cancellation: bool = False
    media_encryption: str = "Disabled"
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
    """Which calls a dispatch rule is for, and what its place among others hangs on.

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
    """

    name: str
    trunk_ids: tuple[str, ...]
    room_prefix: str
    agent_name: str
    agent_metadata: str
    extra: tuple[str, ...] = ()
    selection: Selection = field(default=OUR_SELECTION, compare=False)
    id: str = field(default="", compare=False)


SipObject = OutboundTrunk | InboundTrunk | DispatchRule


def kind_of(sip_object: SipObject) -> Kind:
    """The kind of a SIP object."""
    match sip_object:
        case OutboundTrunk():
            return Kind.OUTBOUND_TRUNK
        case InboundTrunk():
            return Kind.INBOUND_TRUNK
        case DispatchRule():
            return Kind.DISPATCH_RULE


def normalised(number: str) -> str:
    """A number as LiveKit compares it on trunks: blanks, dashes and brackets dropped, one leading plus.

    Anything with other characters stays as it is. Source: livekit/protocol `livekit/sip.go`, `NormalizeNumber`.
    """
    bare = number.removeprefix("+")
    if not bare or any(character not in "0123456789- ()" for character in bare):
        return number
    return "+" + "".join(character for character in bare if character.isdigit())
