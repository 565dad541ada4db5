"""Base64, the encoding of the values in a Secret's `data`."""

import base64

_LINE_ENDS = str.maketrans("", "", "\r\n")


def to_base64(text: str) -> str:
    """The UTF-8 bytes of a text in base64. Raises UnicodeEncodeError for a lone surrogate."""
    return base64.b64encode(text.encode()).decode()


def from_base64(value: object) -> str | None:
    """The text of a value in `data`, empty for null; None if the value is not base64 or its bytes are not UTF-8.

    Line ends are ignored, as in the decoder of the API server (Go, encoding/base64): YAML's `|` leaves them in.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return None
    if "\n" in value or "\r" in value:
        value = value.translate(_LINE_ENDS)  # only when needed: this takes longer than the decoding
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:  # also binascii.Error and UnicodeDecodeError; a character beyond ASCII raises ValueError itself
        return None
