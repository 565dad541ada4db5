"""What goes into the file, and that the same input gives the same bytes."""

import io
import zipfile

import pytest

from plugin_file.archive import packed, split

SHARED = {"a.py": b"a", "b.py": b"b"}


def parts(file: bytes) -> dict[str, list[str]]:
    """The paths in each of the inner zips, by its name."""
    with zipfile.ZipFile(io.BytesIO(file)) as outer:
        inner = {name: io.BytesIO(outer.read(name)) for name in outer.namelist() if name.endswith(".zip")}
    return {name: zipfile.ZipFile(each).namelist() for name, each in inner.items()}


def test_what_all_pythons_share_is_in_the_file_once() -> None:
    file = packed({11: {**SHARED, "c.so": b"11"}, 12: {**SHARED, "c.so": b"12"}})
    assert parts(file) == {"common.zip": ["a.py", "b.py"], "py311.zip": ["c.so"], "py312.zip": ["c.so"]}


def test_what_one_python_lacks_is_not_shared() -> None:
    assert split({11: SHARED, 12: {"a.py": b"a"}}) == ({"a.py": b"a"}, {11: {"b.py": b"b"}, 12: {}})


def test_the_order_of_the_files_changes_nothing() -> None:
    assert packed({11: SHARED, 12: {}}) == packed({12: {}, 11: dict(reversed(SHARED.items()))})


def test_all_entries_have_the_time_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    with zipfile.ZipFile(io.BytesIO(packed({11: SHARED}))) as outer:
        assert {each.date_time for each in outer.infolist()} == {(2026, 1, 1, 0, 0, 0)}


def test_without_a_time_of_the_source_the_time_of_the_build_is_not_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with zipfile.ZipFile(io.BytesIO(packed({11: SHARED}))) as outer:
        assert {each.date_time for each in outer.infolist()} == {(1980, 1, 1, 0, 0, 0)}
