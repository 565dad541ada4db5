"""Reads from a JSON text the parts that a shape names, and skips the rest: linear, without recursion, in small steps.

A decoder makes Python objects of the whole text, and calls itself once per level. A user may store a megabyte of
brackets, thousands of levels deep, in a field that the operator does not use (`metadata.managedFields`). This module
only scans the bytes of such a field, and limits the size, count and depth of the fields that a shape names.

The texts come from the API server: a part that is skipped is assumed to be well-formed.
"""

import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from .shapes import Entries, Fields, Items, Leaf, Place, Shape, There

MAX_KEY = 512
"""The most bytes of a key. A longer key is skipped with its value: no shape names a key of this length."""

_STEPS_A_TURN = 32
"""After this many steps other tasks may run. A step takes between half a microsecond and some ten."""

# A run of values without depth. The quantifiers are possessive, so that the match never backtracks. They are bounded,
# so that one match takes tens of microseconds: no other thread runs during a match.
_FLAT = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.){0,8}+"|\[\]|\{\}){0,512}+', re.DOTALL)
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.){0,4096}+', re.DOTALL)
_SCALAR = re.compile(rb'[^"\[\]{},:\s]++')
_BLANK = re.compile(rb"[ \t\r\n]*+")

_QUOTE, _COMMA, _COLON = b'"'[0], b","[0], b":"[0]
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
_OBJECT, _OBJECT_END, _ARRAY, _ARRAY_END = b"{"[0], b"}"[0], b"["[0], b"]"[0]


class NotJson(ValueError):
    """The text is not JSON."""


Steps = Generator[None, None, Any]
"""Work in steps: other tasks may run between two steps. The generator returns the result."""

_SMALL = Leaf()


@dataclass(frozen=True, slots=True)
class Found:
    """An item of a list. `faults`: the parts of it that could not be read, in words."""

    value: Any
    faults: tuple[str, ...]


