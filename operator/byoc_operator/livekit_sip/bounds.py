"""What is kept in memory of LiveKit's objects: anybody with its key may make them, thousands, of any length.

The bounds are wider than whatever we write, so that an object of ours that was cut differs from what it should be, and
is written anew. A cut text or list ends with an ellipsis.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from operator import attrgetter
from sys import getsizeof
from typing import Any, TypeVar

from ..core.fields import FIELDS, Shape
from ..core.ownership import owner_of, parse_mark
from ..core.trunk import OUR_SELECTION, DispatchRule, InboundTrunk, Kind, Masked, Selection, SipObject
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

_Listed = TypeVar("_Listed", bound=SipObject)


class Room:
    """How much of one list may be kept, whatever wire it came over."""

    def __init__(self) -> None:
        self._bytes = 0
        self._numbers = 0

    def take(self, listed: _Listed) -> _Listed:
        """The object, or what there is room for of its numbers. Raises `TooMuch`."""
        if isinstance(listed, InboundTrunk):
            self._numbers += len(listed.numbers)
            if self._numbers > MAX_NUMBERS_IN_ALL and len(listed.numbers) > FEW_NUMBERS:
                listed = replace(listed, numbers=(*listed.numbers[:FEW_NUMBERS], _CUT))
        self._bytes += _size(listed)
        if self._bytes > MAX_KEPT_BYTES:
            raise TooMuch
        return listed


def bounded(listed: _Listed) -> _Listed:
    """The object, its texts and lists cut where they are longer than any of ours."""
    cut: dict[str, Any] = {name: bound(getattr(listed, name)) for name, bound in _CUTS[listed.kind]}
    if isinstance(listed, DispatchRule):
        most = _FOREIGN if owner_of(listed) is None else _AGENT_METADATA
        cut["agent_metadata"] = _kept(listed.agent_metadata, most)
        cut["selection"] = _selected(listed.selection)
    return replace(listed, **cut)


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


def _pairs(pairs: Mapping[str, str | Masked]) -> dict[str, str | Masked]:
    first = islice(pairs.items(), _HEADERS)
    return {_kept(name): _kept(value) if isinstance(value, str) else value for name, value in first}


_BY_SHAPE: Mapping[Shape, Callable[[Any], object]] = {
    Shape.TEXT: _kept,
    Shape.TEXTS: _entries,
    Shape.PAIRS: _pairs,
    Shape.PAIRS_WITH_CREDENTIALS: _pairs,
}
"""How a field is cut; a number, a flag and a digest have one size."""

_BY_PATH: Mapping[str, Callable[[Any], object]] = {
    **{f"{kind}.name": partial(_kept, most=_NAME) for kind in Kind},
    "outboundTrunk.metadata": _mark,
    "inboundTrunk.metadata": _mark,
    "inboundTrunk.numbers": partial(_entries, most=MAX_NUMBERS),
    "dispatchRule.trunkIds": partial(_entries, most=MAX_NUMBERS),
}
"""Fields of which more is kept than of others, or less."""

_CUTS = {
    kind: tuple(
        (each.attribute, _BY_PATH.get(each.path, _BY_SHAPE[each.shape])) for each in table if each.shape in _BY_SHAPE
    )
    for kind, table in FIELDS.items()
}

_WORDS = frozenset({"transport", "media_encryption"})
"""Texts that are one of a few words: all objects share them."""


def _measured(kind: Kind) -> tuple[Callable[[SipObject], tuple[str, ...]], tuple[str, ...], tuple[str, ...]]:
    """What gives all texts of an object at once, and the names of the fields with lists and with pairs."""
    names = {
        shape: tuple(each.attribute for each in FIELDS[kind] if each.shape is shape and each.attribute not in _WORDS)
        for shape in Shape
    }
    pairs = (*names[Shape.PAIRS], *names[Shape.PAIRS_WITH_CREDENTIALS])
    return attrgetter(*names[Shape.TEXT]), names[Shape.TEXTS], pairs


_MEASURED = {kind: _measured(kind) for kind in Kind}


def _size(listed: SipObject) -> int:
    """Bytes that the texts of an object take in memory; entries of 3 bytes on the wire take 60."""
    texts_of, lists, maps = _MEASURED[listed.kind]
    size = sum(map(getsizeof, texts_of(listed)))
    for name in lists:
        size += sum(map(getsizeof, getattr(listed, name)))
    for name in maps:
        pairs = getattr(listed, name)
        if pairs:
            size += sum(map(getsizeof, (*pairs, *pairs.values())))
    if isinstance(listed, DispatchRule) and listed.selection is not OUR_SELECTION:
        selection = listed.selection
        size += sum(map(getsizeof, (selection.room, *selection.callers, *selection.numbers)))
    return size
