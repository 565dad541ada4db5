"""The table of the fields of LiveKit's objects: the paths that users see, and the fields that hold credentials.

The table is made from the classes in `core.trunk`. Code that handles all fields, or that handles credentials
differently, uses this table.
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
"""The shapes that hold credentials."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that takes part in equality.

    `path`: the name that users see, such as `outboundTrunk.address`. `always_set`: whether every object of ours sets
    it; an adoption may then replace it without `force`. `withheld_with`: for a field that some servers never list, the
    attribute that is set wherever the field is; else empty.
    """

    attribute: str
    path: str
    shape: Shape
    always_set: bool = False
    withheld_with: str = ""

    @property
    def withheld(self) -> bool:
        """Whether some servers never list the field."""
        return bool(self.withheld_with)


def _table(of: type[SipObject]) -> tuple[Field, ...]:
    """The fields of a class. Raises KeyError if a field has no path, or a type without a shape."""
    return tuple(
        Field(
            each.name,
            f"{of.kind}.{each.metadata['path']}",
            _SHAPES[each.type],
            each.metadata["always_set"],
            each.metadata["withheld_with"],
        )
        for each in fields(of)
        if each.compare and each.name != "extra"
    )


FIELDS: Mapping[Kind, tuple[Field, ...]] = {kind: _table(of) for kind, of in CLASSES.items()}
"""Every field that takes part in equality, except `extra`, in which each name stands for a field of its own."""


def _attributes(is_in: Callable[[Field], bool]) -> Mapping[Kind, tuple[str, ...]]:
    return {kind: tuple(each.attribute for each in table if is_in(each)) for kind, table in FIELDS.items()}


_SECRET = _attributes(lambda each: each.shape in SECRET)
WITHHELD = _attributes(lambda each: each.withheld)
"""For each kind, the attributes that some servers never list."""

WITHHELD_WITH = {
    kind: tuple({each.withheld_with: None for each in table if each.withheld}) for kind, table in FIELDS.items()
}
"""For each kind, the attributes that are set wherever the withheld ones are."""

_LISTED = {kind: ("password_listed",) if withheld else () for kind, withheld in WITHHELD.items()}

CREDENTIAL_PATHS = frozenset(each.path for table in FIELDS.values() for each in table if each.shape in SECRET)
"""Paths of the fields that hold credentials."""


_Object = TypeVar("_Object", bound=SipObject)
_Secret = Masked | Mapping[str, str | Masked] | None


def credentials(sip_object: SipObject) -> Iterator[tuple[str, Masked]]:
    """Each credential with its place, such as `password` or `headers[X-Telnyx-Username]`."""
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
    """The object with only the digests of its credentials."""
    return _changed(sip_object, {each: _bare(getattr(sip_object, each)) for each in _SECRET[sip_object.kind]})


def filled(sip_object: _Object, known: Mapping[str, Masked]) -> _Object:
    """The object with the texts of its credentials, where `known` has them by digest."""
    return _changed(sip_object, {each: _full(getattr(sip_object, each), known) for each in _SECRET[sip_object.kind]})


def _full(value: _Secret, known: Mapping[str, Masked]) -> _Secret:
    if value is None:
        return None
    if isinstance(value, Masked):
        return known.get(value.digest, value)
    return {name: known.get(each.digest, each) if isinstance(each, Masked) else each for name, each in value.items()}


def without_withheld(sip_object: _Object) -> _Object:
    """The object as a server lists it that never lists the withheld fields."""
    kind = sip_object.kind
    listed = not any(getattr(sip_object, each) for each in WITHHELD_WITH[kind])
    return _changed(sip_object, {**dict.fromkeys(WITHHELD[kind]), **dict.fromkeys(_LISTED[kind], listed)})


def with_withheld(sip_object: _Object, known: SipObject) -> _Object:
    """The object, with the withheld fields that its server did not list taken from `known`, as digests."""
    missing = [each for each in WITHHELD[sip_object.kind] if getattr(sip_object, each) is None]
    return _changed(sip_object, {each: _bare(getattr(known, each)) for each in missing})


def with_all_listed(sip_object: _Object) -> _Object:
    """The object of a server that lists every field: a missing value is not set."""
    return _changed(sip_object, dict.fromkeys(_LISTED[sip_object.kind], True))


def completed(sip_object: _Object, known: SipObject | None) -> _Object:
    """The object, with its withheld fields taken from `known` if that has the same kind and user name or storage."""
    kind = sip_object.kind
    if known is None or known.kind is not kind or not any(getattr(known, each) for each in WITHHELD[kind]):
        return sip_object
    if any(getattr(known, each) != getattr(sip_object, each) for each in WITHHELD_WITH[kind]):
        return sip_object
    return with_all_listed(with_withheld(sip_object, known))


def _changed(sip_object: _Object, changes: dict[str, Any]) -> _Object:
    return replace(sip_object, **changes) if changes else sip_object
