"""Which shared libraries programs and compiled modules load."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

_FOUND = re.compile(r"(?:=> )?(?P<path>/\S+) \(0x[0-9a-f]+\)$")
_MISSING = re.compile(r"(?P<name>\S+) => not found$")

BY_NAME = ("libgcc_s.so.1",)
"""glibc loads it when a thread ends early, and no file says so."""


class Missing(RuntimeError):
    """A shared library is not there; the message names it and the file that needs it."""


def loaded_by(files: Iterable[Path]) -> set[Path]:
    """Paths of all shared libraries that these ELF files load, the dynamic loader among them. Raises Missing."""
    found: set[Path] = set()
    for file in files:
        found |= _loaded_by(file)
    folders = {path.parent for path in found}
    return found | {folder / name for folder in folders for name in BY_NAME if (folder / name).exists()}


def _loaded_by(file: Path) -> set[Path]:
    done = subprocess.run(["ldd", str(file)], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603, S607 - of the base image
    if done.returncode:  # "not a dynamic executable": it needs nothing
        return set()
    lines = [line.strip() for line in done.stdout.splitlines()]
    for line in lines:
        if missing := _MISSING.match(line):
            raise Missing(f"{file} needs {missing['name']}, which the base image does not have")
    return {Path(match["path"]) for line in lines if (match := _FOUND.search(line))}