class Cut:
    """Reads one text from its beginning. `faults`: the parts that could not be read, in words without the text."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._steps = 0
        self.faults: list[str] = []

    def value(self, shape: Shape, path: str = "") -> Steps:
        """Read the value at this position by its shape; a small value of another type as it is. Raises `NotJson`."""
        opening = self._peek()
        match shape:
            case Fields() if opening == _OBJECT:
                return (yield from self._fields(shape, path))
            case Entries() if opening == _OBJECT:
                return (yield from self._entries(shape, path))
            case Items() if opening == _ARRAY:
                return (yield from self._items(shape, path))
            case Place() if opening == _ARRAY:
                return (yield from self._place(shape))
            case There():
                yield from self._skip()
                return {}
        return (yield from self._leaf(shape if isinstance(shape, Leaf) else _SMALL, path))

    def listed(self, shape: Shape) -> Generator[Found | None, None, Any]:
        """Yield the items of a list object (None: other tasks may run); return the metadata of the list."""
        metadata: Any = {}
        for key in self._keys():
            if key is None:
                yield None
            elif key == "items" and self._peek() == _ARRAY:
                for _ in self._elements():
                    item = yield from self.value(shape)
                    yield Found(item, tuple(self.faults))
                    self.faults.clear()
            elif key == "metadata":
                metadata = yield from self.value(_LIST_METADATA)
            else:
                yield from self._skip()
        return metadata

    def _fields(self, shape: Fields, path: str) -> Steps:
        found: dict[str, Any] = {}
        for key in self._keys(shape.others):
            if key is None:
                yield
            elif key in shape.fields:
                found[key] = yield from self.value(shape.fields[key], _below(path, key))
            else:
                yield from self._skip()
        return found

    def _entries(self, shape: Entries, path: str) -> Steps:
        found: dict[str, Any] = {}
        for key in self._keys():
            if key is None:
                yield
                continue
            found[key] = yield from self.value(shape.each, path)
            if len(found) == shape.most:
                yield from self._close()
                break
        return found

    def _items(self, shape: Items, path: str) -> Steps:
        found: list[Any] = []
        for _ in self._elements():
            found.append((yield from self.value(shape.each, path)))
            if len(found) == shape.most:
                yield from self._close()
                break
        return found

    def _place(self, shape: Place) -> Steps:
        wanted = b'"' + shape.wanted.encode() + b'"'
        others = re.compile(rb'(?:"(?!' + wanted[1:] + rb')[^"\\]*+",){0,512}+')
        count, at = 0, None
        for _ in self._elements():
            while (run := others.match(self._text, self._at)) and run.end() > self._at:
                count += self._text.count(b'"', self._at, run.end()) // 2
                self._at = run.end()
                yield
            start = self._at
            yield from self._skip()
            if at is None and self._text[start : self._at] == wanted:
                at = count
            count += 1
            if self._turn_over():
                yield
        return {"count": count, "at": at}

    def _leaf(self, shape: Leaf, path: str) -> Steps:
        start = self._at
        depth = yield from self._skip()
        if self._at - start > shape.max_bytes:
            problem = f"is longer than {shape.max_bytes} bytes"
        elif depth > shape.max_depth:
            problem = f"is nested deeper than {shape.max_depth} levels"
        else:
            try:
                return json.loads(self._text[start : self._at].decode())
            except (ValueError, RecursionError):
                problem = "holds what is no JSON value that can be read"
        if shape.instead is None:
            self.faults.append(f"{path or 'a value'} {problem}")
        return shape.instead

    def _keys(self, others: re.Pattern[bytes] | None = None) -> Generator[str | None, None, None]:
        """Yield the keys of the object at this position, each before its value (None: other tasks may run)."""
        self._at += 1
        if self._peek() == _OBJECT_END:
            self._at += 1
            return
        while True:
            while others is not None and (run := others.match(self._text, self._at)) and run.end() > self._at:
                self._at = run.end()
                yield None
            if self._peek() != _QUOTE:
                raise NotJson
            start = self._at
            for _ in self._string():
                yield None
            key = self._key(start)
            if self._peek() != _COLON:
                raise NotJson
            self._at += 1
            self._peek()
            yield key
            if self._ends(_OBJECT_END):
                return
            if self._turn_over():
                yield None

    def _key(self, start: int) -> str:
        """The key just skipped; empty if it is one that no shape can name."""
        if self._at - start > MAX_KEY:
            return ""
        try:
            return str(json.loads(self._text[start : self._at].decode()))
        except ValueError:
            return ""

    def _elements(self) -> Generator[None, None, None]:
        """Yield before each element of the list at this position."""
        self._at += 1
        if self._peek() == _ARRAY_END:
            self._at += 1
            return
        while True:
            self._peek()
            yield
            if self._ends(_ARRAY_END):
                return

    def _ends(self, end: int) -> bool:
        """Skip the comma or bracket after a value. Returns whether the value was the last one."""
        behind = self._peek()
        self._at += 1
        if behind not in (end, _COMMA):
            raise NotJson
        if behind == _COMMA:
            self._peek()
        return behind == end

    def _skip(self) -> Generator[None, None, int]:
        """Skip a value. Returns its depth: 0 for a text or number; empty lists and objects in it do not count."""
        opening = self._peek()
        if opening == _QUOTE:
            yield from self._string()
            return 0
        if opening in _OPENING:
            self._at += 1
            return (yield from self._close())
        scalar = _SCALAR.match(self._text, self._at)
        if scalar is None:
            raise NotJson
        self._at = scalar.end()
        return 0

    def _close(self) -> Generator[None, None, int]:
        """Skip the rest of the open object or list. Returns its depth."""
        text, depth, deepest = self._text, 1, 1
        try:
            while depth:
                flat = _FLAT.match(text, self._at)
                self._at = flat.end() if flat else self._at
                byte = text[self._at]
                if byte in _OPENING:
                    self._at += 1
                    depth += 1
                    deepest = max(deepest, depth)
                elif byte in _CLOSING:
                    self._at += 1
                    depth -= 1
                elif byte == _QUOTE:
                    yield from self._string()
                if self._turn_over():
                    yield
        except IndexError:
            raise NotJson from None
        return deepest

    def _string(self) -> Generator[None, None, None]:
        """Skip the string at this position."""
        self._at += 1
        while True:
            part = _IN_STRING.match(self._text, self._at)
            end = part.end() if part else self._at
            if self._text[end : end + 1] == b'"':
                self._at = end + 1
                return
            if end == self._at:
                raise NotJson
            self._at = end
            yield

    def _peek(self) -> int:
        """The next byte that is not white space, without reading past it."""
        text, at = self._text, self._at
        if text[at : at + 1].isspace():
            blank = _BLANK.match(text, at)
            self._at = at = blank.end() if blank else at
        if at >= len(text):
            raise NotJson
        return text[at]

    def _turn_over(self) -> bool:
        self._steps += 1
        return self._steps % _STEPS_A_TURN == 0


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


_LIST_METADATA = Fields({"continue": Leaf(4096), "resourceVersion": Leaf()})
