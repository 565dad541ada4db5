"""Makes the file an `.exe`, which is what kubectl starts on Windows.

distlib's launcher is what pip puts before each command on Windows: it reads the line `#!` behind itself, looks for that
Python on the PATH, and has it run the file, which is a zip as well.
https://github.com/pypa/distlib/blob/0.4.0/PC/launcher.c
"""

from importlib.metadata import distribution
from pathlib import Path

FIRST_LINE = b"#!/usr/bin/env python\r\n"
"""The installer of python.org makes `python.exe` and no `python3.exe`."""


def executable(zipped: bytes) -> bytes:
    """The zip as a program for a terminal. Nothing may stand before the zip: the launcher counts from its beginning."""
    return _of_distlib("distlib/t64.exe").read_bytes() + FIRST_LINE + zipped


def launcher_license() -> bytes:
    """The licence of the launcher, which asks for a copy of itself."""
    return _of_distlib("LICENSE.txt").read_bytes()


def _of_distlib(name: str) -> Path:
    found = (each for each in distribution("distlib").files or () if each.as_posix().endswith(name))
    return Path(str(next(found).locate()))
