"""Bounds the memory that the status of one object takes, because other programs can write into the status too."""

import itertools
from collections.abc import Mapping
from typing import Any

MAX_STATUS = 48 * 1024
"""About how many bytes of memory one status may take. A status that the operator wrote takes 2,000 to 3,000."""

_NODE = 64
"""About how many bytes a Python object takes beside its text."""

_MAX_FIELDS = 64
_MAX_NAME = 253


def kept_status(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status as stored if it is within the bound; else the same with its largest fields set to null.

    Such a field differs from the wanted status, so the next PATCH corrects or removes it.
    """
    left = MAX_STATUS
    if _weight(stored, left) <= left:
        return stored
    fields = sorted(itertools.islice(stored.items(), _MAX_FIELDS), key=lambda item: _weight(item[1], MAX_STATUS))
    kept: dict[str, Any] = {}
    for name, value in fields:
        weight = _NODE + _weight(value, left)
        kept[name[:_MAX_NAME]] = value if weight <= left else None
        left -= min(left, weight)
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
