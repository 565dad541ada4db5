"""What runs first in the file: it unpacks the libraries into the cache of the user, and starts the command.

It must also run on a Python that is too old for the command, to say so: nothing newer than Python 3.7 may stand here.
"""

from __future__ import annotations

import os
import sys
import time

TAKEN_OVER = "KUBECTL_BYOC_TAKEN_OVER"
"""Environment variable: a Python that did not fit has started this one, which must not start a third one."""

UNUSED_S = 30 * 24 * 3600
"""An unpacked folder that nobody has started from for so long is removed, when a new one is made."""

_LIST = "unpacked.txt"
"""In an unpacked folder: size in bytes and path of each file, a line each. It is written last."""

_TRIES = 5
"""How many folders are looked at. One that is broken stays untouched, because another process may use it."""


def main(digest: str, minors: tuple[int, ...]) -> None:
    """Start the command. `digest` names the contents; `minors`: the Pythons 3.x that the file has libraries for."""
    taken_over = os.environ.pop(TAKEN_OVER, None)
    if sys.version_info[:2] not in {(3, minor) for minor in minors}:
        sys.exit(_taken_over(minors) if taken_over is None else _unfit(minors))
    archive = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = _site(archive, digest, f"py3{sys.version_info[1]}")
    if os.path.basename(sys.argv[0]).startswith("kubectl_complete"):
        from byoc_operator.cli.completion import main as command  # noqa: PLC0415 - it is in the unpacked folder
    else:
        from byoc_operator.cli.kubectl_byoc import main as command  # noqa: PLC0415 - as above
    command()


def _unfit(minors: tuple[int, ...]) -> str:
    fitting = ", ".join(f"3.{minor}" for minor in minors)
    found = f"{sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"kubectl-byoc: this file needs Python {fitting}; {found}. Install one of them, or: pipx install byoc-operator"
    )


def _taken_over(minors: tuple[int, ...]) -> str:
    """Replace the process by a Python that fits, the newest on the PATH. Returns only if there is none: a message."""
    import shutil  # noqa: PLC0415 - seldom needed, and the start is quick without it

    for minor in sorted(minors, reverse=True):
        python = shutil.which(f"python3.{minor}")
        if python is not None and os.name == "posix":
            isolated = ["-I"] if sys.flags.isolated else []
            command = [python, *isolated, *sys.argv]
            os.execve(python, command, {**os.environ, TAKEN_OVER: "1"})  # noqa: S606 - the user's own Python
    return _unfit(minors)


def _site(archive: str, digest: str, part: str) -> str:
    """The folder with the libraries. Where the cache cannot be used, a temporary one that is removed at the end."""
    try:
        root = _cache()
        for attempt in range(_TRIES):
            folder = os.path.join(root, f"{digest}-{part}-{attempt}")
            if _whole(folder):
                os.utime(folder)
                return folder
            if not os.path.exists(folder) and _made(archive, part, folder):
                return folder
        problem = f"it has {_TRIES} broken folders; remove them"
    except OSError as exc:
        root, problem = exc.filename or "the cache", exc.strerror or str(exc)
    sys.stderr.write(f"kubectl-byoc: unpacks itself anew, as {root} cannot be used: {problem}\n")
    return _temporary(archive, part)


def _cache() -> str:
    """The cache folder of this command. Raises `OSError` if it cannot be made, or if others could write into it."""
    base = os.environ.get("XDG_CACHE_HOME" if os.name == "posix" else "LOCALAPPDATA", "")
    if not os.path.isabs(base):  # also an empty one, as the XDG base directory specification says
        base = os.path.expanduser("~")
        if not os.environ.get("HOME", base):
            raise OSError(0, "HOME is empty", base)
        base = os.path.join(base, ".cache")
    root = os.path.join(base, "kubectl-byoc")
    os.makedirs(root, mode=0o700, exist_ok=True)
    found = os.stat(root)
    # Root with the HOME of another user, as sudo may leave it, must not run what that user has put there.
    if os.name == "posix" and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        raise OSError(0, "others can write there", root)
    return root


def _whole(folder: str) -> bool:
    """Whether all files are there with their sizes: a full disk or a cleaner of old files may have taken some."""
    try:
        with open(os.path.join(folder, _LIST), encoding="utf-8") as lines:
            for line in lines:
                size, _, path = line.rstrip("\n").partition(" ")
                if os.stat(os.path.join(folder, path)).st_size != int(size):
                    return False
    except (OSError, ValueError):
        return False
    return True


def _made(archive: str, part: str, folder: str) -> bool:
    """Unpack beside, then rename: no other process sees half a folder. False if another one was first."""
    import shutil  # noqa: PLC0415 - only the first start needs it
    import tempfile  # noqa: PLC0415 - as above

    root = os.path.dirname(folder)
    _remove_unused(root)
    made = tempfile.mkdtemp(prefix="new-", dir=root)
    try:
        _unpack(archive, part, made)
        os.rename(made, folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not os.path.exists(folder):
            raise
        return _whole(folder)
    return True


def _remove_unused(root: str) -> None:
    import shutil  # noqa: PLC0415 - only the first start needs it

    for name in os.listdir(root):
        path = os.path.join(root, name)
        try:
            unused = time.time() - os.stat(path).st_mtime > UNUSED_S
        except OSError:
            continue  # another process has just removed or renamed it
        if unused:
            shutil.rmtree(path, ignore_errors=True)


def _temporary(archive: str, part: str) -> str:
    import atexit  # noqa: PLC0415 - only without a cache
    import shutil  # noqa: PLC0415 - as above
    import tempfile  # noqa: PLC0415 - as above

    try:
        folder = tempfile.mkdtemp(prefix="kubectl-byoc-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _unpack(archive, part, folder)
    except OSError as exc:
        sys.exit(f"kubectl-byoc: cannot unpack itself: {exc}. Set XDG_CACHE_HOME to a folder with 200 MB left.")
    return folder


def _unpack(archive: str, part: str, folder: str) -> None:
    """Unpack what all Pythons share and what is for this one, and write the list of the files."""
    import zipfile  # noqa: PLC0415 - only the first start needs it

    lines = []
    with zipfile.ZipFile(archive) as outer:
        for name in ("common.zip", part + ".zip"):
            with outer.open(name) as stream, zipfile.ZipFile(stream) as inner:
                inner.extractall(folder)  # our own file, and zipfile leaves no folder
                lines += [f"{each.file_size} {each.filename}\n" for each in inner.infolist()]
    with open(os.path.join(folder, _LIST), "w", encoding="utf-8") as written:
        written.writelines(lines)
