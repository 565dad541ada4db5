"""One place has the version, and what must be true before a release is checked."""

import shutil
from pathlib import Path

import pytest

from byoc_operator.generate.version import PLACES, project_version, version_files
from release.changelog import NoSection, section
from release.checks import problems

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
ADDRESS = "https://git.example.com/acme/byoc-operator"
LOG = """# Changelog

## [Unreleased]

- later

## [0.2.0] - 2026-12-01

### Added

- a thing

## [0.1.0]

- first
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the files that name the version, with another version in `pyproject.toml`."""
    for path in ("pyproject.toml", "CHANGELOG.md", *PLACES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{project_version(ROOT)}"', 'version = "7.8.9-rc1"', 1))
    return tmp_path


@pytest.mark.parametrize("path", PLACES)
def test_every_place_names_the_version_of_the_project(path: str) -> None:
    assert project_version(ROOT) in (ROOT / path).read_text()


@pytest.mark.parametrize("path", PLACES)
def test_a_new_version_reaches_every_place(copied: Path, path: str) -> None:
    text = version_files(copied)[path]
    assert "7.8.9-rc1" in text
    assert text.replace("7.8.9-rc1", project_version(ROOT)) == (ROOT / path).read_text()


def test_no_other_file_of_an_installation_names_the_version() -> None:
    version = project_version(ROOT)
    folders = (ROOT / "helm", ROOT / "deploy", ROOT / "docs")
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".yaml", ".md", ".env"}]
    naming = {str(path.relative_to(ROOT)) for path in files if f":{version}" in path.read_text()}
    assert naming <= set(PLACES)


def test_the_section_of_a_version_is_found() -> None:
    assert section(LOG, "0.2.0") == "### Added\n\n- a thing"
    assert section(LOG, "0.1.0") == "- first"


def test_a_version_without_a_section_is_named() -> None:
    with pytest.raises(NoSection, match=r"\[0\.3\.0\]"):
        section(LOG, "0.3.0")


def test_this_version_can_be_released() -> None:
    assert problems(ROOT, f"v{project_version(ROOT)}", ADDRESS) == []


def test_a_tag_of_another_version_is_refused() -> None:
    (problem,) = problems(ROOT, "v9.9.9", ADDRESS)
    assert "the tag v9.9.9 does not fit" in problem


@pytest.mark.parametrize("address", ["", "git@git.example.com:acme/byoc-operator"])
def test_a_release_without_an_address_of_the_repository_is_refused(address: str) -> None:
    (problem,) = problems(ROOT, f"v{project_version(ROOT)}", address)
    assert "REPOSITORY=https://" in problem
    assert problems(ROOT, "", address) == []
