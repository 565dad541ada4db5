"""The file for Windows is a launcher, a line that names Python, and the zip."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from plugin_file import starter
from plugin_file.archive import packed
from plugin_file.windows import FIRST_LINE, executable, launcher_license

FILES = {
    "byoc_operator/__init__.py": b"",
    "byoc_operator/cli/__init__.py": b"",
    "byoc_operator/cli/kubectl_byoc.py": b"import sys\ndef main(): print('started', *sys.argv[1:])\n",
}


def test_the_launcher_finds_the_line_right_before_the_zip() -> None:
    """It subtracts size and offset of the zip's directory from its place, and expects the line's end there.

    https://github.com/pypa/distlib/blob/0.4.0/PC/launcher.c
    """
    program = executable(packed({11: FILES}))
    end = program.rfind(b"PK\x05\x06")
    size, offset = (int.from_bytes(program[end + at : end + at + 4], "little") for at in (12, 16))
    zip_begins = end - size - offset
    assert program.startswith(b"MZ")
    assert program[:zip_begins].endswith(FIRST_LINE)
    assert program[zip_begins:].startswith(b"PK\x03\x04")


def test_python_runs_it_as_the_launcher_starts_it(tmp_path: Path) -> None:
    program = tmp_path / "kubectl-byoc.exe"
    program.write_bytes(executable(packed({sys.version_info.minor: FILES})))
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    command = [sys.executable, "-S", str(program), "doctor", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("started doctor a b\n", "")


def test_the_cache_is_where_windows_has_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with monkeypatch.context() as windows:
        windows.setattr(os, "name", "nt")
        found = starter._cache()
    assert found == str(tmp_path / "local" / "kubectl-byoc")


def test_the_licence_of_the_launcher_is_there() -> None:
    assert b"PYTHON SOFTWARE FOUNDATION LICENSE" in launcher_license()


def test_the_zip_of_the_program_is_whole() -> None:
    with zipfile.ZipFile(io.BytesIO(executable(packed({11: FILES})))) as whole:
        assert whole.testzip() is None
