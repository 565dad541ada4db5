"""JSON from outside, measured before it is decoded: depth, lists and objects, strings, what is between them.

A decoder spends time, stack and memory by what a text holds, not by its length: `[` takes one byte of a text and sixty
of memory, and a few thousand of them within each other end the decoder. Measuring is a few passes of C code over the
bytes, none of which can go back, and a loop over the brackets once their number is known to be small.
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
    """What a text may hold. `size`: bytes in all; `bare`: bytes outside strings (blanks, numbers, punctuation)."""

    size: int
    depth: int
    containers: int
    strings: int
    bare: int


def decoded(body: bytes, bounds: Bounds, pairs_hook: PairsHook | None = None) -> Any:
    """The value that a JSON text in UTF-8 spells. Raises ValueError for anything else, and beyond the bounds.

    Half a character (a lone surrogate) is decoded as JSON spells it: who uses a string asks whether it can be encoded.
    """
    check(body, bounds)
    # From a text, as from bytes the decoder would also take UTF-16, which is measured wrongly here.
    return json.loads(body.decode(), object_pairs_hook=pairs_hook, parse_constant=_no_json)


def check(body: bytes, bounds: Bounds) -> None:
    """Raise ValueError if the text holds more than it may. Says nothing of whether it is JSON.

    Where it is none, decoding ends at the first fault, and what comes before that is measured as it will be read.
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
