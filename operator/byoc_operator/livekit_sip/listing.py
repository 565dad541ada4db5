"""A list of LiveKit's, taken apart object by object before any of it is read.

Read as a whole, one object with a bad byte would hide all others, and 2 bytes of a reply can cost 200 of memory. So
the reply is cut into its objects here, each is read by itself, and of an object that cannot be read, or is absurdly
long, everything is kept that can be. Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from sys import getsizeof
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo, SIPOutboundTrunkInfo

from ..core.printable import printable
from ..core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject
from .error_map import TooMuch

MAX_OBJECTS = 50_000
"""Objects in one list: five times as many as the operator is made for."""

MAX_OBJECT_BYTES = 262_144
"""Twice the longest that we write ourselves. What is longer is read without its longest parts."""

MAX_FIELD_BYTES = 131_072
"""Twice the longest field that we write: a rule's metadata for its agent."""

MAX_ENTRIES = 10_000
"""Entries of one list inside an object, such as the numbers of a trunk."""

MAX_FIELDS = 4 * MAX_ENTRIES
"""Fields of one object that are looked at at all."""

MAX_KEPT_BYTES = 64 * 2**20
"""Of the texts of one list in memory; 10,000 ordinary trunks have 10 MB."""

MAX_NUMBERS = 250_000
FEW_NUMBERS = 10
"""How many numbers of inbound trunks are known in all; of each trunk after that a few. LiveKit itself refuses a number
that conflicts with one that we do not know."""

NAMED, NAMED_LENGTH = 5, 64
"""How many unreadable objects a line names, and how long each ID may be in it."""

_ITEMS = 1
"""The number of the field `items` in all three replies."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

Info = TypeVar("Info", SIPOutboundTrunkInfo, SIPInboundTrunkInfo, SIPDispatchRuleInfo)
Listed = TypeVar("Listed", OutboundTrunk, InboundTrunk, DispatchRule)


@dataclass(frozen=True, slots=True)
class Read(Generic[Info]):
    """One object of a list. `whole` False: parts of it could not be read, and are left out."""

    info: Info
    whole: bool = True


def items_of(reply: bytes) -> list[memoryview]:
    """The objects of a list, unread. Raises `DecodeError` for what is no list, `TooMuch` for one that is too long."""
    found: list[memoryview] = []
    for number, _, content in _fields(memoryview(reply)):
        if number == _ITEMS:
            found.append(content)
        if len(found) > MAX_OBJECTS:
            raise TooMuch
    return found


def read(kind: type[Info], item: memoryview) -> Read[Info]:
    """One object of a list, as much of it as can be read; never an error."""
    if len(item) <= MAX_OBJECT_BYTES:
        try:
            return Read(kind.FromString(bytes(item)))
        except DecodeError:
            pass
    kept = list(_bounded(item))
    try:
        return Read(kind.FromString(b"".join(kept)), whole=False)
    except DecodeError:
        return Read(kind.FromString(b"".join(part for part in kept if _can_be_read(kind, part))), whole=False)


def _bounded(item: memoryview) -> Iterator[bytes]:
    """The fields of an object that are not too long and not too many, up to where it cannot be taken apart."""
    counts: Counter[int] = Counter()
    try:
        for number, whole, _ in _fields(item):
            counts[number] += 1
            if counts.total() > MAX_FIELDS:
                return
            if counts[number] <= MAX_ENTRIES and len(whole) <= MAX_FIELD_BYTES:
                yield bytes(whole)
    except DecodeError:
        return


def _can_be_read(kind: type[Info], part: bytes) -> bool:
    try:
        kind.FromString(part)
    except DecodeError:
        return False
    return True


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, whole field and content of each field. Raises `DecodeError` where there is none."""
    at, end = 0, len(message)
    while at < end:
        start = at
        tag, at = _varint(message, at)
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
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more follow
            return value, at + shift + 1
    raise DecodeError("no end of a number")


@dataclass(frozen=True, slots=True)
class Seen(Generic[Listed]):
    """One object of a list. `id`: as it came, `value.id` is empty if it is none; `whole`: nothing was left out."""

    id: str
    value: Listed
    whole: bool


def seen_as(id: str, value: Listed, *, whole: bool) -> Seen[Listed]:
    """What was left out of an object is a difference: ours is then written anew, whole."""
    return Seen(id, value if whole else replace(value, extra=(*value.extra, "unreadable")), whole)


class Room:
    """How much of one list may be kept, whatever wire it came over."""

    def __init__(self) -> None:
        self._bytes = 0
        self._numbers = 0

    def take(self, listed: Listed) -> Listed:
        """The object, or what there is room for of its numbers. Raises `TooMuch`."""
        if isinstance(listed, InboundTrunk):
            self._numbers += len(listed.numbers)
            if self._numbers > MAX_NUMBERS and len(listed.numbers) > FEW_NUMBERS:
                listed = replace(listed, numbers=listed.numbers[:FEW_NUMBERS])
        self._bytes += _size(listed)
        if self._bytes > MAX_KEPT_BYTES:
            raise TooMuch
        return listed


def _size(listed: SipObject) -> int:
    """Bytes that the texts of an object take in memory; entries of 3 bytes on the wire take 60."""
    texts: tuple[object, ...]
    if isinstance(listed, DispatchRule):
        texts = (listed.name, listed.room_prefix, listed.agent_name, listed.agent_metadata, *listed.trunk_ids)
    elif isinstance(listed, InboundTrunk):
        lists = (*listed.numbers, *listed.allowed_addresses, *listed.allowed_numbers)
        texts = (listed.name, listed.metadata, *lists, *_pairs(listed.headers_to_attributes))
    else:
        texts = (listed.name, listed.metadata, listed.address, listed.from_host, *listed.numbers)
        texts = (*texts, *_pairs(listed.headers))
    return sum(map(getsizeof, texts))


def _pairs(headers: Mapping[str, object]) -> tuple[object, ...]:
    return (*headers, *headers.values())


class Unreadable:
    """Objects of one list that could not be read whole, or whose ID is none."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def note(self, listed_as: str, *, whole: bool) -> None:
        """Take note of one object. `listed_as`: its ID as it came."""
        if whole:
            return
        self.count += 1
        if len(self._named) < NAMED:
            self._named.append(printable(listed_as, NAMED_LENGTH) or "without ID")

    @property
    def message(self) -> str:
        """How many, and which."""
        more = ", …" if self.count > len(self._named) else ""
        what = "objects cannot be read whole, or have IDs that nobody can use"
        return f"{self.count} {what}: {', '.join(self._named)}{more}"
