"""Makes a folder small and the same in each build: nothing that is never loaded, all modules compiled, one time."""

import compileall
import os
import py_compile
from pathlib import Path

from packing.elf import without_sections
from packing.never_loaded import is_never_loaded


def trim(environment: Path, site: Path) -> None:
    """Take out of a virtual environment and its `site-packages` what is never loaded or started.

    Compiled modules lose what only debuggers read.
    """
    for path in (environment / "bin").iterdir():
        if not path.name.startswith("python"):
            path.unlink()
    for path in sorted(site.rglob("*")):
        if not path.is_file():
            continue
        if is_never_loaded(path.relative_to(site)):
            path.unlink()
        elif ".so" in path.suffixes:
            path.write_bytes(without_sections(path.read_bytes()))
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def compile_modules(root: Path) -> None:
    """Compile all modules: where the root file system is read-only, Python cannot keep what it compiles.

    Compiled files are never compared with their source at run time, as nobody can change it.
    Raises RuntimeError for a module that cannot be compiled.
    """
    # In one process: what several compile depends on who comes first. The path in tracebacks is that in the image.
    done = compileall.compile_dir(
        root,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise RuntimeError(f"a module in {root} cannot be compiled; its name stands above")


def date(root: Path, seconds: int) -> None:
    """Give all files and folders this time (seconds since 1970), and rights that fit every user."""
    for folder, folders, files in os.walk(root):
        for path in (Path(folder, name) for name in (*files, *folders)):
            if not path.is_symlink() and not path.stat().st_mode & 0o1000:
                runs = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runs else 0o644)
            os.utime(path, (seconds, seconds), follow_symlinks=False)
    root.chmod(0o755)
    os.utime(root, (seconds, seconds))
