"""Builds a Go program into a file, once, even when two test runs ask for it at the same time."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from testbed.go import go
from testbed.process import Process
from testbed.progress import tell, wait
from testbed.tool import GoSource, Tool, ToolMissing, cache_folder

_LOOK_EVERY_S = 0.2
_LOG_TAIL_LINES = 20


class BuildFailed(RuntimeError):
    """A Go build failed; the message has the end of its log."""


def built(tool: Tool) -> Path:
    """Build a program into the cache. Raises ToolMissing with the line that installs it."""
    if tool.source is None:
        raise ToolMissing(f"{tool.name} is missing; {tool.install}")
    try:
        return build(go(), tool.source, cache_folder() / tool.label)
    except ToolMissing as missing:
        raise ToolMissing(f"{tool.name} is missing and cannot be built: {missing}; {tool.install}") from missing
    except BuildFailed as failed:
        raise ToolMissing(f"{tool.name} is missing and its build failed\n{failed}") from failed


def locked(waiting_for: str) -> AbstractContextManager[None]:
    """Hold the cache, for all tools at once: two Go builds beside each other take longer than one after the other."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    return _locked(cache_folder() / ".lock", waiting_for)


def build(compiler: Path, source: GoSource, target: Path) -> Path:
    """Build `source` to `target` unless another process just did; progress goes to stderr. Raises BuildFailed."""
    with locked(waiting_for=target.name):
        if not target.exists():
            _build(compiler, source, target)
    return target


@contextmanager
def fetching(compiler: Path, sources: Sequence[GoSource]) -> Iterator[None]:
    """Meanwhile download the modules of these sources, so that no build of them waits for the network.

    A download that fails is told by the build that misses it.
    """
    enough = threading.Event()

    def fetch() -> None:
        with tempfile.TemporaryDirectory(prefix="byoc-fetching-") as scratch:
            for source in sources:
                # `-n` loads all packages, which downloads them, and compiles nothing.
                command = [*_command(compiler, source, Path(scratch)), "-n", source.package]
                directory, log = source.folder or Path(scratch), Path(scratch) / "log"
                loading = Process(command, environment=_environment(scratch), log=log, directory=directory)
                while loading.wait(_LOOK_EVERY_S) is None:
                    if enough.is_set():
                        loading.kill()
                        return

    fetcher = threading.Thread(target=fetch, daemon=True)
    fetcher.start()
    try:
        yield
    finally:
        enough.set()
        fetcher.join()


def _build(compiler: Path, source: GoSource, target: Path) -> None:
    log = target.parent / f"{target.name}.build.log"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
        environment = _environment(scratch)
        command = [*_command(compiler, source, Path(scratch)), source.package]
        compiling = Process(command, environment=environment, log=log, directory=source.folder or Path(scratch))
        try:
            exit_code = wait(compiling, f"building {target.name}", source.expected_s)
        finally:
            compiling.kill()
        made = list(Path(scratch).iterdir())
        if exit_code != 0 or len(made) != 1:
            tail = "\n".join(log.read_text().splitlines()[-_LOG_TAIL_LINES:])
            raise BuildFailed(f"{' '.join(command)}: exit code {exit_code}\n{tail}")
        if source.files:
            _keep_files(compiler, source, target, environment)
        os.replace(made[0], target)  # noqa: PTH105  atomic over an existing file, and says so by its name


def _environment(binaries: str) -> dict[str, str]:
    # `auto`: a Go that is older than a program needs fetches the newer one from where it fetches modules.
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto", "GOBIN": binaries}


def _command(compiler: Path, source: GoSource, target: Path) -> list[str]:
    """What builds a source into the folder `target`, up to the package."""
    # The same flags for every tool, so that they share Go's build cache: `-trimpath` on some would split it.
    flags = ["-trimpath", "-ldflags", source.ldflags, *(["-tags", ",".join(source.tags)] if source.tags else [])]
    if source.folder is None:
        return [str(compiler), "install", *flags]
    return [str(compiler), "build", *flags, "-o", str(target)]


def _keep_files(compiler: Path, source: GoSource, target: Path, environment: dict[str, str]) -> None:
    """Copy what the program needs from its module: Go's module cache may be emptied later, ours is not."""
    command = [str(compiler), "list", "-f", "{{.Module.Dir}}", source.package]
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


@contextmanager
def _locked(path: Path, waiting_for: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"{waiting_for}: another process is building, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
