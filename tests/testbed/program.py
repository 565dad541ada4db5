"""The program of a played pod, in place of a container image: this checkout, or the root of a built image."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import byoc_operator


@dataclass(frozen=True, slots=True)
class Program:
    """A root file system with the image's ENTRYPOINT, CMD and ENV.

    `root` None: no image, but the folders `shared` of this machine, read-only and at the same paths.
    """

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    root: Path | None = None
    shared: tuple[Path, ...] = ()


def checkout() -> Program:
    """The operator of this checkout, with the Python that runs the tests; nothing else of the machine is visible."""
    folders = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/hosts", "/etc/resolv.conf", "/etc/ssl"]
    source = str(Path(byoc_operator.__file__).parents[1])
    shared = [Path(folder) for folder in folders if Path(folder).exists()]
    shared += [
        folder for folder in map(Path, (sys.prefix, sys.base_prefix, source)) if not folder.is_relative_to("/usr")
    ]
    environment = {"PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": source}
    return Program(("python", "-m", "byoc_operator"), ("run",), environment, shared=tuple(dict.fromkeys(shared)))


def resolved_in(root: Path | None, place: Path) -> Path:
    """`place` with the links of an image followed, and made in it: what a container runtime does before it mounts.

    Links are followed inside `root` (Debian's `/var/run` points to `/run`, and that is the image's own).
    """
    if root is None:
        return place
    found = Path("/")
    for part in place.parts[1:]:
        inside = root / found.relative_to("/") / part
        found = found / part
        if inside.is_symlink():
            target = inside.readlink()
            found = resolved_in(root, target if target.is_absolute() else found.parent / target)
    (root / found.relative_to("/")).mkdir(parents=True, exist_ok=True)
    return found
