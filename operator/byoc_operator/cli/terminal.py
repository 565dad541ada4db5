"""Where a person reads: the only door of `kubectl byoc` to a terminal.

What is printed comes from servers, files and objects of others. None of it is markup, and none of it reaches the
terminal's own controls: characters that cannot be seen are escaped, and a text of a megabyte is cut.
"""

import sys
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api.printable import printable

MAX_LINE = 65_536
"""Characters: the names of a thousand Secrets; longer is of no use to somebody who reads it."""

MAX_CELL = 512


def tell(message: str, *, head: str = "") -> None:
    """A line on standard error, where everything goes but results. `head`: our own words before it, highlighted."""
    line = Text.assemble((f"{head} ", "bold red") if head else "", printable(message, MAX_LINE, keep="\n"))
    _console(stderr=True).print(line, soft_wrap=True)


def show(line: str) -> None:
    """A line of a result, on standard output."""
    click.echo(printable(line, MAX_LINE))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as a result, on standard output."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text(printable(cell, MAX_CELL)) for cell in row))
    _console(stderr=False).print(table)


def _console(*, stderr: bool) -> Console:
    """Made for each line, as the streams may change. `highlight`: colours are no guesses at what a text says."""
    return Console(file=sys.stderr if stderr else sys.stdout, markup=False, emoji=False, highlight=False)
