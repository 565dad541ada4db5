"""Shows that something long goes on: one line that is rewritten on a terminal, a few lines elsewhere.

It runs before any package is installed, so it uses none.
"""

import os
import shutil
import sys
import time

from testbed.process import Process

_LINE_EVERY_S = 120.0
_LOOK_EVERY_S = 0.5
_BAR = 20
"""Characters."""
_NEVER_FULL = 0.99
"""Part of the bar that is shown when something takes longer than expected."""
_ERASE = "\r\x1b[K"


def wait(process: Process, what: str, expected_s: int, timeout_s: float | None = None) -> int | None:
    """Wait until the process ends and show how long it takes; its exit code, or None if it still runs.

    `expected_s` is what an idle machine with two cores needs. After `timeout_s` (None: no limit) the waiting ends.
    """
    started = time.monotonic()
    deadline = started + timeout_s if timeout_s is not None else float("inf")
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        exit_code = _on_terminal(process, what, expected_s, deadline)
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


def _on_terminal(process: Process, what: str, expected_s: int, deadline: float) -> int | None:
    started = time.monotonic()
    try:
        while (exit_code := process.wait(_LOOK_EVERY_S)) is None and time.monotonic() < deadline:
            line = _line(what, time.monotonic() - started, expected_s)
            print(_ERASE + line, end="", file=sys.stderr, flush=True)
    finally:
        print(_ERASE, end="", file=sys.stderr, flush=True)
    return exit_code


def _line(what: str, elapsed_s: float, expected_s: int) -> str:
    """The line for now, never longer than the terminal is wide: a longer one could not be rewritten."""
    done = int(min(elapsed_s / expected_s, _NEVER_FULL) * _BAR)
    line = f"{what}: {minutes(elapsed_s)} of about {minutes(expected_s)} [{'#' * done:.<{_BAR}}]"
    return line[: shutil.get_terminal_size().columns - 1]


def _in_lines(process: Process, what: str, deadline: float) -> int | None:
    started = said = time.monotonic()
    while (exit_code := process.wait(_LOOK_EVERY_S)) is None and time.monotonic() < deadline:
        if time.monotonic() - said >= _LINE_EVERY_S:
            said = time.monotonic()
            tell(f"{what}: {minutes(said - started)} so far")
    return exit_code
