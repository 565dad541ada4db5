"""The lowest layer of the image: Python, the shared libraries that it loads, and the public certificate authorities."""

import shutil
import ssl
from collections.abc import Iterable
from pathlib import Path

from .debian import recorded
from .python import interpreter, standard_library
from .shared_libraries import loaded_by

AUTHORITIES = Path("/usr/share/ca-certificates")
"""Where Debian's package has the certificates, one a file. /etc/ssl/certs may be lent to the build by its machine."""

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""Where programs expect all of them in one file."""

_LINKED = ("bin", "lib", "lib32", "lib64", "sbin")
"""Folders of the root that are links to those in /usr, where the base image has them so."""
_COPIED = ("/etc/ld.so.cache", "/etc/debian_version", "/etc/os-release", "/usr/lib/os-release", "/etc/ssl/openssl.cnf")
"""The loader finds libraries by its cache; scanners learn from os-release whose libraries they are."""
_SWITCH = "hosts: files dns\n"
_WRITABLE_BY_ALL = 0o1777


def make_system(site: Path, into: Path) -> None:
    """Copy from the running system to `into` what Python and the compiled modules below `site` need."""
    for name in _LINKED:
        if Path("/", name).is_symlink():
            _copied_link(Path("/", name), into)
    _copy_python(into)
    elf = [interpreter(), *(path for path in standard_library() if ".so" in path.suffixes), *site.rglob("*.so*")]
    for path in loaded_by(elf):
        if not path.is_relative_to(site):  # wheels bring some of their own
            _copy(path, into)
    for each in map(Path, _COPIED):
        if each.exists():
            _copy(each, into)
    _write(into, Path("/etc/nsswitch.conf"), _SWITCH)
    _write(into, BUNDLE, bundle(AUTHORITIES.rglob("*.crt")))
    default = Path(ssl.get_default_verify_paths().openssl_cafile)
    if default != BUNDLE:
        _link(into, default, BUNDLE)
    recorded(into)
    for folder in ("dev", "proc", "run", "sys"):  # where a container runtime mounts
        (into / folder).mkdir(exist_ok=True)
    (into / "tmp").mkdir(exist_ok=True)
    (into / "tmp").chmod(_WRITABLE_BY_ALL)


def bundle(certificates: Iterable[Path]) -> str:
    """All certificates in one text. Raises LookupError if there is none: the operator could not reach LiveKit Cloud."""
    texts = [path.read_text(encoding="ascii").strip() for path in sorted(certificates)]
    if not texts:
        raise LookupError(f"the base image has no certificates in {AUTHORITIES}: install ca-certificates")
    return "\n".join([*texts, ""])


def _copy_python(into: Path) -> None:
    program = interpreter()
    _copy(program, into)
    for name in ("python3", "python"):
        link = program.with_name(name)
        if link.is_symlink():
            _copied_link(link, into)
    for path in standard_library():
        _copy(path, into)


def _copy(path: Path, into: Path) -> None:
    """Copy a file, its folders' links followed and itself in the place of a link to it."""
    place = path.parent.resolve() / path.name
    target = into / place.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _copied_link(path: Path, into: Path) -> None:
    _link(into, path, path.readlink())


def _link(into: Path, place: Path, target: Path) -> None:
    link = into / place.relative_to("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)


def _write(into: Path, place: Path, text: str) -> None:
    target = into / place.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
