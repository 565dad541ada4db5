"""Cuts the reply to a list into its objects and parses each object separately.

If the reply were parsed as a whole, one object with a bad byte would hide all others, and 2 bytes of the reply could
take 200 bytes of memory. Of an object that cannot be parsed, or is much too long, the readable fields are kept.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from ..api.printable import printable
from ..core.trunk import DispatchRule, RoomForm, Selection, SipObject, partly_unreadable
from .bounds import SHORT, bounded
from .error_map import ReplyTooLong
from .wire import fields_of

MAX_OBJECTS = 50_000
"""Objects in one list: five times as many as the operator is designed for."""

MAX_OBJECT_BYTES = 262_144
"""Bytes of an object that is parsed whole: twice the longest that we write. A longer one loses its longest fields."""

MAX_FIELD_BYTES = 131_072
"""Bytes of a field that is kept: more than the longest that we write, the room's configuration (`MAX_RULE_BYTES`)."""

MAX_ENTRIES = 10_000
"""Entries of one list inside an object, such as the numbers of a trunk."""

MAX_FIELDS = 12_000
"""How many fields of one unreadable object are examined one by one, which takes at most 30 ms."""

MAX_NUMBER = 64
"""The highest protobuf field number that is kept; LiveKit's objects use numbers up to 21."""

FEW_FIELDS = 16
"""How many fields are examined once a list has many unreadable objects: the first are ID, name and metadata."""

MANY_UNREADABLE = 100
"""After so many unreadable objects of one list only `FEW_FIELDS` of each are examined, to save time."""

NAMED, NAMED_LENGTH = 5, 64
"""How many unreadable objects a log line names, and the characters that it shows of each ID."""

_PORTION, _ITEM_WEIGHT, CUT_AT_ONCE = 2**17, 256, 5000
"""How much of a list is read before other tasks get a turn, about 5 ms of work each.

The bytes of a portion; the bytes that each object counts for beside its own; the objects that are cut apart in one
portion. To read 10,000 objects without a break would delay watches and probes.
"""

_ITEMS = 1
"""The protobuf number of the field `items` in all three replies."""

Info = TypeVar("Info", bound=Message)
Listed = TypeVar("Listed", bound=SipObject)


class Read(NamedTuple, Generic[Info]):
    """One object of a list. `whole`: False if fields were left out because they could not be parsed."""

    info: Info
    whole: bool = True


def items_of(reply: bytes) -> Iterator[memoryview]:
    """The bytes of each object of a list. Raises `DecodeError` for a bad reply, `ReplyTooLong` for too many objects."""
    for count, (number, _, content) in enumerate(fields_of(memoryview(reply)), start=1):
        if count > MAX_OBJECTS:
            raise ReplyTooLong
        if number == _ITEMS:
            yield content


async def in_portions(items: list[memoryview]) -> AsyncIterator[memoryview]:
    """Every item, with turns for other tasks in between."""
    weight = 0
    for item in items:
        weight += _ITEM_WEIGHT + len(item)
        if weight > _PORTION:
            weight = 0
            await asyncio.sleep(0)
        yield item


def read(kind: type[Info], item: memoryview, most_fields: int = MAX_FIELDS) -> Read[Info]:
    """One object of a list, with the fields that can be parsed. Never raises for bad bytes.

    `most_fields`: how many fields are examined one by one if the object cannot be parsed whole.
    """
    if len(item) <= MAX_OBJECT_BYTES:
        try:
            return Read(kind.FromString(bytes(item)))
        except DecodeError:
            pass
    kept = _bounded(item, most_fields)
    try:
        return Read(kind.FromString(b"".join(kept.values())), whole=False)
    except DecodeError:
        return Read(kind.FromString(b"".join(part for part in kept.values() if _can_be_read(kind, part))), whole=False)


def _bounded(item: memoryview, most_fields: int) -> dict[int, bytearray]:
    """The fields of an object within the bounds, by field number, up to the first byte that is not a field.

    The entries of one number stay together, so that a thousand bad entries take one attempt to parse.
    """
    counts: Counter[int] = Counter()
    kept: dict[int, bytearray] = {}
    try:
        for number, whole, _ in islice(fields_of(item), most_fields):
            counts[number] += 1
            if number <= MAX_NUMBER and counts[number] <= MAX_ENTRIES and len(whole) <= MAX_FIELD_BYTES:
                kept.setdefault(number, bytearray()).extend(whole)
    except DecodeError:
        return kept
    return kept


def _can_be_read(kind: type[Info], part: bytearray) -> bool:
    try:
        kind.FromString(bytes(part))
    except DecodeError:
        return False
    return True


class Seen(NamedTuple, Generic[Listed]):
    """One object of a list. `id`: the ID in the reply (`value.id` is empty if unusable). `whole`: as in `Read`."""

    id: str
    value: Listed
    whole: bool


def seen_as(id: str, value: Listed, got: Read[Info], length: int) -> Seen[Listed]:
    """The object within the bounds. `length`: its bytes on the wire.

    If fields were left out, `extra` says so. An object of ours then differs from the wanted one and is written anew.
    """
    if length > SHORT:
        value = bounded(value)
    if not got.whole:
        value = partly_unreadable(value)
        if isinstance(value, DispatchRule):  # the fields left out may be those that limit the rule
            value = replace(value, selection=Selection(RoomForm.UNKNOWN))
    return Seen(id, value, got.whole)


class UnreadableItems:
    """Counts the objects of one list that could not be read completely, or whose ID is unusable."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def note(self, listed_as: str) -> None:
        """Count one object. `listed_as`: the ID in the reply."""
        self.count += 1
        if len(self._named) < NAMED:
            self._named.append(printable(listed_as, NAMED_LENGTH) or "without ID")

    @property
    def message(self) -> str:
        """The text for the log: how many objects, and the IDs of the first ones."""
        more = ", …" if self.count > len(self._named) else ""
        what = "objects cannot be read whole, or have IDs that nobody can use"
        return f"{self.count} {what}: {', '.join(self._named)}{more}"
