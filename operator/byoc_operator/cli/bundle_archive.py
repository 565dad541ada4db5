"""The files of a support bundle, bounded in size, and the archive that they become."""

import io
import os
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .exit_codes import ExitCode, Refused

MAX_FILE = 8 * 2**20
"""Bytes of one file. Of a longer one the end is kept: in a log that is the newest."""

MAX_TOTAL = 64 * 2**20
"""Bytes of all files before they are compressed."""

FOLDER = "byoc-support-bundle"


@dataclass(slots=True)
class Archive:
    """Files by name. `errors`: what could not be read, and what was cut."""

    files: dict[str, bytes] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def missing(self, what: str, why: str) -> None:
        """Note that a part is not in the bundle."""
        self.errors.append(f"{what}: {why}")

    def add(self, name: str, text: str) -> None:
        """Add a file; what is beyond the bounds stays out and is noted."""
        raw = text.encode("utf-8", "backslashreplace")
        if len(raw) > MAX_FILE:
            self.missing(name, f"the file has {len(raw)} bytes; only the last {MAX_FILE} are kept")
            raw = raw[-MAX_FILE:].partition(b"\n")[2]
        if sum(map(len, self.files.values())) + len(raw) > MAX_TOTAL:
            self.missing(name, f"the bundle would be longer than {MAX_TOTAL} bytes")
            return
        self.files[name] = raw

    def write(self, path: Path, now_s: float, *, force: bool) -> None:
        """Write the archive: only its owner may read it. Raises `Refused`."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, raw in sorted(self.files.items()):
                entry = tarfile.TarInfo(f"{FOLDER}/{name}")
                entry.size, entry.mode, entry.mtime = len(raw), 0o600, int(now_s)
                tar.addfile(entry, io.BytesIO(raw))
        _write(path, packed.getvalue(), force=force)


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises `Refused` where a file is in the way, before anything is read."""
    try:
        there = path.exists()
    except OSError as exc:  # such as a name that is too long
        raise _unwritable(path, exc) from None
    if there and not force:
        raise _exists(path)


def _write(path: Path, packed: bytes, *, force: bool) -> None:
    """Write through a new file, so that a file that exists keeps neither its mode nor half of its content."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(packed)
        if force:
            new.replace(path)
        else:
            path.hardlink_to(new)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as exc:
        raise _unwritable(path, exc) from None
    finally:
        with suppress(OSError):  # it may never have come to be
            new.unlink()


def _exists(path: Path) -> Refused:
    return Refused(f"{path} exists; give another name with -o, or --force", ExitCode.USAGE)


def _unwritable(path: Path, exc: OSError) -> Refused:
    return Refused(f"{path} cannot be written ({exc.strerror or type(exc).__name__})")


def listed(files: Iterable[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """Name and size of each file, for people."""
    return [(name, f"{len(raw):,}") for name, raw in sorted(files)]
