"""Builds a Go program into a file, once, even when two test runs ask for it at the same time."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.process import Process

_REPORT_EVERY_S = 15.0
_LOG_TAIL_LINES = 20


class BuildFailed(RuntimeError):
    """A Go build failed; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class GoSource:
    """A Go package to build: inside the module in `folder`, or as `package@version` where `folder` is None."""

    package: str
    ldflags: str
    expected_s: int
    folder: Path | None = None
    files: tuple[str, ...] = ()
    """Folders of the package's module to keep beside the program, as `TARGET.files/NAME`."""
    tags: tuple[str, ...] = ()
    """Go's build tags."""


def build(go: Path, source: GoSource, target: Path) -> Path:
    """Build `source` to `target` unless another process just did; progress goes to stderr. Raises BuildFailed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # One lock for all tools: two Go builds beside each other are slower than one after the other.
    with _locked(target.parent / ".lock", waiting_for=target.name):
        if not target.exists():
            _build(go, source, target)
    return target


def _build(go: Path, source: GoSource, target: Path) -> None:
    log = target.parent / f"{target.name}.build.log"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
        # The same flags for every tool, so that they share Go's build cache: `-trimpath` on some would split it.
        environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOBIN": scratch}
        flags = ["-trimpath", "-ldflags", source.ldflags, *(["-tags", ",".join(source.tags)] if source.tags else [])]
        if source.folder is None:
            command = [str(go), "install", *flags, source.package]
        else:
            command = [str(go), "build", *flags, "-o", scratch, source.package]
        compiler = Process(command, environment=environment, log=log, directory=source.folder or Path(scratch))
        try:
            exit_code = _wait_with_progress(compiler, target.name, source.expected_s)
        finally:
            compiler.kill()
        built = list(Path(scratch).iterdir())
        if exit_code != 0 or len(built) != 1:
            tail = "\n".join(log.read_text().splitlines()[-_LOG_TAIL_LINES:])
            raise BuildFailed(f"{' '.join(command)}: exit code {exit_code}\n{tail}")
        if source.files:
            _keep_files(go, source, target, environment)
        os.replace(built[0], target)  # noqa: PTH105  atomic over an existing file, and says so by its name


def _keep_files(go: Path, source: GoSource, target: Path, environment: dict[str, str]) -> None:
    """Copy what the program needs from its module: Go's module cache may be emptied later, ours is not."""
    command = [str(go), "list", "-f", "{{.Module.Dir}}", source.package]
    found = subprocess.run(
        command, cwd=source.folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if found.returncode != 0:
        raise BuildFailed(f"{' '.join(command)}: exit code {found.returncode}\n{found.stderr}")
    kept = target.parent / f"{target.name}.files"
    shutil.rmtree(kept, ignore_errors=True)
    for name in source.files:
        # Modules are read-only in Go's cache; ours must be removable.
        shutil.copytree(Path(found.stdout.strip()) / name, kept / name, copy_function=shutil.copyfile)
    for folder in (kept, *(path for path in kept.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _wait_with_progress(compiler: Process, label: str, expected_s: int) -> int:
    started = time.monotonic()
    while (exit_code := compiler.wait(_REPORT_EVERY_S)) is None:
        elapsed_s = time.monotonic() - started
        _tell(f"building {label}: {elapsed_s:.0f} s (about {expected_s} s on two cores)")
    _tell(f"building {label}: done after {time.monotonic() - started:.0f} s")
    return exit_code


@contextmanager
def _locked(path: Path, waiting_for: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(f"{waiting_for}: another process is building, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
