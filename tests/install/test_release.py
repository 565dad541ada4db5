"""The targets of the Makefile make the parts of a release, and the workflows that call them are sound."""

import json
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from byoc_operator.generate.version import project_version
from install.cluster import ROOT
from testbed import tools
from testbed.http_probe import get
from testbed.part import free_port
from testbed.process import Process, clean_environment

VERSION = project_version(ROOT)
ADDRESS = "https://git.example.com/acme/byoc-operator"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"[a-z0-9-]+/[a-z0-9-]+@[0-9a-f]{40}")


def make(*targets: str) -> str:
    """The output of make, run as a person runs it."""
    command = ["make", "-s", *targets]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_charts_are_packaged_with_the_version() -> None:
    make("charts", f"REPOSITORY={ADDRESS}")
    for name in ("byoc-operator", "byoc-phone-numbers"):
        with tarfile.open(ROOT / "dist" / f"{name}-{VERSION}.tgz") as archive:
            file = archive.extractfile(f"{name}/Chart.yaml")
            assert file is not None
            chart = yaml.safe_load(file.read())
        assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
        assert (chart["home"], chart["sources"]) == (ADDRESS, [ADDRESS])
        assert chart["maintainers"][0]["url"] == ADDRESS


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """An empty registry of OCI artefacts on 127.0.0.1."""
    port = free_port()
    command = [str(tools.find(tools.OCI_REGISTRY)), f"-port={port}"]
    serving = Process(command, environment=clean_environment(), log=tmp_path / "log", directory=tmp_path)
    deadline = time.monotonic() + 20
    while get(port, "/v2/").status != 200:
        assert time.monotonic() < deadline, "the registry does not answer"
        time.sleep(0.05)
    yield f"127.0.0.1:{port}/charts"
    serving.stop(5)


def test_charts_are_pushed_and_come_back_by_their_digest(registry: str, tmp_path: Path) -> None:
    make("charts", f"REPOSITORY={ADDRESS}")
    references = make("push-charts", f"REGISTRY={registry}", "HELM_FLAGS=--plain-http").split()
    names = ("byoc-operator", "byoc-phone-numbers")
    assert [reference.partition("@")[0] for reference in references] == [f"{registry}/{name}" for name in names]
    for name, reference in zip(names, references, strict=True):
        command = [str(tools.find(tools.HELM)), "pull", f"oci://{reference}", "--plain-http", "-d", str(tmp_path)]
        subprocess.run(command, env=clean_environment(), check=True, timeout=60)
        (pulled,) = tmp_path.glob(f"{name}*.tgz")
        assert pulled.read_bytes() == (ROOT / "dist" / f"{name}-{VERSION}.tgz").read_bytes()


def test_charts_are_pushed_nowhere_unless_told() -> None:
    with pytest.raises(AssertionError, match="make push-charts REGISTRY="):
        make("push-charts")


def test_the_address_of_the_repository_is_that_of_the_clone(tmp_path: Path) -> None:
    git = str(shutil.which("git"))
    subprocess.run([git, "init", "-q", str(tmp_path)], check=True)
    subprocess.run([git, "-C", str(tmp_path), "remote", "add", "origin", "x"], check=True)
    for remote, address in (
        ("https://user:secret@git.example.com/acme/byoc.git", "https://git.example.com/acme/byoc"),
        ("git@git.example.com:acme/byoc.git", "https://git.example.com/acme/byoc"),
        (str(tmp_path), ""),
    ):
        subprocess.run([git, "-C", str(tmp_path), "remote", "set-url", "origin", remote], check=True)
        told = clean_environment() | {"GIT_DIR": str(tmp_path / ".git")}
        command = [str(shutil.which("make")), "-n", "charts"]
        done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=60, check=True)
        assert f'release charts --repository "{address}"' in done.stdout


def test_the_package_is_the_same_when_it_is_built_twice() -> None:
    wheel = ROOT / "dist" / f"byoc_operator-{VERSION}-py3-none-any.whl"
    make("package")
    first = wheel.read_bytes()
    make("package")
    assert wheel.read_bytes() == first
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    assert "byoc_operator/__main__.py" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_bill_of_materials_names_every_locked_package_and_is_the_same_twice() -> None:
    path = ROOT / "dist" / "byoc-operator.cdx.json"
    make("sbom")
    first = path.read_text()
    make("sbom")
    assert path.read_text() == first
    listed = {each["name"].lower() for each in json.loads(first)["components"]}
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    assert listed >= {line.partition("==")[0] for line in lock if "==" in line and line[0].isalnum()}


def test_the_release_check_refuses_a_wrong_tag() -> None:
    make("release-check", f"TAG=v{VERSION}", f"REPOSITORY={ADDRESS}")
    with pytest.raises(AssertionError, match="does not fit version"):
        make("release-check", "TAG=v9.9.9", f"REPOSITORY={ADDRESS}")


def test_the_notes_are_the_section_of_the_changelog() -> None:
    notes = make("release-notes")
    assert notes.strip()
    assert notes.strip() in (ROOT / "CHANGELOG.md").read_text()


def test_the_documentation_site_is_made_for_its_address() -> None:
    home = Path(make("docs", "SITE_URL=https://docs.example.com/operator/").strip())
    assert home == ROOT / ".site" / "html" / "index.html"
    assert '<link rel="canonical" href="https://docs.example.com/operator/' in home.read_text()


def test_actionlint_accepts_the_workflows() -> None:
    command = [str(tools.find(tools.ACTIONLINT)), *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_each_action_is_pinned_by_commit_and_rights_are_given_per_job(workflow: Path) -> None:
    loaded = yaml.safe_load(workflow.read_text())
    assert loaded["permissions"] == {}
    for job in loaded["jobs"].values():
        assert job["permissions"]
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert _PINNED.fullmatch(step["uses"]) if "uses" in step else step["run"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_each_target_that_a_workflow_calls_exists(workflow: Path) -> None:
    called = set(re.findall(r"make (?:-s )?([a-z -]+)", workflow.read_text()))
    targets = {name for line in called for name in line.split()}
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= phony
