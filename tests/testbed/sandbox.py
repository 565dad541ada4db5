"""What a container runtime does, with bubblewrap: own root and mounts, the pod's user, nothing of the machine's own."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from testbed.pod_spec import Json
from testbed.program import Program, resolved_in
from testbed.tool import ToolMissing

_RUNTIME = Path("/.runtime")
"""In the root of an image: what a container runtime brings to change the user. An image need not have it."""


def sandbox(program: Program, spec: Json, name: str, mounted: Sequence[str | Path]) -> list[str]:
    """Bubblewrap and what it is to do, up to the program's own command line."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ToolMissing("bubblewrap is missing; apt-get install bubblewrap")
    user = {**spec["securityContext"], **spec["containers"][0]["securityContext"]}
    namespaces = ["--die-with-parent", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts"]
    return [bwrap, *namespaces, "--hostname", name, *_as_user(user, _mounted(program, mounted), program.root)]


def _mounted(program: Program, places: Sequence[str | Path]) -> list[str]:
    """The root and what is mounted below it. A Path is where something goes, inside the root."""
    known = [str(resolved_in(program.root, each) if isinstance(each, Path) else each) for each in places]
    system = ["--proc", "/proc", "--dev", "/dev"]
    if program.root is not None:
        resolved_in(program.root, _RUNTIME)
        lent = [part for path in _setpriv() for part in ("--ro-bind", str(path), str(_RUNTIME / path.name))]
        runtime = ["--perms", "0755", "--tmpfs", str(_RUNTIME), *lent, "--remount-ro", str(_RUNTIME)]
        return ["--ro-bind", str(program.root), "/", *system, *runtime, *known]
    wanted = [*program.shared, *(each for each in places if isinstance(each, Path))]
    # Where bubblewrap has to make a folder to mount something below it, it makes it for root only.
    above = sorted({folder for place in wanted for folder in place.parents} - {Path("/")})
    made = [part for folder in above for part in ("--perms", "0755", "--dir", str(folder))]
    own = [folder for folder in program.shared if folder not in places]  # a pod's own /etc/hosts counts
    shared = [part for folder in own for part in ("--ro-bind", str(folder), str(folder))]
    # The checkout last, as it may itself be below a volume such as /tmp, whose new mount would hide it.
    return [*made, *system, *known, *made, *shared, "--remount-ro", "/"]


@cache
def _setpriv() -> tuple[Path, ...]:
    """The dynamic loader of this machine, then setpriv and its libraries."""
    program = shutil.which("setpriv")
    if program is None:
        raise ToolMissing("setpriv is missing; apt-get install util-linux")
    command = [str(shutil.which("ldd")), program]
    words = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.split()
    paths = [Path(word) for word in words if word.startswith("/")]
    return tuple(sorted((*paths, Path(program)), key=lambda path: not path.name.startswith("ld-")))


def _changing_user(root: Path | None) -> list[str]:
    """How setpriv is started below `root`."""
    if root is None:
        return ["setpriv"]
    return [str(_RUNTIME / _setpriv()[0].name), "--library-path", str(_RUNTIME), str(_RUNTIME / "setpriv")]


def _as_user(user: Json, arguments: Sequence[str], root: Path | None) -> list[str]:
    """Give up root for the pod's user, for good. A developer without root becomes that user in a user namespace."""
    uid, gid = user["runAsUser"], user["runAsGroup"]
    if os.geteuid() != 0:
        return ["--unshare-user", "--uid", str(uid), "--gid", str(gid), *arguments, "--chdir", "/", "--"]
    # Only what it takes to change the user, and to lose even that.
    needed = [part for name in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{name}")]
    group = user.get("fsGroup")
    groups = "--clear-groups" if group is None else f"--groups={group}"
    user_and_groups = [f"--reuid={uid}", f"--regid={gid}", groups]
    lost = [*_changing_user(root), *user_and_groups, "--bounding-set=-all", "--inh-caps=-all"]
    return [
        "--cap-drop",
        "ALL",
        *needed,
        *arguments,
        "--chdir",
        "/",
        "--",
        *lost,
        "--ambient-caps=-all",
        "--no-new-privs",
    ]
