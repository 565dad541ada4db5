"""A list of LiveKit's, taken apart object by object before any of it is read.

Read as a whole, one object with a bad byte would hide all others, and 2 bytes of a reply can cost 200 of memory. So
the reply is cut into its objects here, each is read by itself, and of an object that cannot be read, or is absurdly
long, everything is kept that can be. Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from ..api.printable import printable
from ..core.trunk import UNREADABLE, DispatchRule, Form, Selection, SipObject
from .bounds import SHORT, bounded
from .error_map import TooMuch

MAX_OBJECTS = 50_000
"""Objects in one list: five times as many as the operator is made for."""

MAX_OBJECT_BYTES = 262_144
"""Twice the longest that we write ourselves. What is longer is read without its longest parts."""

MAX_FIELD_BYTES = 131_072
"""Twice the longest field that we write: a rule's metadata for its agent."""

MAX_ENTRIES = 10_000
"""Entries of one list inside an object, such as the numbers of a trunk."""

MAX_FIELDS = 12_000
"""Fields of one object that are looked at one by one, in 30 ms at most."""

MAX_NUMBER = 64
"""Highest number of a field that is looked at; LiveKit's objects have 21."""

FEW_FIELDS = 16
"""The same of each object after a hundred: the first are ID, name and metadata."""

PATIENCE = 100
"""Objects of one list that are looked at so closely: anybody can make thousands that cannot be read."""

NAMED, NAMED_LENGTH = 5, 64
"""How many unreadable objects a line names, and how long each ID may be in it."""

_ITEMS = 1
"""The number of the field `items` in all three replies."""

_MORE = 0x80
"""The top bit of a byte of a number: more follow."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

Info = TypeVar("Info", bound=Message)
Listed = TypeVar("Listed", bound=SipObject)


class Read(NamedTuple, Generic[Info]):
    """One object of a list. `whole` False: parts of it could not be read, and are left out."""

    info: Info
    whole: bool = True


def items_of(reply: bytes) -> Iterator[memoryview]:
    """The objects of a list, unread. Raises `DecodeError` for what is no list, `TooMuch` for one that is too long."""
    for count, (number, _, content) in enumerate(_fields(memoryview(reply)), start=1):
        if count > MAX_OBJECTS:
            raise TooMuch
        if number == _ITEMS:
            yield content


def read(kind: type[Info], item: memoryview, most_fields: int = MAX_FIELDS) -> Read[Info]:
    """One object of a list, as much of it as can be read; never an error.

    `most_fields`: how many fields are looked at where the object cannot be read at once.
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
    """The fields of an object that are not too long and not too many, by number, up to where it cannot be taken apart.

    Together by number, as a thousand bad entries of one list must not take a thousand attempts.
    """
    counts: Counter[int] = Counter()
    kept: dict[int, bytearray] = {}
    try:
        for number, whole, _ in islice(_fields(item), most_fields):
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


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, whole field and content of each field. Raises `DecodeError` where there is none."""
    at, end = 0, len(message)
    while at < end:
        start, tag = at, message[at]
        at += 1
        if tag >= _MORE:
            tag, at = _varint(message, start)
        form = tag & 7
        if form == _LENGTH:
            length, at = _varint(message, at)
            content, at = at, at + length
        elif form == _VARINT:
            content, (_, at) = at, _varint(message, at)
        elif form in _FIXED_SIZES:
            content, at = at, at + _FIXED_SIZES[form]
        else:
            raise DecodeError(f"wire type {form}")
        if at > end:
            raise DecodeError("the reply ends too early")
        yield tag >> 3, message[start:at], message[content:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number and the place behind it: seven bits a byte, the lowest first, ten bytes at most."""
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < _MORE:
            return value, at + shift + 1
    raise DecodeError("no end of a number")


class Seen(NamedTuple, Generic[Listed]):
    """One object of a list. `id`: as it came, `value.id` is empty if it is none; `whole`: nothing was left out."""

    id: str
    value: Listed
    whole: bool


def seen_as(id: str, value: Listed, got: Read[Info], length: int) -> Seen[Listed]:
    """What is kept of an object that had `length` bytes on the wire.

    What was left out of it is a difference: ours is then written anew, whole.
    """
    if length > SHORT:
        value = bounded(value)
    if not got.whole:
        value = replace(value, extra=(*value.extra, UNREADABLE))
        if isinstance(value, DispatchRule):  # what limits it may be among what was left out
            value = replace(value, selection=Selection(Form.UNKNOWN))
    return Seen(id, value, got.whole)


class Unreadable:
    """Objects of one list that could not be read whole, or whose ID is none."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def note(self, listed_as: str) -> None:
        """Take note of one object. `listed_as`: its ID as it came."""
        self.count += 1
        if len(self._named) < NAMED:
            self._named.append(printable(listed_as, NAMED_LENGTH) or "without ID")

    @property
    def message(self) -> str:
        """How many, and which."""
        more = ", …" if self.count > len(self._named) else ""
        what = "objects cannot be read whole, or have IDs that nobody can use"
        return f"{self.count} {what}: {', '.join(self._named)}{more}"
