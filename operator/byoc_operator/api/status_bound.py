"""How much of a status is kept in memory: never more than a bound, whatever somebody wrote there."""

import itertools
from collections.abc import Mapping
from typing import Any

MAX_STATUS = 48 * 1024
"""Bytes of memory, roughly, that one status may keep; one that we wrote takes two or three thousand."""

_NODE = 64
"""About what an object of Python takes beside its text."""

_MAX_FIELDS = 64
_MAX_NAME = 253


def kept_status(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status if it is of a size that we could have written, else its smaller fields.

    A field without room is kept as null. It then differs from what it should be, and is written anew or taken away.
    """
    room = MAX_STATUS
    if _weight(stored, room) <= room:
        return stored
    fields = sorted(itertools.islice(stored.items(), _MAX_FIELDS), key=lambda item: _weight(item[1], room))
    kept: dict[str, Any] = {}
    for name, value in fields:
        weight = _NODE + _weight(value, room)
        kept[name[:_MAX_NAME]] = value if weight <= room else None
        room -= min(room, weight)
    return kept


def _weight(value: object, most: int) -> int:
    """About how many bytes of memory a JSON value takes; a number above `most` if it is more."""
    weight, rest = 0, [value]
    while rest and weight <= most:
        each = rest.pop()
        weight += _NODE
        match each:
            case str():
                weight += len(each)
            case Mapping():
                rest += each.values()
                weight += sum(map(len, each)) + _NODE * len(each)
            case list():
                rest += each
            case int():
                weight += each.bit_length() // 8
    return weight
