"""What must be true before a version is released."""

from pathlib import Path

from byoc_operator.generate.command import outdated
from byoc_operator.generate.version import project_version
from release.changelog import NoSection, section


def problems(root: Path, tag: str, repository: str) -> list[str]:
    """One sentence for each thing that is not as a release needs it.

    `tag`: empty if there is none yet. `repository`: its address, for charts, image and krew.
    """
    version = project_version(root)
    found = [f"{path} is out of date: run `make generate`" for path in outdated(root)]
    if tag and tag != f"v{version}":
        found.append(f"the tag {tag} does not fit version {version} of pyproject.toml: it must be v{version}")
    if tag and not repository.startswith("https://"):
        found.append("the address of the repository is not known: give it as REPOSITORY=https://…")
    try:
        if not section((root / "CHANGELOG.md").read_text(encoding="utf-8"), version):
            found.append(f"the section [{version}] of CHANGELOG.md is empty")
    except NoSection as missing:
        found.append(str(missing))
    return found
