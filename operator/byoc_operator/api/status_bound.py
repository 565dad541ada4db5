"""How much of a status stays in memory: at most `MAX_STATUS`, whatever somebody wrote into it."""

import itertools
from collections.abc import Mapping
from typing import Any

MAX_STATUS = 48 * 1024
"""About how many bytes of memory one status may take. One that the operator wrote takes two or three thousand."""

_NODE = 64
"""About how many bytes a Python object takes beside its text."""

_MAX_FIELDS = 64
_MAX_NAME = 253


def kept_status(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status as it is if its size is within the bound, else its smaller fields.

    A field for which no room is left becomes null. It then differs from what is wanted, and the next PATCH writes it
    anew or takes it away.
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
