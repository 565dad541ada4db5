"""The codes with which `kubectl byoc` ends, and the errors that carry them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from ..errors import OperatorError


class ExitCode(IntEnum):
    """What a script sees. A new meaning gets a new number: a number is never given another meaning."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_RIGHTS = 3
    IN_USE = 4
    SOMETHING_BAD = 5
    CHANGES = 6
    NOT_CONNECTED = 7
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong input",
    ExitCode.NO_RIGHTS: "no rights (or nothing in the cluster that seals)",
    ExitCode.IN_USE: "keys in use",
    ExitCode.SOMETHING_BAD: "doctor found something bad",
    ExitCode.CHANGES: "LiveKit would change (plan)",
    ExitCode.NOT_CONNECTED: "call not connected",
    ExitCode.INTERRUPTED: "interrupted",
}
"""Per code what it means: `--help` and docs/kubectl-byoc.md say the same."""


def told() -> str:
    """All codes in one sentence."""
    return "Exit codes: " + ", ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."


def failure(*, lacks_a_right: bool) -> ExitCode:
    """How a command ends that cannot do what was asked, because of a missing right or for another reason."""
    return ExitCode.NO_RIGHTS if lacks_a_right else ExitCode.FAILED


@dataclass(eq=False)
class Refused(OperatorError):
    """A command cannot be carried out; nothing was changed. `exit_code`: of the process."""

    message: str
    exit_code: ExitCode = ExitCode.FAILED
