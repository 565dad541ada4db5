"""Converts LiveKit's protobuf messages to values of `core.trunk` and back; only here stand LiveKit's field names.

A written message is complete, because LiveKit replaces whole objects; the ID stands in the request, beside the message.
A value that was read never has the text of a credential. Its `extra` names the fields that are set in LiveKit and that
our value does not have, so that a change of such a field counts as drift too. `unknown` says which of them are settings
that a replace may carry over (`remainder`).

Each field is one `Row`. The type of its attribute decides how the field is converted and whether it is a credential
(`core.trunk.FIELDS`). A field that is not a plain text, list or flag in LiveKit has a `FieldForm` of its own. Fields
of one inner message are a `Group`. Messages: livekit/protocol `protobufs/livekit_sip.proto`.
"""

import re
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo, SIPOutboundTrunkInfo

from ..api.built_in_carriers import CREDENTIAL_HEADERS
from ..core.fields import FIELDS, SECRET, WITHHELD, WITHHELD_WITH, Shape, credentials
from ..core.trunk import DispatchRule, InboundTrunk, Kind, Mask, Masked, OutboundTrunk, SipObject, UnknownFields
from . import forms
from .forms import FieldForm, Group, digest
from .remainder import UNKNOWN, Parts, Remainder
from .room_config import ROOM_CONFIG

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""A usable ID. LiveKit's IDs are like `ST_4fEsJ2PbsEvk`. Others do not fit into the status or an annotation."""

_BOOKKEEPING = frozenset({"created_at", "updated_at"})
"""Fields that have no effect on calls."""

_Object = TypeVar("_Object", bound=SipObject)
_Info = TypeVar("_Info", bound=Message)


class Row(NamedTuple):
    """One field: `attribute` of our value, `field` of LiveKit's message.

    `form`: the conversion; None where the type of the attribute decides it.
    """

    attribute: str
    field: str
    form: FieldForm | None = None

    @property
    def attributes(self) -> tuple[str, ...]:
        """As in `Group`."""
        return (self.attribute,)

    @property
    def parts(self) -> tuple[str, ...]:
        """As in `Group`."""
        return (self.form.parts if self.form else ()) or (self.field,)


_Beside = Callable[[_Info, Mask, set[str]], object]
"""Reads an attribute that is not compared. Adds to the set the fields with settings that our value does not have."""


