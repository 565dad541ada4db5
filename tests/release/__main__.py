"""`python -m release STEP`, from the root of the repository. Files go to `dist/`."""

import sys
from pathlib import Path

import click

from byoc_operator.generate.version import project_version
from release.changelog import section
from release.charts import packaged, pushed
from release.checks import problems
from release.krew import MANIFEST, ArchiveMissing, krew_manifest
from release.sbom import bill_of_materials

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
CHARTS = ("byoc-operator", "byoc-phone-numbers")


@click.group()
def release() -> None:
    """Make the parts of a release."""
    DIST.mkdir(exist_ok=True)


@release.command()
@click.option("--repository", default="", help="Address of the repository; it becomes home and sources of the charts.")
def charts(repository: str) -> None:
    """Package both charts."""
    for name in CHARTS:
        packaged(ROOT / "helm" / name, DIST, repository)


@release.command("push-charts")
@click.option("--registry", required=True, help="Host and path, such as ghcr.io/acme/charts.")
@click.argument("flags", nargs=-1)
def push_charts(registry: str, flags: tuple[str, ...]) -> None:
    """Push the packaged charts; print the reference of each, by digest. FLAGS go to `helm push`."""
    if not registry:
        raise click.UsageError("where to? make push-charts REGISTRY=ghcr.io/OWNER/charts")
    for name in CHARTS:
        click.echo(pushed(DIST / f"{name}-{project_version(ROOT)}.tgz", registry, flags))


@release.command()
def sbom() -> None:
    """Write the bill of materials of the locked Python packages (CycloneDX)."""
    path = DIST / "byoc-operator.cdx.json"
    path.write_text(bill_of_materials(ROOT), encoding="utf-8")
    click.echo(f"{path.relative_to(ROOT)} written")


@release.command()
@click.option("--repository", required=True, help="Address of the repository whose releases have the archives.")
def krew(repository: str) -> None:
    """Write krew's manifest for the archives in dist/."""
    if not repository:
        raise click.UsageError(
            "whose releases have the archives? make plugins REPOSITORY=https://github.com/OWNER/NAME"
        )
    try:
        text = krew_manifest(DIST, project_version(ROOT), repository)
    except ArchiveMissing as missing:
        raise click.ClickException(str(missing)) from missing
    (DIST / MANIFEST).write_text(text, encoding="utf-8")
    click.echo(f"dist/{MANIFEST} written")


@release.command()
def notes() -> None:
    """Print the section of the changelog for this version."""
    click.echo(section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), project_version(ROOT)))


@release.command()
@click.option("--tag", default="", help="The tag of the release, such as v0.2.0; empty: only look at the files.")
@click.option("--repository", default="", help="Address of the repository.")
def check(tag: str, repository: str) -> None:
    """Say what is missing for a release of this version. Exit code 1 if something is."""
    found = problems(ROOT, tag, repository)
    for problem in found:
        click.echo(problem, err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    release(prog_name="python -m release")
