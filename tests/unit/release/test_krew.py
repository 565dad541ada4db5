"""krew's manifest has the checksum of each archive."""

import hashlib
from pathlib import Path

import pytest
import yaml

from plugin_file.archives import archive_name, archived
from plugin_file.wheels import PLATFORMS
from release.krew import ArchiveMissing, krew_manifest

ADDRESS = "https://git.example.com/acme/byoc-operator"


def test_each_platform_has_its_archive_and_its_checksum(tmp_path: Path) -> None:
    for platform in PLATFORMS:
        (tmp_path / archive_name("1.2.3", platform)).write_bytes(platform.encode())
    manifest = yaml.safe_load(krew_manifest(tmp_path, "1.2.3", ADDRESS))
    assert manifest["spec"]["version"] == "v1.2.3"
    for each in manifest["spec"]["platforms"]:
        platform = "-".join(each["selector"]["matchLabels"][key] for key in ("os", "arch"))
        assert each["sha256"] == hashlib.sha256(platform.encode()).hexdigest()
        assert each["uri"] == f"{ADDRESS}/releases/download/v1.2.3/{archive_name('1.2.3', platform)}"
        assert each["bin"] == ("kubectl-byoc.exe" if platform.startswith("windows") else "kubectl-byoc")
    assert len(manifest["spec"]["platforms"]) == len(PLATFORMS)


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match=r"kubectl-byoc_1\.2\.3_darwin_arm64\.tar\.gz is missing; `make plugins`"):
        krew_manifest(tmp_path, "1.2.3", ADDRESS)


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
def test_the_same_command_gives_the_same_archive(platform: str) -> None:
    assert archived(platform, b"command") == archived(platform, b"command")
