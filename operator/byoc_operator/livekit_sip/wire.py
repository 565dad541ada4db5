"""The wire format of protobuf, field by field: https://protobuf.dev/programming-guides/encoding/."""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

_MORE = 0x80
"""The top bit of a byte of a varint, which says that another byte follows."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


def fields_of(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, all bytes and content bytes of each field. Raises `DecodeError` at the first byte that is not a field."""
    at, end = 0, len(message)
    while at < end:
        start, tag = at, message[at]
        at += 1
        if tag >= _MORE:
            tag, at = _varint(message, start)
        form = tag & 7
        if form == _LENGTH:
            length, at = _varint(message, at)
            content, at = at, at + length
        elif form == _VARINT:
            content, (_, at) = at, _varint(message, at)
        elif form in _FIXED_SIZES:
            content, at = at, at + _FIXED_SIZES[form]
        else:
            raise DecodeError(f"wire type {form}")
        if at > end:
            raise DecodeError("the reply ends too early")
        yield tag >> 3, message[start:at], message[content:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A varint and the index after it: seven bits a byte, the lowest first, at most ten bytes."""
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < _MORE:
            return value, at + shift + 1
    raise DecodeError("no end of a number")
