"""Makes the file for a platform: a Python program on Unix, an `.exe` on Windows."""

from collections.abc import Sequence
from pathlib import Path

from .archive import packed
from .wheels import files
from .windows import executable

UNIX_FIRST_LINE = b"#!/usr/bin/env python3\n"


def file_name(platform: str) -> str:
    """How the command is called there: kubectl looks for this name."""
    return "kubectl-byoc.exe" if platform.startswith("windows") else "kubectl-byoc"


def file_for(platform: str, minors: Sequence[int], wheel: Path) -> bytes:
    """The whole file for a platform (a key of `PLATFORMS`), with the libraries for these Pythons 3.x."""
    by_minor = {minor: files(platform, minor, wheel) for minor in minors}
    if platform.startswith("windows"):
        return executable(packed(by_minor))
    return packed(by_minor, first_line=UNIX_FIRST_LINE)
