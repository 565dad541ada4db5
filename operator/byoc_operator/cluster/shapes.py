"""Shapes: which parts `cutting` reads from a JSON text, with limits on size, count and depth."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value as it is.

    A value that is larger, deeper or not JSON for Python becomes `instead`; if `instead` is None, it is a fault.
    """

    max_bytes: int = 1024
    max_depth: int = 1
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class There:
    """A value of which only the existence matters: it becomes an empty object."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a text in a list of texts: `{"count": length of the list, "at": the first index or None}`."""

    wanted: str


@dataclass(frozen=True)
class Fields:
    """These fields of an object."""

    fields: Mapping[str, "Shape"]

    @cached_property
    def others(self) -> re.Pattern[bytes]:
        """Matches a run of other fields whose values have no depth, each with the comma after it."""
        wanted = b"|".join(re.escape(name.encode()) for name in self.fields)
        value = rb'(?:"(?:[^"\\]++|\\.){0,8}+"|\[\]|\{\}|[^"\[\]{},:\s]++)'
        return re.compile(rb'(?:"(?!(?:' + wanted + rb')")[^"\\]*+":' + value + rb",){0,512}+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entries:
    """The first `most` entries of an object, with any keys."""

    each: "Shape"
    most: int


@dataclass(frozen=True, slots=True)
class Items:
    """The first `most` items of a list."""

    each: "Shape"
    most: int


Shape = Leaf | There | Place | Fields | Entries | Items
