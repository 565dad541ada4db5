"""What the test bed knows of a program that it needs: its version, which versions do as well, how it is got."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, ...]


NO = frozenset({"no", "0", "false", "off"})
"""What forbids something, in a variable of the environment."""


class ToolMissing(RuntimeError):
    """A program is neither there nor can it be made; the message holds what to do."""


@dataclass(frozen=True, slots=True)
class GoSource:
    """A Go package to build: inside the module in `folder`, or as `package@version` where `folder` is None."""

    package: str
    ldflags: str
    expected_s: int
    """Seconds on two cores, downloads included."""
    folder: Path | None = None
    files: tuple[str, ...] = ()
    """Folders of the package's module to keep beside the program, as `TARGET.files/NAME`."""
    tags: tuple[str, ...] = ()
    """Go's build tags."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the version of a program may be from that of another one, as Kubernetes publishes it.

    `allows` takes the program's own version, then the version of `other`.
    Source: https://kubernetes.io/releases/version-skew-policy/.
    """

    other: "Tool"
    allows: Callable[[Version, Version], bool]
    rule: str


@dataclass(frozen=True, slots=True)
class Tool:
    """One program. `version` is the one that we build; `fits` says which one found on PATH does as well."""

    name: str
    version: Version
    fits: Callable[[Version], bool]
    install: str
    source: GoSource | None = None
    file_variable: str | None = None
    folder_variable: str | None = None
    oldest: Version | None = None
    """Oldest version that is taken from the folder that the user names."""
    version_arguments: tuple[str, ...] = ("--version",)
    skew: Skew | None = None
    prebuilt: Version | None = None
    """Minor version of Kubernetes whose envtest archives hold it; None if none does."""

    @property
    def label(self) -> str:
        """Name and version as in the name of the cached file."""
        return f"{self.name}-{dotted(self.version)}"


def dotted(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def cache_folder() -> Path:
    """Folder of what we built or downloaded ourselves; shared by all checkouts of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "byoc-operator" / "tools"


def executable(path: Path) -> bool:
    """Whether this is a program that we may run."""
    return path.is_file() and os.access(path, os.X_OK)
