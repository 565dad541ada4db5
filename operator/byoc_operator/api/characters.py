r"""Characters that nobody sees and that come along in copied values: which they are, and how one is named.

Written as the inside of a character class, in Python's notation; `re2` makes Go's of it. Two sets: what cannot be
meant in a credential, an identifier or a header, and what cannot be meant in a text that people read either. There,
joiners shape Persian and Indic letters and families of emoji, and variation selectors choose a glyph.
"""

import re
from collections.abc import Sequence
from typing import Final

CONTROLS: Final = r"\x00-\x1f\x7f-\x9f"
WIDE_BLANKS: Final = r"\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Blanks other than the one of the keyboard (Unicode category Zs)."""

BLANKS: Final = rf"\x20{WIDE_BLANKS}"

_HALVES: Final = r"\ud800-\udfff"
_NEVER: Final = (
    r"\xad\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    rf"{_HALVES}\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_IN_WRITING: Final = (
    r"\u034f\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u180b-\u180f\u200c\u200d\u2800\ufe00-\ufe0f"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U000e0100-\U000e01ef"
)

HIDDEN: Final = _NEVER + _IN_WRITING
"""Refused in credentials, identifiers and headers.

Unicode's categories Cf, Zl and Zp, what a screen shows as nothing (`Default_Ignorable_Code_Point`, Braille's blank),
and what decoding makes of broken text: halves of surrogate pairs, U+FFFD, noncharacters.
"""

HIDDEN_IN_TEXT: Final = _NEVER
"""Refused in texts for people: of `HIDDEN` what no writing needs, such as direction marks and tags."""

STRANGE: Final = WIDE_BLANKS + HIDDEN
"""What a reader takes for a blank or does not see at all."""

_HIDDEN_ONE: Final = re.compile(f"[{HIDDEN}]")
_STRANGE_ONE: Final = re.compile(f"[{STRANGE}]")
_ESCAPED: Final = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


def re2(pattern: str) -> str:
    r"""A pattern as Go's RE2 reads it: `\u200b` is `\x{200b}` there."""
    return _ESCAPED.sub(lambda found: rf"\x{{{int(found[1] or found[2], 16):x}}}", pattern)


def spelled_out(pattern: str) -> str:
    """A pattern with the characters themselves, for JSON Schema: its readers agree on no escape beyond two digits."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), pattern.replace(_HALVES, ""))


def has_hidden(text: str) -> bool:
    """Whether a text has a character of `HIDDEN`."""
    return bool(unseen(text))


def unseen(text: str) -> str:
    """The code point of the first character of `HIDDEN`, such as `U+200B`; empty if there is none."""
    return _first(text, _HIDDEN_ONE)


def named(text: str) -> str:
    """Hint of a refusal: the first character that the reader may not see, by its code point; else nothing."""
    point = _first(text, _STRANGE_ONE)
    return f"; it contains {point}" if point else ""


def _first(text: str, one: re.Pattern[str]) -> str:
    found = one.search(text)
    return f"U+{ord(found.group()):04X}" if found else ""


_LAST: Final = 0xFFFF


def _listed() -> Sequence[str]:
    """The characters that CEL can name: those of `STRANGE` below U+10000 that are text at all, in order."""
    no_text = re.compile(r"[\ud800-\udfff\ufdd0-\ufdef]")
    every = map(chr, range(_LAST + 1))
    return [each for each in every if _STRANGE_ONE.match(each) and not no_text.match(each)]


def named_cel() -> str:
    """CEL for `named`: it has no function for a code point, so the characters and their numbers stand side by side.

    Those above U+FFFF would be four thousand; they are named by their range.
    """
    listed = _listed()
    characters = "".join(f"\\u{ord(each):04x}" for each in listed)
    numbers = "".join(f"{ord(each):04X}" for each in listed)
    strange, far = re2(f"[{STRANGE}]"), r"[\x{10000}-\x{10ffff}]"
    found = f'self.find(r"{strange}")'
    index = f'4 * "{characters}".indexOf({found})'
    return (
        f'(!self.matches(r"{strange}") ? "" : '
        f'{found}.matches(r"{far}") ? "; it contains one of U+110BD to U+E0FFF" : '
        f'"; it contains U+" + "{numbers}".substring({index}, {index} + 4))'
    )
