"""Names for imported objects and their Secrets: made from the trunk's name or the number, and never twice."""

from collections.abc import Collection

MOST = 48
"""Characters of a name that is made of a trunk's name; a suffix may follow."""

_KEPT = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


class Names:
    """Hands out names that are not in `taken`, nor were handed out before."""

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = set(taken)
        self._tried: dict[str, int] = {}

    def of(self, trunk: str, number: str) -> str:
        """A DNS label. The trunk's name, else the number's digits; with the digits behind it if the name is taken."""
        digits = "".join(each for each in number if each in "0123456789")
        words = "".join(each if each in _KEPT else " " for each in trunk[: 8 * MOST].lower()).split()
        base = "-".join(words)[:MOST].strip("-")
        if not base or base == digits:
            base, numbered = f"number-{digits}", f"number-{digits}"
        else:
            numbered = f"{base}-{digits}"
        return self._first(base, numbered)

    def secret_for(self, name: str, what: str = "sip") -> str:
        """The name of a Secret of an object. `what`: what it is for, the end of its name."""
        return self._first(f"{name}-{what}", f"{name}-{what}-import")

    def _first(self, base: str, numbered: str) -> str:
        name, count = base, self._tried.get(numbered, 1)
        while name in self._taken:
            name = numbered if count == 1 else f"{numbered}-{count}"
            count += 1
        self._tried[numbered] = count  # thousands of trunks may have one name: what was taken once stays taken
        self._taken.add(name)
        return name
