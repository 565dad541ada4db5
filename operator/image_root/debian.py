"""Records of which Debian packages the files in the image are, so that scanners find vulnerabilities in them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

_DPKG = Path("/var/lib/dpkg")
_RECORDS = Path("var/lib/dpkg/status.d")
"""A file for each package, as distroless images have it; Trivy, Grype and Syft read it."""


def recorded(root: Path) -> None:
    """Write below `root` the record and the licence of each package that a file there comes from."""
    stanzas = dict(_stanzas((_DPKG / "status").read_text(encoding="utf-8")))
    records = root / _RECORDS
    records.mkdir(parents=True, exist_ok=True)
    for package in sorted(_owners(root)):
        name = package.partition(":")[0]
        (records / name).write_text(stanzas[name], encoding="utf-8")
        licence = Path("/usr/share/doc", name, "copyright")
        if licence.exists():
            copied = root / licence.relative_to("/")
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(licence, copied)


def _stanzas(status: str) -> Iterator[tuple[str, str]]:
    """Name and text of each installed package."""
    for stanza in status.split("\n\n"):
        if stanza.startswith("Package: "):
            yield stanza.partition("\n")[0].removeprefix("Package: "), f"{stanza.strip()}\n"


def _owners(root: Path) -> Iterator[str]:
    """Packages, some with their architecture behind a colon, that have a file which is below `root` as well."""
    there = {Path("/", path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    for listed in sorted((_DPKG / "info").glob("*.list")):
        # Packages may name a file by a folder that is a link: /lib/… is /usr/lib/….
        paths = (Path(line) for line in listed.read_text(encoding="utf-8").splitlines())
        if any(path.parent.resolve() / path.name in there for path in paths):
            yield listed.stem
