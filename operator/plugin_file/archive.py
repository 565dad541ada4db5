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


def packed(by_minor: Mapping[int, Files], first_line: bytes = b"") -> bytes:
    """The file for one platform. `by_minor`: per Python 3.x all files of its `site-packages`.

    `first_line`: what stands before the zip, with which Unix finds a Python.
    """
    common, own = split(by_minor)
    parts = {"common.zip": _zipped(_readable(common), zipfile.ZIP_DEFLATED)}
    parts |= {
        f"py3{minor}.zip": _zipped(_readable(files), zipfile.ZIP_DEFLATED) for minor, files in sorted(own.items())
    }
    starter = Path(__file__).with_name("starter.py").read_bytes()
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts.values())).hexdigest()[:16]
    run = f"from starter import main\n\nmain({digest!r}, {tuple(sorted(by_minor))!r})\n"
    # The libraries are stored as they are: they are compressed already. Few entries make the start quick.
    outer = {"__main__.py": run.encode(), "starter.py": starter, **parts}
    return _zipped(_readable(outer), zipfile.ZIP_STORED, first_line)


def zipped_whole(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A zip of files, each with its content and its rights."""
    return _zipped(files, zipfile.ZIP_DEFLATED)


def written_at() -> int:
    """The time of all entries, in seconds since 1970: SOURCE_DATE_EPOCH.

    https://reproducible-builds.org/specs/source-date-epoch
    """
    return max(int(os.environ.get("SOURCE_DATE_EPOCH", _ZIP_BEGINS)), _ZIP_BEGINS)


def _readable(files: Files) -> Mapping[str, tuple[bytes, int]]:
    return {path: (data, 0o644) for path, data in files.items()}


def _zipped(files: Mapping[str, tuple[bytes, int]], compression: int, begins: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    buffer.write(begins)
    with zipfile.ZipFile(buffer, "w", compression) as written:
        for path in sorted(files):
            data, mode = files[path]
            entry = zipfile.ZipInfo(path, time.gmtime(written_at())[:6])
            entry.compress_type = compression
            entry.create_system = 3  # Unix, whatever it is built on
            entry.external_attr = mode << 16
            written.writestr(entry, data)
    return buffer.getvalue()
