"""Fetches the libraries of `kubectl byoc` for any platform, as the lock file pins them, with uv."""

import platform as running
import subprocess
import sys
import tempfile
from pathlib import Path

from packing.elf import without_sections
from packing.never_loaded import is_never_loaded

ROOT = Path(__file__).parents[2]

PLATFORMS = {
    "linux-amd64": "x86_64-manylinux_2_28",
    "linux-arm64": "aarch64-manylinux_2_28",
    "darwin-arm64": "aarch64-apple-darwin",
    "windows-amd64": "x86_64-pc-windows-msvc",
}
"""Platforms in the words of Go, kubectl and krew, and in those of uv.

cryptography has no wheel for a Mac with an Intel processor, nor for Windows on ARM.
"""

MINORS = (11, 12, 13, 14)
"""The Pythons 3.x whose libraries go into the file. A new one is added as soon as all libraries have wheels for it."""

_LEFT_OUT = frozenset(
    {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json", ".lock"}
)
"""What an installer writes about the installation: nobody reads it, and it may differ from build to build."""


def own_platform() -> str:
    """The platform that this runs on, in Go's words."""
    machine = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}.get(running.machine(), running.machine())
    return f"{running.system().lower()}-{machine}"


def own_wheel(into: Path) -> Path:
    """A wheel of the package `byoc_operator` of this checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own arguments
    (wheel,) = into.glob("*.whl")
    return wheel


def files(platform: str, minor: int, wheel: Path) -> dict[str, bytes]:
    """All files of `site-packages` for a platform (a key of `PLATFORMS`) and Python 3.`minor`, by path."""
    with tempfile.TemporaryDirectory() as folder:
        locked = ["--require-hashes", "-r", str(ROOT / "requirements-plugin.lock")]
        for what in (locked, [str(wheel)]):
            _install(what, PLATFORMS[platform], minor, Path(folder))
        found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
        paths = {path.relative_to(folder).as_posix(): path for path in found if _needed(path.relative_to(folder))}
        return {name: without_sections(path.read_bytes()) for name, path in paths.items()}


def _install(what: list[str], platform: str, minor: int, into: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy", "--target", str(into)]
    target = ["--python", sys.executable, "--python-platform", platform, "--python-version", f"3.{minor}"]
    subprocess.run([uv, "pip", "install", *options, *target, *what], check=True)  # noqa: S603 - our own arguments


def _needed(path: Path) -> bool:
    return not (path.name in _LEFT_OUT or path.parts[0] == "bin" or is_never_loaded(path))
