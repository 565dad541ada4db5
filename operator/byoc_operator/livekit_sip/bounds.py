"""What is kept in memory of LiveKit's objects: anybody with its key may make them, thousands, of any length.

The bounds are wider than whatever we write, so that an object of ours that was cut differs from what it should be, and
is written anew. A cut text or list ends with an ellipsis.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from sys import getsizeof
from typing import TypeVar

from ..core.ownership import owner_of, parse_mark
from ..core.trunk import OUR_SELECTION, DispatchRule, InboundTrunk, Masked, OutboundTrunk, Selection, SipObject
from .error_map import TooMuch

MAX_KEPT_BYTES = 64 * 2**20
"""Of the texts of one list in memory; 10,000 ordinary trunks have 12 MB."""

MAX_NUMBERS = 10_000
"""Numbers of one inbound trunk that are known; called numbers and trunks of one rule."""

MAX_NUMBERS_IN_ALL = 250_000
FEW_NUMBERS = 10
"""How many numbers of inbound trunks are known in all; of each trunk after that a few. LiveKit itself refuses a number
that conflicts with one that we do not know."""

SHORT = 512
"""Bytes of an object on the wire: in so many nothing is too long. Most objects are shorter."""

_NAME = 640
_TEXT = 1024
_METADATA = 4096
_AGENT_METADATA = 131_072
_FOREIGN = 512
"""Characters of a metadata that is no mark."""

_ENTRIES = 256
_HEADERS = 64
_CUT = "…"

Listed = TypeVar("Listed", OutboundTrunk, InboundTrunk, DispatchRule)
_Value = TypeVar("_Value")


class Room:
    """How much of one list may be kept, whatever wire it came over."""

    def __init__(self) -> None:
        self._bytes = 0
        self._numbers = 0

    def take(self, listed: Listed) -> Listed:
        """The object, or what there is room for of its numbers. Raises `TooMuch`."""
        if isinstance(listed, InboundTrunk):
            self._numbers += len(listed.numbers)
            if self._numbers > MAX_NUMBERS_IN_ALL and len(listed.numbers) > FEW_NUMBERS:
                listed = replace(listed, numbers=(*listed.numbers[:FEW_NUMBERS], _CUT))
        self._bytes += _size(listed)
        if self._bytes > MAX_KEPT_BYTES:
            raise TooMuch
        return listed


def bounded(listed: Listed) -> Listed:
    """The object, its texts and lists cut where they are longer than any of ours."""
    if isinstance(listed, DispatchRule):
        most = _FOREIGN if owner_of(listed) is None else _AGENT_METADATA
        return replace(
            listed,
            name=_kept(listed.name, _NAME),
            trunk_ids=_entries(listed.trunk_ids, MAX_NUMBERS),
            room_prefix=_kept(listed.room_prefix),
            agent_name=_kept(listed.agent_name),
            agent_metadata=_kept(listed.agent_metadata, most),
            selection=_selected(listed.selection),
        )
    if isinstance(listed, InboundTrunk):
        return replace(
            listed,
            name=_kept(listed.name, _NAME),
            metadata=_mark(listed.metadata),
            numbers=_entries(listed.numbers, MAX_NUMBERS),
            allowed_addresses=_entries(listed.allowed_addresses),
            allowed_numbers=_entries(listed.allowed_numbers),
            headers_to_attributes={_kept(name): _kept(value) for name, value in _first(listed.headers_to_attributes)},
        )
    return replace(
        listed,
        name=_kept(listed.name, _NAME),
        metadata=_mark(listed.metadata),
        address=_kept(listed.address),
        numbers=_entries(listed.numbers),
        headers={_kept(name): _header(value) for name, value in _first(listed.headers)},
        from_host=_kept(listed.from_host),
        destination_country=_kept(listed.destination_country),
    )


def _selected(selection: Selection) -> Selection:
    if selection is OUR_SELECTION:
        return selection
    return replace(
        selection,
        room=_kept(selection.room),
        callers=_entries(selection.callers),
        numbers=_entries(selection.numbers, MAX_NUMBERS),
    )


def _kept(text: str, most: int = _TEXT) -> str:
    return text if len(text) <= most else text[:most] + _CUT


def _mark(metadata: str) -> str:
    """Metadata, cut where it is longer than a mark of ours can be; whose it is stays."""
    if len(metadata) <= _FOREIGN:
        return metadata
    mark = parse_mark(metadata)
    if mark is None:
        return _kept(metadata, _FOREIGN)
    # The blank: a mark that somebody filled up is not as we wrote it, and is written anew.
    return metadata if len(metadata) <= _METADATA else mark.dump() + " "


def _entries(values: tuple[str, ...], most: int = _ENTRIES) -> tuple[str, ...]:
    more = (_CUT,) if len(values) > most else ()
    return (*(_kept(value) for value in values[:most]), *more)


def _first(headers: Mapping[str, _Value]) -> list[tuple[str, _Value]]:
    return list(islice(headers.items(), _HEADERS))


def _header(value: str | Masked) -> str | Masked:
    return _kept(value) if isinstance(value, str) else value


def _size(listed: SipObject) -> int:
    """Bytes that the texts of an object take in memory; entries of 3 bytes on the wire take 60."""
    if isinstance(listed, DispatchRule):
        texts = (listed.name, listed.room_prefix, listed.agent_name, listed.agent_metadata, *listed.trunk_ids)
        selection = listed.selection
        if selection is not OUR_SELECTION:
            texts = (*texts, selection.room, *selection.callers, *selection.numbers)
        return sum(map(getsizeof, texts))
    if isinstance(listed, OutboundTrunk):
        headers: Mapping[str, object] = listed.headers
        texts = (listed.name, listed.metadata, listed.address, listed.from_host, *listed.numbers)
    else:
        headers = listed.headers_to_attributes
        texts = (listed.name, listed.metadata, *listed.numbers, *listed.allowed_addresses, *listed.allowed_numbers)
    return sum(map(getsizeof, texts)) + (sum(map(getsizeof, (*headers, *headers.values()))) if headers else 0)
