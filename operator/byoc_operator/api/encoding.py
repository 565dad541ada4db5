"""Base64, in which a Secret spells its `data`."""

import base64

_LINE_ENDS = str.maketrans("", "", "\r\n")


def to_base64(text: str) -> str:
    """A text as `data` spells it. Raises UnicodeEncodeError for half a character (a lone surrogate)."""
    return base64.b64encode(text.encode()).decode()


def from_base64(value: object) -> str | None:
    """The text of a value in `data`, empty for null; None if it is no base64, or not of UTF-8 text.

    As the API server's own decoder does, it passes over line ends, which YAML's `|` leaves in (Go, encoding/base64).
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return None
    if "\n" in value or "\r" in value:
        value = value.translate(_LINE_ENDS)  # takes longer than decoding does
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:  # binascii.Error and UnicodeDecodeError are such; so is what a letter beyond ASCII gives
        return None
