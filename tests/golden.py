"""Outputs of commands as they stand in files; `BYOC_GOLDEN=write` writes the files anew, to be read before a commit."""

import difflib
import os
from pathlib import Path


def check(file: Path, output: str) -> None:
    """The output is the file's text."""
    if os.environ.get("BYOC_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(output, encoding="utf-8")
    expected = file.read_text(encoding="utf-8")
    changed = difflib.unified_diff(
        expected.splitlines(), output.splitlines(), "the file", "the output", lineterm="", n=1
    )
    assert output == expected, "\n".join(changed)
