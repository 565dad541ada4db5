"""Bounds for the LiveKit objects in memory: anybody with LiveKit's API key can create thousands, of any length.

The bounds are wider than anything the operator writes. An object of ours that was cut therefore differs from the wanted
one and is written anew. A cut text or list ends with an ellipsis.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from operator import attrgetter
from sys import getsizeof
from typing import Any, TypeVar

from ..api.schema import MAX_ALIASES
from ..core.fields import FIELDS, Shape
from ..core.ownership import owner_of, parse_mark
from ..core.trunk import OUR_SELECTION, DispatchRule, InboundTrunk, Kind, Masked, Selection, SipObject
from .error_map import ReplyTooLong

MAX_KEPT_BYTES = 64 * 2**20
"""Bytes that the texts of one list may take in memory; 10,000 ordinary trunks take 12 MB."""

MAX_NUMBERS = 10_000
"""How many numbers of one inbound trunk are kept, and how many called numbers and trunks of one rule."""

MAX_NUMBERS_IN_ALL = 250_000
FEW_NUMBERS = 1 + MAX_ALIASES
"""How many numbers of all inbound trunks together are kept, and how many of each further trunk: all of one of ours.

LiveKit itself refuses a number that conflicts with one that was not kept.
"""

SHORT = 512
"""An object with at most so many bytes on the wire is within all bounds. Most objects are shorter."""

_NAME = 640
_TEXT = 1024
_METADATA = 4096
_AGENT_METADATA = 131_072
_FOREIGN = 512
"""Characters that are kept of metadata that is not a mark."""

_ENTRIES = 256
_HEADERS = 64
_CUT = "…"

_Listed = TypeVar("_Listed", bound=SipObject)


class ListBudget:
    """Counts what one list takes in memory, over all its pages."""

    def __init__(self) -> None:
        self._bytes = 0
        self._numbers = 0

    def take(self, listed: _Listed) -> _Listed:
        """The object, with fewer numbers once `MAX_NUMBERS_IN_ALL` is reached.

        Raises `ReplyTooLong` when the list takes more than `MAX_KEPT_BYTES`.
        """
        if isinstance(listed, InboundTrunk):
            self._numbers += len(listed.numbers)
            if self._numbers > MAX_NUMBERS_IN_ALL and len(listed.numbers) > FEW_NUMBERS:
                listed = replace(listed, numbers=(*listed.numbers[:FEW_NUMBERS], _CUT))
        self._bytes += _size(listed)
        if self._bytes > MAX_KEPT_BYTES:
            raise ReplyTooLong
        return listed


def bounded(listed: _Listed) -> _Listed:
    """The object, with the texts and lists cut that are longer than any of ours."""
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
    """Metadata, cut if it is longer than a mark of ours can be; a mark keeps its owner."""
    if len(metadata) <= _FOREIGN:
        return metadata
    mark = parse_mark(metadata)
    if mark is None:
        return _kept(metadata, _FOREIGN)
    # The added blank makes a mark that somebody made longer differ from the one we wrote, so it is written anew.
    return metadata if len(metadata) <= _METADATA else mark.dump() + " "


def _entries(values: tuple[str, ...], most: int = _ENTRIES) -> tuple[str, ...]:
    more = (_CUT,) if len(values) > most else ()
    return (*(_kept(value) for value in values[:most]), *more)


def _pairs(pairs: Mapping[str, str | Masked]) -> Mapping[str, str | Masked]:
    if not pairs:
        return pairs  # most maps are empty
    first = islice(pairs.items(), _HEADERS)
    return {_kept(name): _kept(value) if isinstance(value, str) else value for name, value in first}


_BY_SHAPE: Mapping[Shape, Callable[[Any], object]] = {
    Shape.TEXT: _kept,
    Shape.TEXTS: _entries,
    Shape.PAIRS: _pairs,
    Shape.PAIRS_WITH_CREDENTIALS: _pairs,
}
"""How a field is cut, by its shape. A number, a flag and a digest have a fixed size and are not cut."""

_BY_PATH: Mapping[str, Callable[[Any], object]] = {
    **{f"{kind}.name": partial(_kept, most=_NAME) for kind in Kind},
    "outboundTrunk.metadata": _mark,
    "inboundTrunk.metadata": _mark,
    "inboundTrunk.numbers": partial(_entries, most=MAX_NUMBERS),
    "dispatchRule.trunkIds": partial(_entries, most=MAX_NUMBERS),
}
"""How a field is cut whose bound differs from that of its shape."""

_CUTS = {
    kind: tuple(
        (each.attribute, _BY_PATH.get(each.path, _BY_SHAPE[each.shape])) for each in table if each.shape in _BY_SHAPE
    )
    for kind, table in FIELDS.items()
}

_WORDS = frozenset({"transport", "media_encryption"})
"""Text fields with few possible values: all objects share these strings, so they take no memory."""


def _measured(kind: Kind) -> tuple[Callable[[SipObject], tuple[str, ...]], tuple[str, ...], tuple[str, ...]]:
    """A getter of all texts of an object, the names of the fields with lists, and those of the fields with pairs."""
    names = {
        shape: tuple(each.attribute for each in FIELDS[kind] if each.shape is shape and each.attribute not in _WORDS)
        for shape in Shape
    }
    pairs = (*names[Shape.PAIRS], *names[Shape.PAIRS_WITH_CREDENTIALS])
    return attrgetter(*names[Shape.TEXT]), names[Shape.TEXTS], pairs


_MEASURED = {kind: _measured(kind) for kind in Kind}


def _size(listed: SipObject) -> int:
    """Bytes that the texts of an object take in memory; a short string takes 20 times its bytes on the wire."""
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
