"""A support bundle as whoever gets it sees it."""

import tarfile
from pathlib import Path


def unpacked(path: Path) -> dict[str, str]:
    """The files of a bundle, by name below its folder."""
    with tarfile.open(path) as tar:
        return {
            entry.name.partition("/")[2]: content.read().decode()
            for entry in tar
            if (content := tar.extractfile(entry)) is not None
        }
