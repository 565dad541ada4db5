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

_VERSION = re.compile(r"\bgo(\d+)\.(\d+)")


def go() -> Path:
    """Go's command. Raises ToolMissing if there is none that can build."""
    if (found := shutil.which("go")) is None:
        raise ToolMissing("Go is missing")
    version = _version(Path(found))
    if version is None or version < OLDEST:
        told = f"is Go {dotted(version)}" if version else "tells no version of Go"
        raise ToolMissing(f"{found} {told}")
    return Path(found)


@functools.cache
def _version(program: Path) -> Version | None:
    try:
        answer = subprocess.run([program, "version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer.stdout)
    return tuple(map(int, match.groups())) if match else None
