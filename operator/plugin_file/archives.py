"""`python -m plugin_file.archives`: an archive for each platform, as krew and people download them."""

import gzip
import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from .archive import written_at, zipped_whole
from .building import file_for, file_name
from .wheels import MINORS, PLATFORMS, ROOT, own_wheel
from .windows import launcher_license

Entry = tuple[bytes, int]
"""Content and rights of a file."""


def archive_name(version: str, platform: str) -> str:
    """Such as `kubectl-byoc_0.1.0_linux_amd64.tar.gz`."""
    ending = "zip" if platform.startswith("windows") else "tar.gz"
    return f"kubectl-byoc_{version}_{platform.replace('-', '_')}.{ending}"


def archived(platform: str, content: bytes) -> bytes:
    """The command with the licences that go with it. Same input, same bytes."""
    entries: dict[str, Entry] = {
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
        file_name(platform): (content, 0o755),
    }
    if platform.startswith("windows"):
        return zipped_whole({**entries, "LICENSE-launcher.txt": (launcher_license(), 0o644)})
    return _tarred(entries)


def _tarred(entries: Mapping[str, Entry]) -> bytes:
    buffer = io.BytesIO()
    # No compression: the command is compressed already. No name and no time of the build in the header.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as written,
    ):
        for name, (content, mode) in sorted(entries.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, written_at()
            written.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@click.command()
@click.option("--version", required=True, help="The version in the names of the archives.")
@click.option("--platform", "platforms", type=click.Choice(sorted(PLATFORMS)), multiple=True, default=tuple(PLATFORMS))
@click.option("--minor", "minors", type=int, multiple=True, default=MINORS, help="For which Pythons 3.x.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True)
def archives(version: str, platforms: tuple[str, ...], minors: tuple[int, ...], into: Path) -> None:
    """Pack `kubectl byoc` for all platforms, an archive for each."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wheel = own_wheel(Path(folder))
        for platform in platforms:
            content = archived(platform, file_for(platform, minors, wheel))
            path = into / archive_name(version, platform)
            path.write_bytes(content)
            click.echo(f"{path}: {len(content) / 2**20:.1f} MiB")


if __name__ == "__main__":
    archives()
