"""The texts of credentials that no file of a support bundle may have: which values are looked for, within bounds. Pure.

The fields of credentials never get into a bundle. The search is for what somebody has written elsewhere: into a name,
an Event, a log.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..api.encoding import from_base64
from ..core.credential_values import Field, field_of
from ..core.credentials import SEALED_PREFIX
from ..errors import Stalled

if TYPE_CHECKING:
    from ..sealing.sealed import KeyRing

SHORTEST: Final = 4
"""Characters of a value that is looked for. A shorter one stands within ordinary words, and blanks in the place of all
of them would tell it."""

LONGEST: Final = 4096
"""Characters of a value, or of a line of one, that is looked for. The key of a Google service account has 2,400."""

MOST_OF_A_SECRET: Final = 64
"""How many values of one Secret are looked for. The key of a Google service account has 40 lines and fields."""

MOST: Final = 4096
"""How many values are looked for."""

_MARK: Final = "-----"
"""The beginning of the first and the last line of a private key, the same for all (RFC 7468)."""

_NO_SECRETS: Final = frozenset({"service_account", "googleapis.com"})

USUAL_KEYS: Final = (str(Field.USERNAME), str(Field.PASSWORD))
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
            opened = ring.open(text, namespace, field_of(key))
        except Stalled:
            continue
        yield from _texts_in(opened)


def _data(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    data = raw.get("data")
    return {str(key): value for key, value in data.items()} if isinstance(data, Mapping) else {}


def _texts_in(value: str) -> Iterator[str]:
    if value != value.strip() or len(value.splitlines()) > 1:
        yield from (each for each in (value, value.strip()) if SHORTEST <= len(each) <= LONGEST)
    for text in _texts_of_json(value) or [value]:
        lines = [each.strip() for each in text.strip().splitlines()]
        for line in lines:
            if len(lines) > 1 and (len(line) < SHORTEST or line.startswith(_MARK)):  # such as a bracket alone in a line
                continue
            yield line
            if len(line) <= LONGEST:
                yield from (each for each in _parts(line) if SHORTEST <= len(each) < len(line))


def _texts_of_json(text: str) -> list[str]:
    """The texts in a JSON object that tell something; none if the text is no JSON object.

    A key of a Google service account is one. Its words such as `"type":` stand in every log, and its addresses are the
    same for everybody.
    """
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return []
    texts = [each for each in found.values() if isinstance(each, str)] if isinstance(found, dict) else []
    return [each for each in texts if not each.startswith("https://") and each not in _NO_SECRETS]


def _parts(line: str) -> Iterator[str]:
    assigned = _ASSIGNED.fullmatch(line)
    if assigned:
        yield assigned[1].strip().strip(_QUOTES)
    yield from (each for each in line.split() if len(each) >= _LEAST_OF_A_TOKEN)
