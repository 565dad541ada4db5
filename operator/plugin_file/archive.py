"""Writes the file: a zip that Python runs, with a zip of libraries per version of Python. Same input, same bytes."""

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, bytes]
"""Contents by path, with `/` as separator."""

_ZIP_BEGINS = 315532800
"""1980-01-01 in seconds since 1970: a zip has no time before it."""


def split(by_minor: Mapping[int, Files]) -> tuple[dict[str, bytes], dict[int, dict[str, bytes]]]:
    """What all versions of Python share, byte by byte, and per version what is its own."""
    first, *others = by_minor.values()
    common = {path: data for path, data in first.items() if all(each.get(path) == data for each in others)}
    own = {
        minor: {path: data for path, data in files.items() if path not in common} for minor, files in by_minor.items()
    }
    return common, own


def packed(by_minor: Mapping[int, Files]) -> bytes:
    """The whole file for one platform. `by_minor`: per Python 3.x all files of its `site-packages`."""
    common, own = split(by_minor)
    parts = {"common.zip": _zipped(common, zipfile.ZIP_DEFLATED)}
    parts |= {f"py3{minor}.zip": _zipped(files, zipfile.ZIP_DEFLATED) for minor, files in sorted(own.items())}
    starter = Path(__file__).with_name("starter.py").read_bytes()
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts.values())).hexdigest()[:16]
    run = f"from starter import main\n\nmain({digest!r}, {tuple(sorted(by_minor))!r})\n"
    # The libraries are stored as they are: they are compressed already. Few entries make the start quick.
    outer = {"__main__.py": run.encode(), "starter.py": starter, **parts}
    return _zipped(outer, zipfile.ZIP_STORED, begins=b"#!/usr/bin/env python3\n")


def _zipped(files: Files, compression: int, begins: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    buffer.write(begins)
    with zipfile.ZipFile(buffer, "w", compression) as written:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _written_at())
            entry.compress_type = compression
            entry.create_system = 3  # Unix, whatever it is built on
            entry.external_attr = 0o644 << 16
            written.writestr(entry, files[path])
    return buffer.getvalue()


def _written_at() -> tuple[int, int, int, int, int, int]:
    """The time of all entries: SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch)."""
    seconds = max(int(os.environ.get("SOURCE_DATE_EPOCH", _ZIP_BEGINS)), _ZIP_BEGINS)
    found = time.gmtime(seconds)
    return (found.tm_year, found.tm_mon, found.tm_mday, found.tm_hour, found.tm_min, found.tm_sec)
