"""Builds the operator's image from its real Dockerfile, without a container engine or an image registry.

buildah builds it on a Debian root file system that mmdebstrap makes from packages. That base, the layers and the
downloads are kept in the user's cache; the first build takes about three minutes on two cores, later ones seconds.
`make image` builds it, as a person or a release would.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from testbed.pod_spec import Json
from testbed.process import clean_environment
from testbed.program import Program
from testbed.tool import ToolMissing, cache_folder

ROOT = Path(__file__).parents[2]
_BASE = "localhost/byoc-operator-base:trixie-1"
"""The version of the cached base image. A change makes every machine build it anew."""
_PACKAGES = "python3,python3-venv,ca-certificates"
_CERTIFICATES = Path("/etc/ssl/certs")
_SOURCE_DATE_EPOCH = "1700000000"
"""The same in each build: the time of the last commit would let no layer be taken from the cache."""
_ACCEPT_ALL = {"default": [{"type": "insecureAcceptAnything"}]}
"""No image is fetched from anywhere, so there is no signature to check."""


class BuildFailed(RuntimeError):
    """A step failed; the message holds the end of what it said."""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its settings as the image says them, and its root file system, writable, until it is removed.

    `layers`: the digests of its layers, the lowest first. `built_again`: builds it anew, no step from the cache, and
    returns the digests of those layers.
    """

    settings: Json
    layers: tuple[str, ...]
    root: Path
    built_again: Callable[[], tuple[str, ...]]

    @property
    def program(self) -> Program:
        """What a played pod starts."""
        variables = dict(line.split("=", 1) for line in self.settings["Env"])
        return Program(tuple(self.settings["Entrypoint"]), tuple(self.settings["Cmd"]), variables, self.root)


class _Buildah:
    """buildah with a store in the user's cache; one run at a time, others wait."""

    def __init__(self, scratch: Path) -> None:
        self.program = _needed("buildah")
        folder = cache_folder().parent / "images"
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = folder / ".lock"
        self._driver = _storage_driver(folder)
        # chroot works everywhere, inside a container too; the other ways need namespaces of their own.
        self.variables = {"STORAGE_DRIVER": self._driver, "BUILDAH_ISOLATION": "chroot"}
        self.store = ["--root", str(folder / self._driver), "--runroot", str(scratch / "run")]
        self.policy = scratch / "policy.json"
        self.policy.write_text(json.dumps(_ACCEPT_ALL))

    def __call__(self, command: str, *args: str, check: bool = True) -> str:
        return _run([self.program, *self.store, command, *args], clean_environment() | self.variables, check=check)


@contextmanager
def built() -> Iterator[Image]:
    """The image of this checkout, for as long as this is open. Raises ToolMissing or BuildFailed."""
    with tempfile.TemporaryDirectory(prefix="byoc-image-") as folder:
        buildah = _Buildah(Path(folder))
        with buildah.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _ensure_base(buildah, Path(folder))
            identifier = _build(buildah, Path(folder))
            container = buildah("from", f"--signature-policy={buildah.policy}", "--pull-never", identifier).strip()
            try:
                settings, layers = _inspected(buildah, identifier)
                root = Path(buildah("mount", container).strip())
                yield Image(settings, layers, root, partial(_layers_of_another, buildah, Path(folder)))
            finally:
                buildah("rm", container)
                _forget_old(buildah, identifier)


def _inspected(buildah: _Buildah, identifier: str) -> tuple[Json, tuple[str, ...]]:
    """The settings of an image, and the digests of its layers."""
    found = json.loads(buildah("inspect", "--type=image", identifier))["OCIv1"]
    return found["config"], tuple(found["rootfs"]["diff_ids"])


def _layers_of_another(buildah: _Buildah, scratch: Path) -> tuple[str, ...]:
    _, layers = _inspected(buildah, _build(buildah, scratch, "--no-cache"))
    return layers


def _build(buildah: _Buildah, scratch: Path, *more: str) -> str:
    """Identifier of the image. The machine's certificates and pip settings are lent to the build, not put into it."""
    pip = scratch / "pip.conf"
    index = os.environ.get("PIP_INDEX_URL")
    lines = [
        "[global]",
        f"cert = {_CERTIFICATES / 'ca-certificates.crt'}",
        *([f"index-url = {index}"] if index else ()),
    ]
    pip.write_text("\n".join(lines))
    identifier = scratch / "id"
    flags = (
        "--layers",
        "--pull-never",
        f"--signature-policy={buildah.policy}",
        f"--build-arg=BASE={_BASE}",
        f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",
        f"--volume={pip}:/etc/pip.conf:ro",
        f"--iidfile={identifier}",
        *more,
    )
    told = {
        "IMAGE_ENGINE": [buildah.program, *buildah.store],
        "IMAGE": ["localhost/byoc-operator"],
        "IMAGE_FLAGS": flags,
    }
    command = ["make", "-s", "-C", str(ROOT), "image", *(f"{name}={' '.join(words)}" for name, words in told.items())]
    _run(command, clean_environment() | buildah.variables | {"SOURCE_DATE_EPOCH": _SOURCE_DATE_EPOCH})
    return identifier.read_text().strip()


def _ensure_base(buildah: _Buildah, scratch: Path) -> None:
    if buildah("images", "--quiet", f"--filter=reference={_BASE}").strip():
        return
    archive = scratch / "base.tar"
    made = ["--quiet", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(archive)]
    _run([_needed("mmdebstrap"), *made], clean_environment())
    container = buildah("from", "scratch").strip()
    buildah("add", "--quiet", container, str(archive), "/")
    buildah("commit", "--quiet", f"--signature-policy={buildah.policy}", "--rm", container, _BASE)


def _forget_old(buildah: _Buildah, identifier: str) -> None:
    """Keep the layers of this build for the next one, and nothing older."""
    buildah("tag", identifier, "localhost/byoc-operator:built")
    buildah("rmi", "--prune", check=False)


def _storage_driver(folder: Path) -> str:
    """overlay, or vfs (which copies every file in every layer) inside a container: overlays do not stack."""
    known = "overlay" in Path("/proc/filesystems").read_text()
    kind = _run(["stat", "--file-system", "--format=%T", str(folder)], clean_environment()).strip()
    return "overlay" if known and kind != "overlayfs" else "vfs"


def _needed(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(f"{name} is missing; apt-get install buildah mmdebstrap bubblewrap")
    return found


def _run(command: list[str], environment: dict[str, str], *, check: bool = True) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildFailed(f"{' '.join(command)}: exit code {done.returncode}\n{tail}")
    return done.stdout
