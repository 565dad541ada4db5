"""What goes into the lowest layer of the image, asked of the Python that runs the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from image_root import debian, python, system, tidying
from image_root.shared_libraries import Missing, loaded_by

pytestmark = pytest.mark.slow


def test_the_standard_library_comes_without_tests_and_tools() -> None:
    inside = {path.relative_to(python.STDLIB).as_posix() for path in python.standard_library()}
    assert {"asyncio/events.py", "ssl.py", "encodings/idna.py"} <= inside
    firsts = {name.partition("/")[0] for name in inside}
    assert firsts.isdisjoint({"test", "tkinter", "idlelib", "ensurepip", "site-packages", "__pycache__", "sqlite3"})
    assert not [name for name in inside if name.endswith((".pyc", ".a")) or "/_test" in name]


def test_the_interpreter_loads_the_c_library_and_the_loader() -> None:
    names = {path.name for path in loaded_by([python.interpreter()])}
    assert "libc.so.6" in names
    assert any(name.startswith("ld-linux") for name in names)


def test_a_text_loads_nothing(tmp_path: Path) -> None:
    text = tmp_path / "script"
    text.write_text("#!/bin/sh\n")
    assert loaded_by([text]) == set()


def test_a_library_that_the_base_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ldd = tmp_path / "ldd"
    ldd.write_text("#!/bin/sh\necho '\tlibffi.so.8 => not found'\n")
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Missing, match=r"_ctypes\.so needs libffi\.so\.8"):
        loaded_by([Path("_ctypes.so")])


def test_certificates_are_in_one_text_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.crt").write_text(f"{name}\n\n")
    assert system.bundle(tmp_path.glob("*.crt")) == "a\nb\n"


def test_a_base_without_certificates_is_refused() -> None:
    with pytest.raises(LookupError, match="install ca-certificates"):
        system.bundle([])


def test_a_package_is_recorded_if_a_file_of_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dpkg, root = tmp_path / "dpkg", tmp_path / "root"
    (dpkg / "info").mkdir(parents=True)
    (dpkg / "info" / "libthere:amd64.list").write_text("/.\n/opt\n/opt/there.so\n")
    (dpkg / "info" / "absent.list").write_text("/opt\n/opt/absent\n")
    (dpkg / "status").write_text("Package: absent\nVersion: 1\n\nPackage: libthere\nVersion: 2\n")
    (root / "opt").mkdir(parents=True)
    (root / "opt" / "there.so").touch()
    monkeypatch.setattr(debian, "_DPKG", dpkg)
    debian.recorded(root)
    (record,) = (root / "var/lib/dpkg/status.d").iterdir()
    assert (record.name, record.read_text()) == ("libthere", "Package: libthere\nVersion: 2\n")


def test_nothing_is_left_of_what_is_never_loaded(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "site-packages"
    for name in ("a/__init__.py", "a/x.pyi", "kubernetes/client/models/pod.py", "tzdata/zoneinfo/Europe/Berlin"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).touch()
    (tmp_path / "bin").mkdir()
    for name in ("python3", "activate", "normalizer"):
        (tmp_path / "bin" / name).touch()
    tidying.trim(tmp_path, site)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        *("bin", "bin/python3", "lib", "lib/site-packages", "lib/site-packages/a", "lib/site-packages/a/__init__.py"),
    ]


def test_compiled_modules_name_their_place_in_the_image_and_are_the_same_twice(tmp_path: Path) -> None:
    compiled = []
    for build in ("first", "second"):
        module = tmp_path / build / "opt" / "module.py"
        module.parent.mkdir(parents=True)
        module.write_text("def f():\n    raise ValueError\nNAMES = {'a', 'b'}\n")
        tidying.compile_modules(tmp_path / build)
        (found,) = module.parent.rglob("*.pyc")
        compiled.append(found.read_bytes())
    assert compiled[0] == compiled[1]
    assert b"/opt/module.py" in compiled[0]
    assert str(tmp_path).encode() not in compiled[0]


def test_a_module_that_cannot_be_compiled_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def")
    with pytest.raises(RuntimeError, match="cannot be compiled"):
        tidying.compile_modules(tmp_path)


def test_all_files_get_one_time_and_rights_for_every_user(tmp_path: Path) -> None:
    program, text, shared = tmp_path / "folder" / "program", tmp_path / "folder" / "text", tmp_path / "tmp"
    program.parent.mkdir(mode=0o700)
    program.touch(0o700)
    text.touch(0o600)
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "link").symlink_to("nowhere")
    tidying.date(tmp_path, 86_400)
    modes = [path.stat().st_mode & 0o7777 for path in (program.parent, program, text, shared)]
    assert modes == [0o755, 0o755, 0o644, 0o1777]
    assert {path.lstat().st_mtime for path in (tmp_path, *tmp_path.rglob("*"))} == {86_400}


def test_the_steps_need_the_standard_library_only() -> None:
    source = str(Path(system.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {source!r}); import image_root.__main__"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
