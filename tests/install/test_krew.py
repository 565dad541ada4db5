"""krew installs `kubectl byoc` from what `make plugins` makes, and the linter of krew accepts it."""

import functools
import http.server
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from byoc_operator.generate.version import project_version
from install.cluster import ROOT
from testbed import tools
from testbed.process import clean_environment

VERSION = project_version(ROOT)
DIST = ROOT / "dist"
MANIFEST = DIST / "byoc.yaml"


@dataclass(frozen=True)
class Released:
    """What `make plugins` made. `repository`: where a release would have it; `path`: a PATH with kubectl and krew."""

    repository: str
    path: str


class _Releases(http.server.SimpleHTTPRequestHandler):
    """`/releases/download/v0.1.0/NAME` is NAME."""

    def translate_path(self, path: str) -> str:
        """The file of a name; nothing below other addresses."""
        return super().translate_path(path.removeprefix(f"/releases/download/v{VERSION}"))

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    """The archives for the Python that runs the tests, on a server of this machine."""
    programs = tmp_path_factory.mktemp("programs")
    programs.joinpath("kubectl").symlink_to(tools.find(tools.KUBECTL))
    programs.joinpath("kubectl-krew").symlink_to(tools.find(tools.KREW))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Releases, directory=DIST)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        repository = f"http://127.0.0.1:{server.server_address[1]}"
        flags = f"PLUGIN_FLAGS=--minor {sys.version_info.minor}"
        command = ["make", "-s", "plugins", f"REPOSITORY={repository}", flags]
        # With all settings of the machine: libraries for other platforms come from the package registry.
        subprocess.run(command, cwd=ROOT, check=True, timeout=600, capture_output=True)
        yield Released(repository, f"{programs}:{os.environ['PATH']}")
        server.shutdown()


def test_the_linter_of_krew_installs_every_platform(released: Released) -> None:
    linter = tools.find(tools.VALIDATE_KREW_MANIFEST)
    command = [str(linter), "-manifest", str(MANIFEST)]
    environment = clean_environment() | {"PATH": released.path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "all 4 spec.platforms installed fine" in done.stderr
    assert "exceeds" not in done.stderr


def test_what_krew_has_installed_runs(released: Released, tmp_path: Path) -> None:
    root = tmp_path / "krew"
    path = f"{root}/bin:{Path(sys._base_executable).parent}:{released.path}"  # type: ignore[attr-defined]
    environment = {"KREW_ROOT": str(root), "HOME": str(tmp_path), "PATH": path}
    for command in (["kubectl", "krew", "install", f"--manifest={MANIFEST}"], ["kubectl", "byoc", "--version"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert VERSION in done.stdout


def test_the_manifest_names_the_release_and_the_archives_have_their_licences(released: Released) -> None:
    spec = yaml.safe_load(MANIFEST.read_text())["spec"]
    assert (spec["version"], spec["homepage"]) == (f"v{VERSION}", released.repository)
    archives = {each["uri"].rpartition("/")[2] for each in spec["platforms"]}
    for name in archives:
        assert f"kubectl-byoc_{VERSION}_" in name
        if name.endswith(".zip"):
            with zipfile.ZipFile(DIST / name) as windows:
                assert windows.namelist() == ["LICENSE", "LICENSE-launcher.txt", "kubectl-byoc.exe"]
        else:
            with tarfile.open(DIST / name) as unix:
                assert [(each.name, each.mode) for each in unix] == [("LICENSE", 0o644), ("kubectl-byoc", 0o755)]


@pytest.mark.usefixtures("released")
def test_the_program_for_windows_has_libraries_for_windows(tmp_path: Path) -> None:
    with zipfile.ZipFile(DIST / f"kubectl-byoc_{VERSION}_windows_amd64.zip") as archive:
        program = Path(archive.extract("kubectl-byoc.exe", tmp_path))
    assert program.read_bytes().startswith(b"MZ")
    with zipfile.ZipFile(program) as whole, zipfile.ZipFile(whole.open("common.zip")) as libraries:
        names = libraries.namelist()
    assert "byoc_operator/cli/kubectl_byoc.py" in names
    assert [name for name in names if name.endswith(".pyd")]
    assert not [name for name in names if name.endswith(".so")]


def test_without_an_address_no_manifest_is_made() -> None:
    command = [sys.executable, "-m", "release", "krew", "--repository", ""]
    environment = clean_environment() | {"PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "make plugins REPOSITORY=https://" in done.stderr
