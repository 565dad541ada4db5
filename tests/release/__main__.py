"""`python -m release charts|sbom|notes|check`, from the root of the repository. Files go to `dist/`."""

import subprocess
import sys
from pathlib import Path

import click

from byoc_operator.generate.version import project_version
from release.changelog import section
from release.checks import problems
from release.sbom import bill_of_materials
from testbed import tools

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
CHARTS = ("byoc-operator", "byoc-phone-numbers")


@click.group()
def release() -> None:
    """Make the parts of a release."""
    DIST.mkdir(exist_ok=True)


@release.command()
def charts() -> None:
    """Package both charts."""
    command = [str(tools.find(tools.HELM)), "package", *(str(ROOT / "helm" / name) for name in CHARTS)]
    subprocess.run([*command, "--destination", str(DIST)], check=True, timeout=120)


@release.command()
def sbom() -> None:
    """Write the bill of materials of the locked Python packages (CycloneDX)."""
    path = DIST / "byoc-operator.cdx.json"
    path.write_text(bill_of_materials(ROOT), encoding="utf-8")
    click.echo(f"{path.relative_to(ROOT)} written")


@release.command()
def notes() -> None:
    """Print the section of the changelog for this version."""
    click.echo(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), project_version(ROOT)))


@release.command()
@click.option("--tag", default="", help="The tag of the release, such as v0.2.0; empty: only look at the files.")
def check(tag: str) -> None:
    """Say what is missing for a release of this version. Exit code 1 if something is."""
    found = problems(ROOT, tag)
    for problem in found:
        click.echo(problem, err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    release(prog_name="python -m release")
