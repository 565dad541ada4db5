"""The names of the project's files are names on every system, and no command takes them for an option."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PORTABLE = re.compile(rb"(?!-)[A-Za-z0-9._+-]+(?:/(?!-)[A-Za-z0-9._+-]+)*")
_AT_THE_TOP = {".ci", ".github", "crds", "deploy", "docs", "helm", "operator", "tests"}


def _names() -> list[bytes]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    return [name for name in listed.stdout.split(b"\0") if name]


def test_every_name_is_portable() -> None:
    assert len(_names()) > len(_AT_THE_TOP)
    assert [name for name in _names() if not _PORTABLE.fullmatch(name)] == []


def test_the_top_has_no_folder_that_nobody_knows() -> None:
    assert {name.partition(b"/")[0].decode() for name in _names() if b"/" in name} == _AT_THE_TOP


def test_no_output_of_a_command_is_kept_but_the_charts_of_an_earlier_version() -> None:
    made = {name for name in _names() if name.endswith((b".tar.gz", b".tgz", b".whl", b".pyc"))}
    assert {name.rpartition(b"/")[0] for name in made} == {b"tests/kept/0.1.0"}
