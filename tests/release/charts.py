"""Packages a chart, with the address of the repository that releases it."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed import tools

MAINTAINER = "  - name: BYOC operator maintainers\n"


def packaged(chart: Path, into: Path, repository: str) -> None:
    """Package a chart. Its `home`, `sources` and the address of its maintainers are that of the repository, if known.

    The address is in no file of the source: whoever releases charts, a fork as well, has an own one.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(chart, Path(folder, chart.name)))
        if repository:
            file = copy / "Chart.yaml"
            file.write_text(released_by(repository, file.read_text(encoding="utf-8")), encoding="utf-8")
        helm = str(tools.find(tools.HELM))
        subprocess.run([helm, "package", str(copy), "--destination", str(into)], check=True, timeout=120)


def pushed(archive: Path, registry: str, flags: Sequence[str]) -> str:
    """Push a packaged chart as an OCI artefact; its reference by digest, such as a signature needs it.

    `registry`: host and path, such as `ghcr.io/acme/charts`; `flags`: for `helm push`.
    """
    command = [str(tools.find(tools.HELM)), "push", str(archive), f"oci://{registry}", *flags]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    found = re.search(r"^Digest: (sha256:[0-9a-f]{64})$", done.stdout + done.stderr, re.MULTILINE)
    if found is None:
        raise ValueError(f"helm push of {archive.name} told no digest")
    return f"{registry}/{re.sub('-[0-9].*', '', archive.stem)}@{found[1]}"


def released_by(repository: str, chart: str) -> str:
    """The text of a Chart.yaml with the address of the repository."""
    told = chart.replace(MAINTAINER, f"{MAINTAINER}    url: {repository}\n")
    return f"{told.rstrip()}\nhome: {repository}\nsources:\n  - {repository}\n"
