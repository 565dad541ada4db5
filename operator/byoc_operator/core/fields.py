"""The table of the fields of LiveKit's objects: the paths that users see, and which fields hold credentials.

It is made of the classes in `core.trunk` when this module is imported. Everything that treats all fields alike, or
credentials differently, asks this table.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from typing import Any, TypeVar

from .trunk import CLASSES, Kind, Masked, SipObject


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

_LOGIN = _attributes(lambda each: each.shape is Shape.CREDENTIAL and not each.withheld)
_LISTED = {kind: ("password_listed",) if withheld else () for kind, withheld in WITHHELD.items()}

CREDENTIAL_PATHS = frozenset(each.path for table in FIELDS.values() for each in table if each.shape in SECRET)
"""Paths of the fields that hold credentials."""


_Object = TypeVar("_Object", bound=SipObject)
_Secret = Masked | Mapping[str, str | Masked] | None


def credentials(sip_object: SipObject) -> Iterator[tuple[str, Masked]]:
    """Each credential with the name of its place: `password`, `headers[X-Telnyx-Username]`."""
    for attribute in _SECRET[sip_object.kind]:
        value: _Secret = getattr(sip_object, attribute)
        if isinstance(value, Masked):
            yield attribute, value
        elif value is not None:
            yield from ((f"{attribute}[{name}]", each) for name, each in value.items() if isinstance(each, Masked))


def _bare(value: _Secret) -> _Secret:
    if value is None:
        return None
    if isinstance(value, Masked):
        return Masked(value.digest)
    return {name: Masked(each.digest) if isinstance(each, Masked) else each for name, each in value.items()}


def without_texts(sip_object: _Object) -> _Object:
    """The same object, of each credential the digest alone."""
    return _changed(sip_object, {each: _bare(getattr(sip_object, each)) for each in _SECRET[sip_object.kind]})


def filled(sip_object: _Object, known: Mapping[str, Masked]) -> _Object:
    """The same object, each credential whose digest `known` has with the text that it has there."""
    return _changed(sip_object, {each: _full(getattr(sip_object, each), known) for each in _SECRET[sip_object.kind]})


def _full(value: _Secret, known: Mapping[str, Masked]) -> _Secret:
    if value is None:
        return None
    if isinstance(value, Masked):
        return known.get(value.digest, value)
    return {name: known.get(each.digest, each) if isinstance(each, Masked) else each for name, each in value.items()}


def without_withheld(sip_object: _Object) -> _Object:
    """The object as a server shows it that does not list what some servers withhold."""
    kind = sip_object.kind
    listed = not any(getattr(sip_object, each) for each in _LOGIN[kind])
    return _changed(sip_object, {**dict.fromkeys(WITHHELD[kind]), **dict.fromkeys(_LISTED[kind], listed)})


def with_withheld(sip_object: _Object, known: SipObject) -> _Object:
    """The object with what its server did not list as `known` has it, digests alone."""
    missing = [each for each in WITHHELD[sip_object.kind] if getattr(sip_object, each) is None]
    return _changed(sip_object, {each: _bare(getattr(known, each)) for each in missing})


def with_all_listed(sip_object: _Object) -> _Object:
    """The object of a server that withholds nothing: what is missing is not set."""
    return _changed(sip_object, dict.fromkeys(_LISTED[sip_object.kind], True))


def completed(sip_object: _Object, known: SipObject | None) -> _Object:
    """An object with what its server withholds, where `known`, of the same kind and user name, has it."""
    kind = sip_object.kind
    if known is None or known.kind is not kind or not all(getattr(known, each) for each in WITHHELD[kind]):
        return sip_object
    if any(getattr(known, each) != getattr(sip_object, each) for each in _LOGIN[kind]):
        return sip_object
    return with_all_listed(with_withheld(sip_object, known))


def _changed(sip_object: _Object, changes: dict[str, Any]) -> _Object:
    return replace(sip_object, **changes) if changes else sip_object
