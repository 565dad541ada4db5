"""What a look at one link of the chain finds, and what all looks are given."""

from dataclasses import dataclass

from .check import Check, State
from .facts import Facts
from .judgement import Judged, SecretView


@dataclass(frozen=True, slots=True)
class Found:
    """A `Check` without its name."""

    state: State
    says: str
    remedy: str = ""

    def named(self, name: str) -> Check:
        """The check."""
        return Check(name, self.state, self.says, self.remedy)


@dataclass(frozen=True, slots=True)
class View:
    """What was read, and what follows from it; `judged`: see `judgement`. `secrets`: the uses of Secrets."""

    facts: Facts
    judged: Judged | None
    secrets: tuple[SecretView, ...]


def ok(says: str, remedy: str = "") -> Found:
    """In order; with a remedy there is something to do all the same."""
    return Found(State.OK, says, remedy)


def bad(says: str, remedy: str) -> Found:
    """A break."""
    return Found(State.BAD, says, remedy)


def unknown(says: str, remedy: str = "") -> Found:
    """Nothing that proves anything was found."""
    return Found(State.UNKNOWN, says, remedy)
