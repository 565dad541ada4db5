"""LiveKit's three SIP objects as plain values, in the field's words.

Equality is what drift detection and planning use: two values are equal when LiveKit would treat calls
the same. The LiveKit ID takes no part in it. Credentials take part by a keyed digest, so that a value read
back from LiveKit can be compared with a desired one without keeping a password in memory.

Each field stands here once. Its type says its shape, and whether it holds a credential (`Masked`). Its metadata says
the path that users see. `FIELDS` is the table that is made of both when this module is imported.
Names of LiveKit's own protobuf fields appear in `livekit_sip.convert` only.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum, auto
from typing import ClassVar, Self

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


Mask = Callable[[str], Masked]
"""Turns a credential's text into a `Masked` that holds digest and text."""


class Shape(Enum):
    """What a field holds, by its type."""

    TEXT = auto()
    TEXTS = auto()
    PAIRS = auto()
    NUMBER = auto()
    FLAG = auto()
    CREDENTIAL = auto()
    PAIRS_WITH_CREDENTIALS = auto()


_SHAPES: Mapping[object, Shape] = {
    str: Shape.TEXT,
    tuple[str, ...]: Shape.TEXTS,
    Mapping[str, str]: Shape.PAIRS,
    int: Shape.NUMBER,
    bool: Shape.FLAG,
    Masked | None: Shape.CREDENTIAL,
    Mapping[str, str | Masked]: Shape.PAIRS_WITH_CREDENTIALS,
}
"""The types that a field may have."""

SECRET = frozenset({Shape.CREDENTIAL, Shape.PAIRS_WITH_CREDENTIALS})
"""The shapes that hold credentials; everything that treats credentials differently asks this."""


@dataclass(frozen=True, slots=True)
class Field:
    """What is known of one field that takes part in equality.

    `path`: what users see of the field, like `outboundTrunk.address`. `always_set`: every object of ours sets it, so an
    adoption may replace it unasked. `withheld`: some servers never list it.
    """

    attribute: str
    path: str
    shape: Shape
    always_set: bool = False
    withheld: bool = False


def _told(path: str, *, always_set: bool = False, withheld: bool = False) -> Mapping[str, object]:
    """The metadata of a field; see `Field`. `path`: the part behind the kind."""
    return {"path": path, "always_set": always_set, "withheld": withheld}


@dataclass(frozen=True, slots=True)
class _Described:
    """What the three kinds share; the table of their fields tells it."""

    kind: ClassVar[Kind]

    def credentials(self) -> Iterator[tuple[str, Masked]]:
        """Each credential with the name of its place: `password`, `headers[X-Telnyx-Username]`."""
        for attribute in _SECRET[self.kind]:
            value: Masked | Mapping[str, str | Masked] | None = getattr(self, attribute)
            if isinstance(value, Masked):
                yield attribute, value
            elif value is not None:
                yield from ((f"{attribute}[{name}]", each) for name, each in value.items() if isinstance(each, Masked))

    def without_texts(self) -> Self:
        """The same object, of each credential the digest alone."""
        return replace(self, **{attribute: _bare(getattr(self, attribute)) for attribute in _SECRET[self.kind]})

    def with_texts(self, known: Mapping[str, Masked]) -> Self:
        """The same object, each credential whose digest `known` has with the text that it has there."""
        return replace(self, **{attribute: _full(getattr(self, attribute), known) for attribute in _SECRET[self.kind]})

    def with_withheld(self, known: Self) -> Self:
        """The object with what servers may not list taken from `known`, digests alone."""
        return replace(self, **{attribute: _bare(getattr(known, attribute)) for attribute in WITHHELD[self.kind]})


_Secret = Masked | Mapping[str, str | Masked] | None


def _bare(value: _Secret) -> _Secret:
    if value is None:
        return None
    if isinstance(value, Masked):
        return Masked(value.digest)
    return {name: Masked(each.digest) if isinstance(each, Masked) else each for name, each in value.items()}


def _full(value: _Secret, known: Mapping[str, Masked]) -> _Secret:
    if value is None:
        return None
    if isinstance(value, Masked):
        return known.get(value.digest, value)
    return {name: known.get(each.digest, each) if isinstance(each, Masked) else each for name, each in value.items()}


@dataclass(frozen=True, slots=True)
class OutboundTrunk(_Described):
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
class InboundTrunk(_Described):
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
class DispatchRule(_Described):
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


def _table(of: type[SipObject]) -> tuple[Field, ...]:
    """KeyError where a field has no path, or a type that no shape stands for: a new field must say both."""
    return tuple(
        Field(
            each.name,
            f"{of.kind}.{each.metadata['path']}",
            _SHAPES[each.type],
            each.metadata["always_set"],
            each.metadata["withheld"],
        )
        for each in fields(of)
        if each.compare and each.name != "extra"
    )


FIELDS: Mapping[Kind, tuple[Field, ...]] = {kind: _table(of) for kind, of in CLASSES.items()}
"""Every field that takes part in equality, `extra` left out: each name in `extra` stands for a field of its own."""


def _attributes(is_in: Callable[[Field], bool]) -> Mapping[Kind, tuple[str, ...]]:
    return {kind: tuple(each.attribute for each in table if is_in(each)) for kind, table in FIELDS.items()}


_SECRET = _attributes(lambda each: each.shape in SECRET)
WITHHELD = _attributes(lambda each: each.withheld)
"""Of each kind the attributes that some servers never list."""

CREDENTIAL_PATHS = frozenset(each.path for table in FIELDS.values() for each in table if each.shape in SECRET)
"""Paths of the fields that hold credentials."""


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
