"""The start of the file, with two small modules in the place of the command and its libraries."""

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from plugin_file.archive import packed
from plugin_file.building import UNIX_FIRST_LINE
from plugin_file.starter import UNUSED_S

pytestmark = pytest.mark.slow

MINOR = sys.version_info.minor
COMMAND = b"import os, sys, library\ndef main(): print(library.WORD, *sys.argv[1:], 'HOME' in os.environ)\n"
FILES: Mapping[str, bytes] = {
    "byoc_operator/__init__.py": b"",
    "byoc_operator/cli/__init__.py": b"",
    "byoc_operator/cli/kubectl_byoc.py": COMMAND,
    "byoc_operator/cli/completion.py": b"def main(): print('completed')\n",
    "library.py": b"WORD = 'started'\n",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kubectl-byoc"
    libraries = {MINOR: FILES, MINOR + 1: {**FILES, "library.py": b"of another Python"}}
    path.write_bytes(packed(libraries, first_line=UNIX_FIRST_LINE))
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


def begun(file: Path, home: Path | str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The file, run by a Python that sees no other packages."""
    variables = {"HOME": str(home), "PATH": os.environ["PATH"], "TMPDIR": str(file.parent), **environment}
    command = [sys.executable, "-I", "-S", str(file), *arguments]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(file: Path, home: Path | str, *arguments: str, **environment: str) -> tuple[str, str]:
    """What the file says on standard output and on standard error."""
    return begun(file, home, *arguments, **environment).communicate(timeout=60)


def unpacked(home: Path) -> list[Path]:
    return sorted((home / ".cache" / "kubectl-byoc").iterdir())


def test_the_first_start_unpacks_into_the_cache_of_the_user(file: Path, home: Path) -> None:
    assert run(file, home, "status") == ("started status True\n", "")
    (folder,) = unpacked(home)
    assert (folder / "library.py").is_file()
    assert folder.stat().st_mode & 0o077 == 0


def test_the_second_start_unpacks_nothing(file: Path, home: Path) -> None:
    run(file, home)
    (folder,) = unpacked(home)
    made = (folder / "library.py").stat().st_ino
    assert run(file, home) == ("started True\n", "")
    assert [path.joinpath("library.py").stat().st_ino for path in unpacked(home)] == [made]


def test_under_its_other_name_it_completes(file: Path, home: Path) -> None:
    link = file.with_name("kubectl_complete-byoc")
    link.symlink_to(file)
    assert run(link, home, "sta") == ("completed\n", "")


def test_the_cache_is_where_xdg_says(file: Path, home: Path, tmp_path: Path) -> None:
    run(file, home, XDG_CACHE_HOME=str(tmp_path / "caches"))
    assert (tmp_path / "caches" / "kubectl-byoc").is_dir()
    assert list(home.iterdir()) == []


def test_many_first_starts_at_once_all_succeed_and_leave_one_folder(file: Path, home: Path) -> None:
    running = [begun(file, home) for _ in range(4)]
    assert [each.communicate(timeout=60) for each in running] == [("started True\n", "")] * 4
    assert len(unpacked(home)) == 1


@pytest.mark.parametrize("fault", ["gone", "cut", "no list"])
def test_a_broken_cache_is_made_anew_beside(file: Path, home: Path, fault: str) -> None:
    run(file, home)
    (broken,) = unpacked(home)
    if fault == "gone":
        (broken / "library.py").unlink()
    elif fault == "cut":
        (broken / "library.py").write_bytes(b"WO")
    else:
        (broken / "unpacked.txt").unlink()
    assert run(file, home) == ("started True\n", "")
    assert run(file, home) == ("started True\n", "")
    assert len(unpacked(home)) == 2


@pytest.mark.parametrize("home", ["", "/dev/null"])
def test_without_a_cache_it_starts_all_the_same_says_so_and_leaves_nothing(file: Path, home: str) -> None:
    said, told = run(file, home)
    assert said == "started True\n"
    assert told.startswith("kubectl-byoc: unpacks itself anew, as ")
    assert list(file.parent.glob("kubectl-byoc-*")) == []


def test_a_cache_that_others_may_write_is_not_used(file: Path, home: Path) -> None:
    run(file, home)
    unpacked(home)[0].joinpath("library.py").write_text("WORD = 'strange'")
    home.joinpath(".cache", "kubectl-byoc").chmod(0o777)
    said, told = run(file, home)
    assert said == "started True\n"
    assert "others can write there" in told


def test_a_folder_that_nobody_uses_is_removed_with_the_next_version(file: Path, home: Path) -> None:
    run(file, home)
    (old,) = unpacked(home)
    long_ago = time.time() - UNUSED_S - 60
    os.utime(old, (long_ago, long_ago))
    file.write_bytes(packed({MINOR: {**FILES, "library.py": b"WORD = 'newer'\n"}}))
    assert run(file, home) == ("newer True\n", "")
    assert old not in unpacked(home)


def test_a_start_counts_as_use(file: Path, home: Path) -> None:
    run(file, home)
    (folder,) = unpacked(home)
    os.utime(folder, (0, 0))
    run(file, home)
    assert time.time() - folder.stat().st_mtime < UNUSED_S


def test_a_python_that_does_not_fit_is_told_which_do(file: Path, home: Path) -> None:
    file.write_bytes(packed({MINOR + 40: FILES, MINOR + 41: FILES}))
    said, told = run(file, home)
    assert said == ""
    assert f"needs Python 3.{MINOR + 40}, 3.{MINOR + 41}; " in told


def test_a_python_that_does_not_fit_starts_one_that_does(file: Path, home: Path, tmp_path: Path) -> None:
    fitting = tmp_path / f"python3.{MINOR + 40}"
    fitting.write_text('#!/bin/sh\necho "$KUBECTL_BYOC_TAKEN_OVER $@"\n')
    fitting.chmod(0o755)
    file.write_bytes(packed({MINOR + 40: FILES}))
    assert run(file, home, "status", PATH=str(tmp_path)) == (f"1 -I {file} status\n", "")


def test_a_python_that_was_started_for_it_starts_no_other_one(file: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / f"python3.{MINOR + 40}").symlink_to(sys.executable)
    file.write_bytes(packed({MINOR + 40: FILES}))
    assert "needs Python" in run(file, home, PATH=str(tmp_path))[1]


def test_the_command_does_not_see_who_has_started_it(file: Path, home: Path) -> None:
    command = b"import os\ndef main(): print('KUBECTL_BYOC_TAKEN_OVER' in os.environ)\n"
    file.write_bytes(packed({MINOR: {**FILES, "byoc_operator/cli/kubectl_byoc.py": command}}))
    assert run(file, home, KUBECTL_BYOC_TAKEN_OVER="1") == ("False\n", "")


def test_the_file_starts_by_itself(file: Path) -> None:
    assert file.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(file) as outer:
        assert outer.testzip() is None
