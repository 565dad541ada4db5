r"""Makes text from outside fit to be shown: one line, visible characters, bounded length.

Text of LiveKit's objects, users' objects, files and servers may contain ESC, line separators, direction marks or lone
surrogates, and may be a megabyte long. All text that goes to the log, an Event, a status or a terminal passes through
this module: an invisible character becomes its code point, such as `\u{202e}`, and a text that is too long ends with
`…`.
"""

import unicodedata

ELLIPSIS = "…"


def printable(text: str, most: int, *, keep: str = "") -> str:
    """The text in at most `most` visible characters. `keep`: characters that stay as they are, such as a line end.

    Text that is printable and short enough is returned unchanged.
    """
    cut = text[: most + 1]  # before the escaping, which would otherwise take long on a long text
    if not cut.isprintable():
        cut = "".join(each if each in keep or _is_visible(each) else f"\\u{{{ord(each):x}}}" for each in cut)
    return shortened(cut, most)


def printable_bytes(text: str, most: int) -> str:
    """The text in visible characters, at most `most` bytes of UTF-8."""
    shown = printable(text, most)
    encoded = shown.encode()
    if len(encoded) <= most:
        return shown
    return encoded[: most - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS


def shortened(text: str, most: int) -> str:
    """The first characters of a text, at most `most`; a text that was longer ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def _is_visible(character: str) -> bool:
    """True for letters, marks, signs and blanks; false for control characters, surrogates and others."""
    return character.isprintable() or unicodedata.category(character) == "Zs"
