r"""Invisible characters, which copied values often contain: the sets of them, and how a message names one.

Each set is the inside of a character class in Python's notation; `re2` translates it to Go's. `HIDDEN` is refused in
credentials, identifiers and headers. `HIDDEN_IN_TEXT` is smaller and is refused in texts for people: those may contain
joiners, which shape Persian and Indic letters and emoji, and variation selectors, which choose a glyph.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

CONTROLS: Final = r"\x00-\x1f\x7f-\x9f"
WIDE_BLANKS: Final = r"\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Blanks other than the ordinary space (Unicode category Zs)."""

BLANKS: Final = rf"\x20{WIDE_BLANKS}"

_SURROGATES: Final = r"\ud800-\udfff"
_HIDDEN_ANYWHERE: Final = (
    r"\xad\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164"
    rf"{_SURROGATES}\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_NEEDED_BY_SCRIPTS: Final = (
    r"\u034f\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u180b-\u180f\u200c\u200d\u2800\ufe00-\ufe0f"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U000e0100-\U000e01ef"
)

HIDDEN: Final = _HIDDEN_ANYWHERE + _NEEDED_BY_SCRIPTS
"""Refused in credentials, identifiers and headers.

The set has Unicode's categories Cf, Zl and Zp, the characters that a screen shows as nothing
(`Default_Ignorable_Code_Point`, the Braille blank), and the remains of badly decoded text: lone surrogates, U+FFFD and
noncharacters.
"""

HIDDEN_IN_TEXT: Final = _HIDDEN_ANYWHERE
"""Refused in texts for people: the part of `HIDDEN` that no script needs, such as direction marks and tags."""

STRANGE: Final = WIDE_BLANKS + HIDDEN
"""Characters that a reader takes for a blank or does not see at all."""

_ANY_HIDDEN: Final = re.compile(f"[{HIDDEN}]")
_ANY_STRANGE: Final = re.compile(f"[{STRANGE}]")
_ESCAPED: Final = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


def re2(pattern: str) -> str:
    r"""A pattern in the notation of Go's RE2, which writes `\x{200b}` for `\u200b`."""
    return _ESCAPED.sub(lambda found: rf"\x{{{int(found[1] or found[2], 16):x}}}", pattern)


def spelled_out(pattern: str) -> str:
    """A pattern with the characters themselves, for JSON Schema: its validators disagree on longer escapes."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), pattern.replace(_SURROGATES, ""))


def has_hidden(text: str) -> bool:
    """Whether a text has a character of `HIDDEN`."""
    return bool(unseen(text))


def unseen(text: str) -> str:
    """The code point of the first character of `HIDDEN`, such as `U+200B`; empty if there is none."""
    return _first(text, _ANY_HIDDEN)


def named(text: str) -> str:
    """The hint of a refusal: the code point of the first character of `STRANGE`; empty if there is none."""
    point = _first(text, _ANY_STRANGE)
    return f"; it contains {point}" if point else ""


def _first(text: str, one: re.Pattern[str]) -> str:
    found = one.search(text)
    return f"U+{ord(found.group()):04X}" if found else ""


_LAST_OF_FOUR_DIGITS: Final = 0xFFFF


def _listed() -> Sequence[str]:
    """The characters of `STRANGE` that the CEL names: those below U+10000, without surrogates and noncharacters."""
    no_text = re.compile(r"[\ud800-\udfff\ufdd0-\ufdef]")
    every = map(chr, range(_LAST_OF_FOUR_DIGITS + 1))
    return [each for each in every if _ANY_STRANGE.match(each) and not no_text.match(each)]


@cache
def named_cel() -> str:
    """The CEL expression for `named`.

    CEL has no function for a code point, so the expression looks the character up in a list of characters and takes the
    number from a list of numbers. About 4,000 characters above U+FFFF would make the lists too long; the hint names the
    range for those.
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
