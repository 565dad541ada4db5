"""Prints to the terminal: all output of `kubectl byoc` that a person reads goes through this module.

The texts come from servers, files and objects of others. They are not markup. Invisible characters are escaped, so
that no text controls the terminal, and long texts are cut.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..api.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

MAX_LINE = 65_536
"""The most characters of a line: enough for the names of a thousand Secrets."""

MAX_CELL = 512


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table. `style`: a colour of rich's, seen on a terminal only."""

    text: str
    style: str = ""


def tell(message: str, *, head: str = "", keep: str = "") -> None:
    """Print a line on standard error, for everything but results. `head`: highlighted words before the message.

    `keep`: characters that stay as they are. A line end only in a text of our own: others could forge a line with it.
    """
    from rich.text import Text  # noqa: PLC0415 - see `_console`

    line = Text.assemble((f"{head} ", "bold red") if head else "", printable(message, MAX_LINE, keep=keep))
    _console(stderr=True).print(line, soft_wrap=True)


def show(line: str) -> None:
    """Print a line of a result on standard output."""
    click.echo(printable(line, MAX_LINE))


def show_document(text: str) -> None:
    """JSON or YAML whose writer has escaped what cannot be seen: all of it, on standard output."""
    click.echo(text, nl=False)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], beneath: Sequence[str] = ()) -> None:
    """A table as a result, on standard output: within the width of a terminal; else one line for each row.

    `beneath`: by row a text that a terminal shows under the row, in place of the last column; empty for none.
    """
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in rows]
    safe = [[Cell(printable(cell.text, MAX_CELL), cell.style) for cell in row] for row in cells]
    if is_terminal():
        _fit(columns, safe, [printable(text, MAX_CELL) for text in beneath])
    else:
        click.echo("".join(f"{line}\n" for line in _aligned([[Cell(each) for each in columns], *safe])), nl=False)


def is_terminal(*, stderr: bool = False) -> bool:
    """Whether standard output (or standard error) is a terminal."""
    file = sys.stderr if stderr else sys.stdout
    return file is not None and not file.closed and file.isatty()


def interactive() -> bool:
    """Whether a person can answer a question."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def clear() -> None:
    """Clear the terminal."""
    click.clear()


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a message on a terminal for as long as the block runs."""
    if not is_terminal(stderr=True):
        yield
        return
    with _console(stderr=True).status(printable(what, MAX_CELL)):
        yield


Shown = Callable[[int, int, int], None]
"""Is told how many are done, how many failed, and how many are left."""


@contextmanager
def progress(what: str, total: int) -> Iterator[Shown]:
    """Show how far a job is: a bar with the time to go on a terminal, else a line each time that something changes."""
    if not is_terminal(stderr=True):
        yield _lines(what)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - see `_console`

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, counts=f"{total} left")

        def shown(done: int, failed: int, left: int) -> None:
            bar.update(task, completed=total - left, counts=f"{done} done, {failed} failed, {left} left")

        yield shown


def _lines(what: str) -> Shown:
    said = ""

    def shown(done: int, failed: int, left: int) -> None:
        nonlocal said
        line = f"{what}: {done} done, {failed} failed, {left} left"
        if line != said:
            tell(line)
        said = line

    return shown


def _fit(columns: Sequence[str], rows: Sequence[Sequence[Cell]], beneath: Sequence[str]) -> None:
    from rich.table import Table  # noqa: PLC0415 - see `_console`
    from rich.text import Text  # noqa: PLC0415 - see `_console`

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    shown = len(columns) - bool(beneath)
    for heading in columns[:shown]:
        table.add_column(heading, overflow="fold")
    for row, under in zip(rows, beneath or [""] * len(rows), strict=True):
        table.add_row(*(Text(cell.text, style=cell.style) for cell in row[:shown]))
        if under:
            table.add_row(*[""] * (shown - 1), Text(f"-> {under}", style="bold"))
    _console(stderr=False).print(table)


def _aligned(rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """Lines of columns, as wide as their widest cell; nothing is wrapped, as `kubectl get` does it."""
    widths = [max(len(cell.text) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "   ".join(cell.text.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _console(*, stderr: bool) -> "Console":
    """A console, made for each line because the streams may change, without rich's guesses at what to colour.

    rich is loaded here because loading it takes longer than a help text may take. `force_terminal`: only a terminal
    gets colours, whatever FORCE_COLOR says; NO_COLOR removes them there, too.
    """
    from rich.console import Console  # noqa: PLC0415 - as above

    file, terminal = sys.stderr if stderr else sys.stdout, is_terminal(stderr=stderr)
    return Console(file=file, force_terminal=terminal, markup=False, emoji=False, highlight=False)
