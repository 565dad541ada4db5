r"""Text from outside, made fit to be shown: one line, visible characters, bounded.

LiveKit's objects, users' objects, files and servers bring text that may hold ESC, line separators, marks that turn the
direction of writing, halves of characters, or a megabyte. Whatever shows such text (log, Event, status, terminal)
passes it through here: characters that cannot be seen become `\u{202e}`, and what is too long ends with `…`.
"""

import unicodedata

ELLIPSIS = "…"


def printable(text: str, most: int, *, keep: str = "") -> str:
    """At most `most` characters, all of them visible. `keep`: characters that stay as they are, such as a line's end.

    Text that is printable and short enough comes back as it is.
    """
    cut = text[: most + 1]  # first: what is thrown away costs nothing
    if not cut.isprintable():
        cut = "".join(each if each in keep or _is_visible(each) else f"\\u{{{ord(each):x}}}" for each in cut)
    return shortened(cut, most)


def printable_bytes(text: str, most: int) -> str:
    """The same, at most `most` bytes of UTF-8."""
    shown = printable(text, most)
    encoded = shown.encode()
    if len(encoded) <= most:
        return shown
    return encoded[: most - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS


def shortened(text: str, most: int) -> str:
    """At most `most` characters; a text that was longer ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS


def _is_visible(character: str) -> bool:
    """Letters, marks, signs and blanks; not control and format characters, surrogates, separators of lines."""
    return character.isprintable() or unicodedata.category(character) == "Zs"
