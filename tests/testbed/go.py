"""The Go of this machine, which builds what is neither found nor downloaded."""

import functools
import re
import shutil
import subprocess
from pathlib import Path

from testbed.tool import ToolMissing, Version, dotted

OLDEST: Version = (1, 21)
"""The first one that fetches a newer Go by itself where a program needs it (https://go.dev/doc/toolchain)."""
INSTALL = f"install Go {dotted(OLDEST)} or newer (https://go.dev/dl, or Debian 13's golang-go)"
"""What to do about a missing Go."""

_LONGEST = 200
_VERSION = re.compile(r"\bgo(\d+)\.(\d+)")


def go() -> Path:
    """Go's command. Raises ToolMissing if there is none that can build."""
    if (found := shutil.which("go")) is None:
        raise ToolMissing("Go is missing")
    says = _says(Path(found))
    match = _VERSION.search(says)
    if match is None:
        raise ToolMissing(f"{found} tells no version of Go, but: {says[:_LONGEST]!r}")
    version = tuple(map(int, match.groups()))
    if version < OLDEST:
        raise ToolMissing(f"{found} is Go {dotted(version)}")
    return Path(found)


@functools.cache
def _says(program: Path) -> str:
    try:
        answer = subprocess.run([program, "version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (answer.stdout or answer.stderr).strip()
