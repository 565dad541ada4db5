"""The texts of credentials that no file of a support bundle may have: which values are looked for, within bounds. Pure.

The fields of credentials never get into a bundle. The search is for what somebody has written elsewhere: into a name,
an Event, a log.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..api.encoding import from_base64
from ..core.credentials import SEALED_PREFIX, USERNAME_KEY, field_of
from ..errors import Stalled

if TYPE_CHECKING:
    from ..sealing.sealed import KeyRing

SHORTEST: Final = 4
"""Characters of a value that is looked for. A shorter one stands within ordinary words, and blanks in the place of all
of them would tell it."""

LONGEST: Final = 1024
"""Characters of a value that is looked for. A user name and a password have 256 bytes at most."""

MOST_OF_A_SECRET: Final = 32
MOST: Final = 2048
"""How many values are looked for."""

USUAL_KEYS: Final = (USERNAME_KEY, "password")
"""The keys of most Secrets of numbers."""

_LEAST_OF_A_TOKEN: Final = 12
"""Characters of a word within a value that is looked for by itself. Few words of prose are as long; tokens are."""

_ASSIGNED: Final = re.compile(r"[A-Za-z_][\w.-]{0,62}[ \t]?[:=][ \t]*+(.*)")
_QUOTES: Final = "\"'"


@dataclass(slots=True)
class Sought:
    """What is looked for. `short`, `long`, `beyond`: how many values are not, by the bound that they exceed."""

    texts: set[str] = field(default_factory=set)
    short: int = 0
    long: int = 0
    beyond: int = 0

    @property
    def passed_over(self) -> int:
        """How many values are not looked for."""
        return self.short + self.long + self.beyond

    def add(self, values: Iterable[str], most: int = MOST) -> None:
        """Look for these values too: for at most so many of them. An empty one is no value."""
        for text in dict.fromkeys(values):
            if not text or text in self.texts:
                continue
            if len(text) < SHORTEST:
                self.short += 1
            elif len(text) > LONGEST:
                self.long += 1
            elif most <= 0 or len(self.texts) >= MOST:
                self.beyond += 1
            else:
                self.texts.add(text)
                most -= 1

    def manifest(self) -> dict[str, object]:
        """What the manifest of the bundle says about the search."""
        return {
            "valuesLookedFor": len(self.texts),
            "valuesNotLookedFor": {
                f"shorterThan{SHORTEST}Characters": self.short,
                f"longerThan{LONGEST}Characters": self.long,
                "tooMany": self.beyond,
            },
        }


def values_of(raw: Mapping[str, Any], first: Iterable[str] = ()) -> Iterator[str]:
    """The texts in the values of a Secret that may be credentials. `first`: the keys whose values come first.

    These are the lines, what stands behind a name and a colon or an equals sign, and the words as long as tokens.
    """
    stored = _data(raw)
    for key in dict.fromkeys([*(each for each in first if each in stored), *sorted(stored)]):
        yield from _texts_in(from_base64(stored[key]) or "")


def opened_in(raw: Mapping[str, Any], ring: "KeyRing | None") -> Iterator[str]:
    """What is sealed in a Secret, opened. `ring`: None where the keys are not known; nothing is opened then."""
    namespace = str((raw.get("metadata") or {}).get("namespace"))
    for key, value in list(_data(raw).items())[:MOST_OF_A_SECRET]:
        text = from_base64(value) or ""
        if ring is None or not text.startswith(SEALED_PREFIX):
            continue
        try:
            yield ring.open(text, namespace, field_of(key))
        except Stalled:
            continue


def _data(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    data = raw.get("data")
    return {str(key): value for key, value in data.items()} if isinstance(data, Mapping) else {}


def _texts_in(value: str) -> Iterator[str]:
    lines = [each.strip() for each in value.strip().splitlines()]
    for line in lines:
        if len(lines) == 1 or len(line) >= SHORTEST:  # a bracket alone in a line of a file is no value
            yield line
        if len(line) <= LONGEST:
            yield from (each for each in _parts(line) if SHORTEST <= len(each) < len(line))


def _parts(line: str) -> Iterator[str]:
    assigned = _ASSIGNED.fullmatch(line)
    if assigned:
        yield assigned[1].strip().strip(_QUOTES)
    yield from (each for each in line.split() if len(each) >= _LEAST_OF_A_TOKEN)
