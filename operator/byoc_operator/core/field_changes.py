"""What a plan changes in LiveKit, field by field: the old value and the new one. It never has a credential."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from .fields import FIELDS, Field, Shape
from .plan import Change, Create, Delete, Remark, Replace
from .trunk import CLASSES, Kind, Masked, SipObject

_Pairs = Mapping[str, str | Masked]

Value = str | int | bool | list[str] | dict[str, str] | None
"""What is shown of a field; None where it is not set."""

CHANGED = "(changed)"
IS_SET = "(set)"
"""Stand for a credential, and for the value of a field that the operator does not know."""


class Action(StrEnum):
    """What happens to an object of LiveKit. Mark: only the mark of a trunk changes."""

    CREATE = "Create"
    REPLACE = "Replace"
    DELETE = "Delete"
    MARK = "Mark"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that changes. `path`: the name that users see, such as `outboundTrunk.address`."""

    path: str
    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What happens to one object. `id`: its LiveKit ID, empty for a new one. `fields`: empty for a mere refresh."""

    action: Action
    kind: Kind
    id: str
    fields: tuple[FieldChange, ...] = ()


def object_changes(changes: Iterable[Change], present: Mapping[str, SipObject]) -> tuple[ObjectChange, ...]:
    """The changes of a plan in the order in which they are applied. `present`: LiveKit's objects by ID."""
    return tuple(_object_change(change, present) for change in changes)


def _object_change(change: Change, present: Mapping[str, SipObject]) -> ObjectChange:
    match change:
        case Create(wanted):
            return ObjectChange(Action.CREATE, wanted.kind, "", _all_fields(wanted))
        case Replace(wanted, paths):
            return ObjectChange(Action.REPLACE, wanted.kind, wanted.id, _of(paths, present.get(wanted.id), wanted))
        case Delete(kind, id):
            return ObjectChange(Action.DELETE, kind, id)
        case Remark(kind, id, metadata):
            before = present.get(id)
            old = getattr(before, "metadata", None)
            return ObjectChange(Action.MARK, kind, id, (FieldChange(f"{kind}.metadata", old or None, metadata),))
        case _:
            assert_never(change)


def _all_fields(wanted: SipObject) -> tuple[FieldChange, ...]:
    """The fields that a new object sets."""
    table = FIELDS[wanted.kind]
    return tuple(_field_change(field, None, wanted) for field in table if getattr(wanted, field.attribute))


def _of(paths: Iterable[str], old: SipObject | None, new: SipObject) -> tuple[FieldChange, ...]:
    """A change for each path. A path that is not in the table is a field that only LiveKit has: it is erased."""
    by_path = {field.path: field for field in FIELDS[new.kind]}
    return tuple(
        _field_change(by_path[path], old, new) if path in by_path else FieldChange(path, IS_SET, None) for path in paths
    )


def _field_change(field: Field, old: SipObject | None, new: SipObject) -> FieldChange:
    before = None if old is None else getattr(old, field.attribute)
    after = getattr(new, field.attribute)
    if field.shape is Shape.CREDENTIAL:
        is_new = old is None or (before is None and getattr(old, "password_listed", True))
        return FieldChange(field.path, None, None if after is None else IS_SET if is_new else CHANGED)
    if field.shape is Shape.PAIRS_WITH_CREDENTIALS:
        known = before or {}
        secret = _secret_names(known, after)
        return FieldChange(field.path, _pairs(known, {}, secret), _pairs(after, known, secret))
    return FieldChange(field.path, _plain(before), _plain(after))


def _secret_names(*several: _Pairs) -> frozenset[str]:
    """The names whose value is a credential in one of the maps: no value of that name is shown."""
    return frozenset(name for pairs in several for name, value in pairs.items() if isinstance(value, Masked))


def _pairs(pairs: _Pairs, before: _Pairs, secret: frozenset[str]) -> Value:
    """Names and values; of a credential only whether it is another one."""

    def shown(name: str, value: str | Masked) -> str:
        if isinstance(value, str) and name not in secret:
            return value
        return CHANGED if name in before and before[name] != value else IS_SET

    return {name: shown(name, value) for name, value in pairs.items()} or None


def _plain(value: object) -> Value:
    match value:
        case tuple():
            return [str(each) for each in value] or None
        case Mapping():
            return {str(name): str(each) for name, each in value.items()} or None
        case bool() | int():
            return value
        case str():
            return value or None
    return None


def credential_paths() -> frozenset[str]:
    """The paths of the fields that are a user name or a password."""
    tables = (FIELDS[kind] for kind in CLASSES)
    return frozenset(field.path for table in tables for field in table if field.shape is Shape.CREDENTIAL)
