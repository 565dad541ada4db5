"""Shows that something long goes on: one line that is rewritten on a terminal, a few lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING

from testbed.process import Process

if TYPE_CHECKING:
    from rich.console import Console

_LINE_EVERY_S = 120.0
_LOOK_EVERY_S = 0.5
_NEVER_FULL = 0.99
"""Part of the bar that is shown when something takes longer than expected."""


def wait(process: Process, what: str, expected_s: int, timeout_s: float | None = None) -> int | None:
    """Wait until the process ends and show how long it takes; its exit code, or None if it still runs.

    `expected_s` is what an idle machine with two cores needs. After `timeout_s` (None: no limit) the waiting ends.
    """
    # The check of the machine imports this module before any package is installed.
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    started = time.monotonic()
    deadline = started + timeout_s if timeout_s is not None else float("inf")
    if console.is_terminal and not console.is_dumb_terminal:
        exit_code = _on_terminal(console, process, what, expected_s, deadline)
    else:
        tell(f"{what} (about {minutes(expected_s)})")
        exit_code = _in_lines(process, what, deadline)
    ending = {0: "done", None: "given up"}.get(exit_code, "failed")
    tell(f"{what}: {ending} after {minutes(time.monotonic() - started)}")
    return exit_code


def minutes(seconds: float) -> str:
    """A duration for people: `45 s`, `6:30 min`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02} min"


def tell(line: str) -> None:
    """Print a line beside the output."""
    print(line, file=sys.stderr, flush=True)


def _on_terminal(console: "Console", process: Process, what: str, expected_s: int, deadline: float) -> int | None:
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - see `wait`

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[times]}"))
    # Transient: the bar goes, and the line that tells the end stands in its place.
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        started = time.monotonic()
        task = bar.add_task(what, total=expected_s, times=_times(0, expected_s))
        while (exit_code := process.wait(_LOOK_EVERY_S)) is None and time.monotonic() < deadline:
            elapsed_s = time.monotonic() - started
            bar.update(task, completed=min(elapsed_s, expected_s * _NEVER_FULL), times=_times(elapsed_s, expected_s))
    return exit_code


def _times(elapsed_s: float, expected_s: int) -> str:
    return f"{minutes(elapsed_s)} of about {minutes(expected_s)}"


def _in_lines(process: Process, what: str, deadline: float) -> int | None:
    started = said = time.monotonic()
    while (exit_code := process.wait(_LOOK_EVERY_S)) is None and time.monotonic() < deadline:
        if time.monotonic() - said >= _LINE_EVERY_S:
            said = time.monotonic()
            tell(f"{what}: {minutes(said - started)} so far")
    return exit_code
