"""The mounted file of presets: read at the start, read again later."""

import logging
from pathlib import Path

import pytest

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.core.desired import Installation
from byoc_operator.errors import CannotRun
from byoc_operator.mounted_carriers import MountedCarriers, carriers_in

GOOD = "carriers: [{name: Hausanlage, hosts: [pbx.example.com], signallingRanges: [203.0.113.0/28]}]"
OTHER = GOOD.replace("203.0.113.0", "198.51.100.0")
WRONG = "carriers:\n  - name: Hausanlage\n    hosts: [sip:pbx]\n"


def mounted(path: Path | None) -> MountedCarriers:
    return MountedCarriers(path, Installation(("one",), "livekit", carriers=carriers_in(path)))


def ranges(carriers: MountedCarriers) -> tuple[str, ...]:
    return carriers.installation.carriers.preset_for(None, "pbx.example.com").signalling_ranges


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "carriers.yaml"
    path.write_text(GOOD)
    return path


def test_without_a_file_the_built_in_presets_are_in_force() -> None:
    carriers = mounted(None)
    carriers.reload()
    assert carriers.installation.carriers is BUILT_IN
    assert carriers.problem == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WRONG.encode(), "line 3: carriers[0].hosts[0]: must be a host name or an address"),
        (b"carriers: [\xff]", "is not UTF-8, from byte 11 on"),
        (None, "cannot read"),
    ],
    ids=["wrong", "no text", "no file"],
)
def test_a_wrong_file_stops_the_start_with_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "carriers.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CannotRun, match=r"^BYOC_CARRIERS_FILE: ") as caught:
        carriers_in(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_no_more_of_a_file_is_read_than_may_be_in_it() -> None:
    with pytest.raises(CannotRun, match="must not be larger than 65536 bytes"):
        carriers_in(Path("/dev/zero"))


def test_a_changed_file_is_in_force_after_the_next_look(file: Path) -> None:
    carriers = mounted(file)
    assert ranges(carriers) == ("203.0.113.0/28",)
    file.write_text(OTHER)
    assert ranges(carriers) == ("203.0.113.0/28",)
    carriers.reload()
    assert ranges(carriers) == ("198.51.100.0/28",)


def test_a_config_map_is_changed_by_a_link_that_names_another_folder(tmp_path: Path) -> None:
    for name, content in (("..1", GOOD), ("..2", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "carriers.yaml").write_text(content)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "carriers.yaml").symlink_to("..data/carriers.yaml")
    carriers = mounted(tmp_path / "carriers.yaml")
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    carriers.reload()
    assert ranges(carriers) == ("198.51.100.0/28",)


def test_a_file_that_is_the_same_makes_no_other_installation(file: Path) -> None:
    carriers = mounted(file)
    before = carriers.installation
    carriers.reload()
    assert carriers.installation is before


def test_a_file_that_becomes_wrong_changes_nothing_and_is_told_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    carriers = mounted(file)
    file.write_text(WRONG)
    with caplog.at_level(logging.WARNING):
        carriers.reload()
        carriers.reload()
    assert ranges(carriers) == ("203.0.113.0/28",)
    assert "line 3" in carriers.problem
    assert [record.getMessage() for record in caplog.records] == [
        f"{carriers.problem}; the presets from before stay in force"
    ]


def test_another_cause_is_told_anew(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    carriers = mounted(file)
    with caplog.at_level(logging.WARNING):
        file.write_text(WRONG)
        carriers.reload()
        file.unlink()
        carriers.reload()
    assert len(caplog.records) == 2
    assert "cannot read" in carriers.problem


def test_a_file_that_is_right_again_counts(file: Path) -> None:
    carriers = mounted(file)
    file.write_text(WRONG)
    carriers.reload()
    file.write_text(OTHER)
    carriers.reload()
    assert carriers.problem == ""
    assert ranges(carriers) == ("198.51.100.0/28",)
