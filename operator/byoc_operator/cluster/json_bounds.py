"""Measures JSON from outside before it is decoded: its depth, and how many lists, objects and strings it has.

The time, stack and memory of a decoder depend on the content, not on the length: `[` takes one byte of a text and
sixty bytes of memory, and a few thousand nested lists end the decoder. The measuring takes a few linear passes of C
code over the bytes, and a loop over the brackets after their number is known to be small.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

_BRACKETS: Final = b"[]{}"
_NO_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}

PairsHook = Callable[[list[tuple[str, Any]]], Any]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a text. `size`: bytes in all; `bare`: bytes outside strings (blanks, numbers, punctuation)."""

    size: int
    depth: int
    containers: int
    strings: int
    bare: int


def decoded(body: bytes, bounds: Bounds, pairs_hook: PairsHook | None = None) -> Any:
    """Decode a JSON text in UTF-8. Raises ValueError if it is not JSON, or exceeds the bounds.

    A lone surrogate is decoded as it is: whoever uses a string checks whether it can be encoded.
    """
    check(body, bounds)
    # From a `str`: from bytes, the decoder would also accept UTF-16, which `check` measures wrongly.
    return json.loads(body.decode(), object_pairs_hook=pairs_hook, parse_constant=_no_json)


def check(body: bytes, bounds: Bounds) -> None:
    """Raise ValueError if the text exceeds the bounds. The text need not be JSON.

    If it is not JSON, decoding ends at the first fault, and the part before the fault is measured correctly.
    """
    if len(body) > bounds.size:
        raise ValueError("too long")
    # Pairs first: within a string a run of backslashes always begins an escape.
    plain = body.replace(b"\\\\", b"..").replace(b'\\"', b"..") if b"\\" in body else body
    if plain.count(b'"') > 2 * bounds.strings:
        raise ValueError("too many strings")
    bare = b"".join(plain.split(b'"')[::2])
    if len(bare) > bounds.bare:
        raise ValueError("too much between strings")
    brackets = bare.translate(None, _NO_BRACKETS)
    if len(brackets) > 2 * bounds.containers:
        raise ValueError("too many lists and objects")
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > bounds.depth:
        raise ValueError("too deep")


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
