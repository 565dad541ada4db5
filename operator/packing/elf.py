"""Cuts from compiled libraries what only debuggers read: names and line tables, half of some files."""

import struct

_MAGIC = b"\x7fELF\x02\x01"
"""64 bit, little endian: amd64 and arm64."""
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


def without_sections(data: bytes) -> bytes:
    """A shared library without its table of sections and whatever lies behind its segments.

    The dynamic loader reads segments only (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html), so it
    loads the same. What is no 64-bit little-endian ELF file comes back as it is.
    """
    if data[:6] != _MAGIC:
        return data
    ident, kind, machine, version, entry, segments_at, _, flags, size, segment_size, count, *_ = _HEADER.unpack_from(
        data
    )
    segments = (_SEGMENT.unpack_from(data, segments_at + index * segment_size) for index in range(count))
    ends = [at + length for _, _, at, _, _, length, _, _ in segments]
    end = max(_HEADER.size, segments_at + count * segment_size, *ends)
    header = (ident, kind, machine, version, entry, segments_at, 0, flags, size, segment_size, count, 0, 0, 0)
    return _HEADER.pack(*header) + data[_HEADER.size : end]
