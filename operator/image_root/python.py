"""Which files of the base image's Python go into the image: the interpreter and its standard library."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))

NOT_NEEDED = frozenset(
    {
        *("test", "idlelib", "tkinter", "turtledemo", "turtle.py", "pydoc_data", "ensurepip", "lib2to3", "distutils"),
        *("sqlite3", "curses", "dbm", "site-packages", "dist-packages", "__pycache__"),
        "EXTERNALLY-MANAGED",
    }
)
"""Names directly in the standard library that no service needs: tests, editors, windows, terminals, databases, pip."""

_EXTENSIONS = "lib-dynload"
_NOT_NEEDED_EXTENSIONS = (
    "_test",
    "_xx",
    "xx",
    "_ctypes_test",
    "_tkinter",
    "_curses",
    "_dbm",
    "_gdbm",
    "readline",
    "_sqlite3",
    "_codecs_",
)
"""Beginnings of names of compiled modules: those of the packages above, and character sets of East Asia."""


def interpreter() -> Path:
    """The file that the base image's `python3` is."""
    return Path(sys.executable).resolve()


def standard_library() -> Iterator[Path]:
    """All files of the standard library that are needed."""
    for path in sorted(STDLIB.rglob("*")):
        inside = path.relative_to(STDLIB)
        if path.is_file() and path.resolve().is_relative_to(STDLIB) and _needed(inside):
            yield path  # but no link to /etc, as Debian's sitecustomize.py is one


def _needed(inside: Path) -> bool:
    first = inside.parts[0]
    if first in NOT_NEEDED or not {"__pycache__", "test"}.isdisjoint(inside.parts):
        return False
    if first.startswith("config-") or inside.suffix in {".a", ".o"}:  # to compile against
        return False
    return not (first == _EXTENSIONS and inside.name.startswith(_NOT_NEEDED_EXTENSIONS))
