"""Which texts are looked for in a support bundle, within bounds, and how many are not. Pure.

The fields of credentials never get into a bundle. The search is for what somebody has written elsewhere: into a name,
an Event, a log.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from .bundle_texts import LONGEST, Rank, Text

SHORTEST: Final = 4
"""Characters of a value that is looked for. A shorter one stands within ordinary words, and blanks in the place of all
of them would tell it."""

MOST_OF_A_SECRET: Final = 64
"""How many texts of one Secret are looked for. The key of a Google service account has 40 lines and fields, and the
operator reads no Secret with more keys."""

CONSIDERED: Final = 4096
"""How many texts of one Secret are looked at. A Secret may have a megabyte of lines."""

MOST: Final = 4096
"""How many texts of all Secrets of numbers are looked for."""

MOST_CHARACTERS: Final = 2**20
"""How many characters these have together."""

_TIERS: Final = ({Rank.VALUE_IN_USE}, {Rank.PART_IN_USE}, {Rank.NAMED, Rank.OTHER})
_Item = TypeVar("_Item")


def by_turns(groups: Iterable[Iterable[_Item]]) -> Iterator[_Item]:
    """The first of each group, then the second of each, until none is left."""
    waiting = deque(iter(each) for each in groups)
    while waiting:
        group = waiting.popleft()
        for each in islice(group, 1):
            yield each
            waiting.append(group)


@dataclass(slots=True)
class Sought:
    """What is looked for. The numbers: how many values are not, by the bound that they exceed.

    `ordinary`: words that many lines have. `phones`: phone numbers of the Secret's own namespace. `unreadable`: values
    that are no UTF-8 text.
    """

    texts: set[str] = field(default_factory=set)
    short: int = 0
    long: int = 0
    beyond: int = 0
    ordinary: int = 0
    phones: int = 0
    unreadable: int = 0
    _room: int = MOST
    _characters: int = MOST_CHARACTERS

    @property
    def passed_over(self) -> int:
        """How many values are not looked for."""
        return self.short + self.long + self.beyond + self.ordinary + self.phones + self.unreadable

    def add(self, values: Iterable[str]) -> None:
        """Look for credentials of the operator itself, outside the bounds of all others. An empty one is no value."""
        self.texts.update(each.text for each in self._of_fitting_length(map(Text, values)))

    def chosen(self, texts: Iterable[Text], phones: Collection[str] = frozenset()) -> list[Text]:
        """What is looked for of one Secret, if there is room for all. `phones`: digits of the numbers beside it.

        A user name that is such a number is no secret. A password is one whatever it looks like.
        """
        found: list[Text] = []
        coming = iter(texts)
        for each in self._of_fitting_length(islice(coming, CONSIDERED)):
            sure = each.rank is Rank.VALUE_IN_USE and not each.username
            if not sure and each.text.strip().removeprefix("+") in phones:
                self.phones += 1
            elif each.ordinary:
                self.ordinary += 1
            elif len(found) >= MOST_OF_A_SECRET:
                self.beyond += 1
            else:
                found.append(each)
        self.beyond += any(True for _ in coming)
        return found

    def add_by_turns(self, namespaces: Mapping[str, Sequence[Sequence[Text]]]) -> None:
        """Look for what is chosen of Secrets, as far as there is room: what numbers use first, and namespaces by turns.

        No namespace and no Secret can use up the room of the others.
        """
        for tier in _TIERS:
            for each in by_turns(
                by_turns([text for text in secret if text.rank in tier] for secret in secrets)
                for secrets in namespaces.values()
            ):
                if each.text in self.texts:
                    continue
                if self._room < 1 or self._characters < len(each.text):
                    self.beyond += 1
                    continue
                self.texts.add(each.text)
                self._room -= 1
                self._characters -= len(each.text)

    def _of_fitting_length(self, texts: Iterable[Text]) -> Iterator[Text]:
        seen: set[str] = set()
        for each in texts:
            if not each.text or each.text in seen:
                continue
            seen.add(each.text)
            if len(each.text) < SHORTEST:
                self.short += 1
            elif len(each.text) > LONGEST:
                self.long += 1
            else:
                yield each

    def manifest(self) -> dict[str, object]:
        """What the manifest of the bundle says about the search."""
        return {
            "valuesLookedFor": len(self.texts),
            "valuesNotLookedFor": {
                f"shorterThan{SHORTEST}Characters": self.short,
                f"longerThan{LONGEST}Characters": self.long,
                "tooMany": self.beyond,
                "ordinaryWords": self.ordinary,
                "phoneNumbersOfTheNamespace": self.phones,
                "notText": self.unreadable,
            },
        }
