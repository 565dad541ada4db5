"""Bounds the memory that the status of one object takes, because other programs can write into the status too."""

import itertools
from collections.abc import Mapping
from typing import Any

MAX_STATUS = 48 * 1024
"""How many bytes of memory one status may take. A status that the operator wrote takes 2,000 to 3,000."""

_ENTRY = 64
"""About how many bytes one more field makes the table of a status grow."""

_GARBAGE_HEADER = 16
"""Bytes that Python keeps before a list or a map for its garbage collection, beside the object's own size."""

_MAX_FIELDS = 64
_MAX_NAME = 64
"""Fields, and characters of the name of each, that stay of a status above the bound. The CRD has fewer, with shorter
names."""


def kept_status(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status as stored if it is within the bound; else the same with its largest fields set to null.

    Such a field differs from the wanted status, so the next PATCH corrects or removes it.
    """
    if _weight(stored, MAX_STATUS) <= MAX_STATUS:
        return stored
    fields = {name[:_MAX_NAME]: value for name, value in itertools.islice(stored.items(), _MAX_FIELDS)}
    left = MAX_STATUS - sum(_ENTRY + _size(name) for name in fields)
    kept: dict[str, Any] = {}
    for name, value in sorted(fields.items(), key=lambda item: _weight(item[1], MAX_STATUS)):
        weight = _weight(value, left)
        kept[name] = value if weight <= left else None
        left -= min(left, weight)
    return kept


def _weight(value: object, most: int) -> int:
    """How many bytes of memory a JSON value takes; a number above `most` if it is more."""
    weight, rest = 0, [value]
    while rest and weight <= most:
        each = rest.pop()
        weight += _size(each)
        if isinstance(each, dict):
            rest += each
            rest += each.values()
        elif isinstance(each, list):
            rest += each
    return weight


def _size(value: object) -> int:
    """What `sys.getsizeof` says of a JSON value. The module `sys` has too much beside it for this package."""
    return value.__sizeof__() + (_GARBAGE_HEADER if isinstance(value, dict | list) else 0)
