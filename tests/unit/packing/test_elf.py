"""A compiled module without its sections loads as before."""

import importlib
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from packing.elf import without_sections

MODULE = Path(str(importlib.import_module("multidict._multidict").__file__))


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """The compiled module of a library, without sections."""
    path = tmp_path / MODULE.name
    path.write_bytes(without_sections(MODULE.read_bytes()))
    return path


def test_it_is_smaller_and_loads(cut: Path) -> None:
    assert cut.stat().st_size < MODULE.stat().st_size / 2
    code = (
        "import importlib.util as util, sys; spec = util.spec_from_file_location('multidict._multidict', sys.argv[1]);"
        "module = util.module_from_spec(spec); spec.loader.exec_module(module);"
        "print(module.__file__ == sys.argv[1], module.MultiDict(a=1)['a'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(cut)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True 1\n", "")


def test_a_second_cut_changes_nothing(cut: Path) -> None:
    assert without_sections(cut.read_bytes()) == cut.read_bytes()


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\xcf\xfa\xed\xfe" + bytes(100), b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_such_file_stays_as_it_is(data: bytes) -> None:
    assert without_sections(data) == data


def test_every_compiled_module_of_the_standard_library_keeps_its_segments() -> None:
    for path in sorted(Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so")):
        data = path.read_bytes()
        after = without_sections(data)
        assert after[64:] == data[64 : len(after)], path.name
