"""The installation's file of presets, read again at each sweep, so that a change needs no restart."""

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from .api.built_in_carriers import BUILT_IN
from .api.carriers import Catalogue
from .api.carriers_file import MAX_FILE_BYTES, WrongCarriers, extended
from .core.desired import Installation
from .errors import CannotRun

log = logging.getLogger("byoc_operator.main")


def carriers_in(path: Path | None) -> Catalogue:
    """The built-in presets with those of the file; None: there is no file.

    Raises CannotRun with one line that names the file, the line in it and what is allowed.
    """
    return BUILT_IN if path is None else _parsed(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise CannotRun(f"BYOC_CARRIERS_FILE: cannot read {path} ({type(exc).__name__})") from exc


@lru_cache(maxsize=1)
def _parsed(path: Path, content: bytes) -> Catalogue:
    """The presets of a file. They are remembered, because each sweep reads a file that seldom changes."""
    try:
        return extended(BUILT_IN, content.decode())
    except UnicodeDecodeError as exc:
        raise CannotRun(f"BYOC_CARRIERS_FILE: {path} is not UTF-8, from byte {exc.start} on") from None
    except WrongCarriers as exc:
        raise CannotRun(f"BYOC_CARRIERS_FILE: {path}, {exc}") from None


@dataclass
class MountedCarriers:
    """The installation with the presets as last read. `problem`: why the file cannot be used now, empty if it can."""

    path: Path | None
    installation: Installation
    problem: str = field(default="", init=False)

    def reload(self) -> None:
        """Read the file again. A file that is wrong changes nothing, and is told once."""
        try:
            carriers = carriers_in(self.path)
        except CannotRun as exc:
            if exc.message != self.problem:
                log.warning("%s; the presets from before stay in force", exc.message)
            self.problem = exc.message
            return
        if self.problem:
            log.info("BYOC_CARRIERS_FILE: the file of presets is right again")
        self.problem = ""
        if carriers != self.installation.carriers:
            self.installation = replace(self.installation, carriers=carriers)
            log.info("BYOC_CARRIERS_FILE: the presets changed; they reach the numbers with this sweep")
