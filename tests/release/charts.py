"""Packages a chart, with the address of the repository that releases it."""

import shutil
import subprocess
import tempfile
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


def released_by(repository: str, chart: str) -> str:
    """The text of a Chart.yaml with the address of the repository."""
    told = chart.replace(MAINTAINER, f"{MAINTAINER}    url: {repository}\n")
    return f"{told.rstrip()}\nhome: {repository}\nsources:\n  - {repository}\n"