class Conversion(Generic[_Object, _Info]):
    """Both conversions of one kind. All look-ups are made once, because a sweep reads thousands of objects."""

    def __init__(
        self,
        of: type[_Object],
        info: type[_Info],
        id_field: str,
        fields: tuple[Row | Group, ...],
        beside: Mapping[str, _Beside[_Info]] = MappingProxyType({}),
        never_kept: tuple[str, ...] = (),
    ) -> None:
        """`beside`: how attributes that are not compared are read.

        `never_kept`: fields that the operator never sets and no replace carries over, because they decide which calls
        come in, or contradict a field of the API. Raises ValueError if a field has neither a row nor a group.
        """
        rows = [each for each in fields if isinstance(each, Row)]
        shapes = {each.attribute: each.shape for each in FIELDS[of.kind]}
        if sorted(shapes) != sorted(attribute for each in fields for attribute in each.attributes):
            raise ValueError(f"the rows of {of.__name__} are not its fields")
        self.info = info
        self.kind: Kind = of.kind
        self.id_of: Callable[[_Info], str] = attrgetter(id_field)
        self._message: Callable[..., _Info] = info
        self._of: Callable[..., _Object] = of
        self._withheld, self._withheld_with = WITHHELD[of.kind], WITHHELD_WITH[of.kind]
        self._beside = tuple(beside.items())
        self._groups = [each for each in fields if isinstance(each, Group)]
        self._forms = [(row.attribute, row.field, row.form) for row in rows if row.form is not None]
        plain = [row for row in rows if row.form is None]
        self._attributes, self._fields = [row.attribute for row in plain], [row.field for row in plain]
        self._values_of, self._raw_of = attrgetter(*self._attributes), attrgetter(*self._fields)
        secret = [(row, shapes[row.attribute]) for row in plain if shapes[row.attribute] in SECRET]
        self._writers = [(row.field, _WRITERS[shape]) for row, shape in secret]
        self._maskers = [(row.attribute, _MASKERS[shape]) for row, shape in secret]
        self._copiers = [
            (row.attribute, _COPIERS[shapes[row.attribute]]) for row in plain if shapes[row.attribute] in _COPIERS
        ]
        also = {name for _, _, form in self._forms for name in form.also}
        named = {id_field, *_BOOKKEEPING, *also, *(each.field for each in fields)}
        # The set has the field descriptors, because a comparison of names takes twice as long.
        self._named = frozenset(field for field in info.DESCRIPTOR.fields if field.name in named)
        decided = (path for each in fields for path in each.parts)
        self._parts = Parts(info, (id_field, *_BOOKKEEPING, *never_kept, *decided))

    def to_proto(self, sip_object: _Object, remainder: Remainder | None = None) -> _Info:
        """The message, without its ID. Raises ValueError with the field's name if a credential has no text.

        `remainder`: what the message carries over from the object that it replaces, None for nothing.
        """
        demand_texts(sip_object)
        values = dict(zip(self._fields, self._values_of(sip_object), strict=True))
        for field, write in self._writers:
            values[field] = write(values[field])
        info = self._message(**values)
        for attribute, field, form in self._forms:
            form.write(info, field, getattr(sip_object, attribute))
        for group in self._groups:
            group.write(info, sip_object)
        if remainder is not None:
            self._parts.carry_over(remainder, info)
        return info

    def remainder(self, info: _Info) -> Remainder:
        """What a message has beside our fields, without what no replace carries over."""
        return self._parts.remainder(info)

    def from_proto(self, info: _Info, mask: Mask, *, lists_passwords: bool = True) -> _Object:
        """The value of a listed object. `lists_passwords`: whether an empty password means that none is set."""
        extra: set[str] = set()
        values = self._read(info, mask, extra)
        if not lists_passwords:
            listed = any(values.get(each) for each in self._withheld)
            values["password_listed"] = listed or not any(values.get(each) for each in self._withheld_with)
        names = tuple(sorted(extra)) if extra else ()
        unknown = self._behind(info, mask) if extra else None
        return self._of(**values, id=usable_id(self.id_of(info)), extra=names, unknown=unknown)

    def _behind(self, info: _Info, mask: Mask) -> UnknownFields:
        """What is behind the names in `extra`. What is noted without the remainder too is in our own fields."""
        contradicting: set[str] = set()
        self._read(self._parts.own(info), mask, contradicting)
        return UnknownFields(self._parts.settings(info), tuple(sorted(contradicting)))

    def _read(self, info: _Info, mask: Mask, extra: set[str]) -> dict[str, Any]:
        """The values of the attributes. Adds the names of fields with other settings to `extra`."""
        named = self._named
        extra.update([field.name for field, _ in info.ListFields() if field not in named])
        if len(UnknownFieldSet(info)):
            extra.add(UNKNOWN)
        values = dict(zip(self._attributes, self._raw_of(info), strict=True))
        for attribute, copy in self._copiers:
            values[attribute] = copy(values[attribute])
        username = values.get("username", "")
        for attribute, masked in self._maskers:
            values[attribute] = masked(values[attribute], mask, username)
        for attribute, field, form in self._forms:
            values[attribute] = form.read(info, field, extra)
        for group in self._groups:
            group.read(info, values, extra, mask)
        for attribute, read in self._beside:
            values[attribute] = read(info, mask, extra)
        return values


def usable_id(text: str) -> str:
    """The ID if it has the form of LiveKit's IDs, else an empty string."""
    return text if _ID.fullmatch(text) else ""


def credential_texts(sip_object: SipObject) -> list[str]:
    """The texts of an object's credentials, which must not appear in any message."""
    return [each.text.get_secret_value() for _, each in credentials(sip_object) if each.text is not None]


def demand_texts(sip_object: SipObject) -> None:
    """Raises ValueError, with the name of the field, if only the digest of a credential is known."""
    for place, credential in credentials(sip_object):
        if credential.text is None:
            raise ValueError(f"{place}: only a digest is known, its text is needed to write it")


# Conversions by the shape of an attribute


def _text(credential: Masked | None) -> str:
    return credential.text.get_secret_value() if credential is not None and credential.text is not None else ""


