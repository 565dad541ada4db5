"""Shapes: what is taken out of a JSON text, with a bound on size, count and depth (`cutting` takes it out)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value as it is.

    One that is larger, deeper or no JSON for Python becomes `instead`, and is a fault if that is None.
    """

    max_bytes: int = 1024
    max_depth: int = 1
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class There:
    """Only that the key is there: an empty object stands for its value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a list of texts: `{"count": how many there are, "at": the first index or None}`."""

    wanted: str


@dataclass(frozen=True)
class Fields:
    """An object, and of it these fields."""

    fields: Mapping[str, "Shape"]

    @cached_property
    def others(self) -> re.Pattern[bytes]:
        """A run of fields without depth that nobody asked for, each with the comma behind it."""
        wanted = b"|".join(re.escape(name.encode()) for name in self.fields)
        value = rb'(?:"(?:[^"\\]++|\\.){0,8}+"|\[\]|\{\}|[^"\[\]{},:\s]++)'
        return re.compile(rb'(?:"(?!(?:' + wanted + rb')")[^"\\]*+":' + value + rb",){0,512}+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entries:
    """An object with whatever keys, the first `most` of them."""

    each: "Shape"
    most: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list, the first `most` of it."""

    each: "Shape"
    most: int


Shape = Leaf | There | Place | Fields | Entries | Items
