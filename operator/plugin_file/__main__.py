"""`python -m plugin_file`: writes the file `kubectl-byoc` for a platform."""

import tempfile
from pathlib import Path

import click

from .building import file_for
from .wheels import MINORS, PLATFORMS, own_platform, own_wheel


@click.command()
@click.option("--platform", type=click.Choice(sorted(PLATFORMS)), default=own_platform, help="For which platform.")
@click.option("--minor", "minors", type=int, multiple=True, default=MINORS, help="For which Pythons 3.x.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
def plugin_file(platform: str, minors: tuple[int, ...], output: Path) -> None:
    """Pack `kubectl byoc` and its libraries into one file that a bare Python runs."""
    with tempfile.TemporaryDirectory() as folder:
        content = file_for(platform, minors, own_wheel(Path(folder)))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(content)
    output.chmod(0o755)
    click.echo(f"{output}: {len(content) / 2**20:.1f} MiB, for {platform} and Python 3.{', 3.'.join(map(str, minors))}")


if __name__ == "__main__":
    plugin_file()
