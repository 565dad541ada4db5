"""Runs a command on a terminal, as a person does."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_terminal(
    command: Sequence[str], environment: Mapping[str, str], columns: int, folder: Path | None = None
) -> tuple[int, str]:
    """Run a command on a terminal without colours; its exit code, and what it printed, escape sequences included."""
    terminal, ours = pty.openpty()
    sized = {**environment, "COLUMNS": str(columns), "LINES": "100", "TERM": "xterm-256color", "NO_COLOR": "1"}
    with subprocess.Popen(
        command, stdin=ours, stdout=ours, stderr=ours, env=sized, start_new_session=True, cwd=folder
    ) as process:
        os.close(ours)
        shown = b""
        try:
            while part := os.read(terminal, 65_536):
                shown += part
        except OSError:  # the end of a terminal
            pass
        code = process.wait(120)
    os.close(terminal)
    return code, shown.decode()