def _texts(pairs: Mapping[str, str | Masked]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else _text(value) for name, value in pairs.items()}


def _digest(text: str, mask: Mask, _username: str) -> Masked | None:
    return digest(text, mask)


def _with_digests(pairs: Mapping[str, str], mask: Mask, username: str) -> dict[str, str | Masked]:
    """The headers. One that repeats the trunk's user name holds a credential, whatever it is called."""
    return {
        name: mask.bare(value) if name.lower() in CREDENTIAL_HEADERS or (value and value == username) else value
        for name, value in pairs.items()
    }


_WRITERS: Mapping[Shape, Callable[[Any], object]] = {
    Shape.CREDENTIAL: _text,
    Shape.PAIRS_WITH_CREDENTIALS: _texts,
}
"""How credentials are written."""

_MASKERS: Mapping[Shape, Callable[[Any, Mask, str], object]] = {
    Shape.CREDENTIAL: _digest,
    Shape.PAIRS_WITH_CREDENTIALS: _with_digests,
}
"""How credentials are read: from the value, the mask and the user name of the trunk."""

_COPIERS: Mapping[Shape, Callable[[Any], object]] = {Shape.TEXTS: tuple, Shape.PAIRS: dict}
"""How LiveKit's containers are read. Values of other shapes are read and written without a conversion."""


# The three kinds

OUTBOUND = Conversion(
    OutboundTrunk,
    SIPOutboundTrunkInfo,
    "sip_trunk_id",
    (
        Row("name", "name"),
        Row("metadata", "metadata"),
        Row("address", "address"),
        Row("transport", "transport", forms.TRANSPORT),
        Row("numbers", "numbers"),
        Row("username", "auth_username"),
        Row("password", "auth_password"),
        Row("headers", "headers"),
        Row("headers_to_attributes", "headers_to_attributes"),
        Row("attributes_to_headers", "attributes_to_headers"),
        Row("include_headers", "include_headers", forms.INCLUDED_HEADERS),
        Row("media_encryption", "media_encryption", forms.ENCRYPTION),
        Row("codecs", "media", forms.CODECS),
        Row("only_listed_codecs", "media", forms.ONLY_LISTED_CODECS),
        Row("media_timeout_s", "media", forms.MEDIA_TIMEOUT),
        Row("from_host", "from_host"),
        Row("destination_country", "destination_country"),
    ),
)
INBOUND = Conversion(
    InboundTrunk,
    SIPInboundTrunkInfo,
    "sip_trunk_id",
    (
        Row("name", "name"),
        Row("metadata", "metadata"),
        Row("numbers", "numbers"),
        Row("allowed_addresses", "allowed_addresses"),
        Row("allowed_numbers", "allowed_numbers"),
        Row("username", "auth_username"),
        Row("password", "auth_password"),
        Row("headers_to_attributes", "headers_to_attributes"),
        Row("attributes_to_headers", "attributes_to_headers"),
        Row("include_headers", "include_headers", forms.INCLUDED_HEADERS),
        Row("response_headers", "headers"),
        Row("realm", "auth_realm"),
        Row("ringing_timeout_s", "ringing_timeout", forms.SECONDS),
        Row("ringing_status", "ringing_timeout_status"),
        Row("max_call_duration_s", "max_call_duration", forms.SECONDS),
        Row("noise_cancellation", "krisp_enabled"),
        Row("media_encryption", "media_encryption", forms.ENCRYPTION),
        Row("codecs", "media", forms.CODECS),
        Row("only_listed_codecs", "media", forms.ONLY_LISTED_CODECS),
        Row("media_timeout_s", "media", forms.MEDIA_TIMEOUT),
    ),
)
RULE = Conversion(
    DispatchRule,
    SIPDispatchRuleInfo,
    "sip_dispatch_rule_id",
    (
        Row("name", "name"),
        Row("trunk_ids", "trunk_ids"),
        Row("room_prefix", "rule", forms.ROOM),
        Row("attributes", "attributes"),
        Row("hide_caller_number", "hide_phone_number"),
        ROOM_CONFIG,
    ),
    {"selection": forms.selection},
    # `media` and `media_encryption` would override those of the trunk; the numbers say for which calls the rule is.
    never_kept=("inbound_numbers", "numbers", "media", "media_encryption"),
)
