"""The aliases of an object that other objects or foreign trunks have, and what the user is told.

Aliases are claimed like numbers (`docs/decisions/0043-aliases.md`), but an alias that is not available takes nothing
else away: the number, its rule and its other aliases stay in step. Numbers are written as LiveKit compares them.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from ..api.conditions import Reason, Verdict
from ..api.names import ADOPT
from ..api.resource import PhoneNumber
from .claims import NAMED, Allocation, LeftTrunks, named_to
from .ownership import Owned
from .snapshot import Snapshot
from .trunk import InboundTrunk, normalised

SHOWN = 4
"""How many aliases a message explains at most."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The aliases of an object that it does not have to itself.

    `why`: for each such alias the sentence for the message, without its subject. `kept`: those that a foreign trunk got
    later. They stay on the inbound trunk until it is written: LiveKit refuses to write them.
    """

    why: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    @property
    def for_a_write(self) -> "Unavailable":
        """The same for an inbound trunk that is written: it keeps no alias that a foreign trunk has."""
        return replace(self, kept=frozenset())

    def granted(self, numbers: Collection[str]) -> tuple[str, ...]:
        """The texts of these numbers and aliases that the inbound trunk should have."""
        return tuple(each for each in numbers if self._has(normalised(each)))

    def _has(self, phone: str) -> bool:
        return phone not in self.why or phone in self.kept

    def verdict(self, number: PhoneNumber) -> Verdict | None:
        """The verdict AliasUnavailable with the aliases as the spec writes them; None if nothing is unavailable."""
        if not self.why or number.spec is None:
            return None
        written = dict(zip(number.aliases, number.spec.inbound.aliases or (), strict=False))
        told = [f"{written.get(phone, phone)} {why}" for phone, why in self.why.items()]
        more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        message = (
            f"Not all aliases are this object's: {'; '.join(told[:SHOWN])}{more}. "
            "The number and its other aliases take calls."
        )
        return Verdict(Reason.ALIAS_UNAVAILABLE, message)


def refusals(number: PhoneNumber, allocated: Callable[[str], Allocation]) -> Mapping[str, str]:
    """Why other objects have aliases of this object, by alias. `allocated`: the allocation of a number."""
    found = {phone: _refusal(number, phone, allocated(phone)) for phone in number.aliases}
    return {phone: why for phone, why in found.items() if why}


def unavailable(
    number: PhoneNumber, refused: Mapping[str, str], owned: Owned, taken: Owned, snapshot: Snapshot
) -> Unavailable:
    """The aliases that other objects have (`refused`), and those that are on a foreign inbound trunk.

    A foreign trunk that has an alias already keeps it. If the alias is on the object's own trunk too, it stays on both
    until that trunk is written for another reason; until then LiveKit refuses calls to it.
    """
    why, kept = dict(refused), set[str]()
    ours = {trunk.id for trunk in (*owned.inbound, *taken.inbound)}
    present = {normalised(each) for trunk in owned.inbound for each in trunk.numbers}
    for phone in number.aliases:
        if phone in why:
            continue
        on = snapshot.trunks_with(phone)
        foreign = [each.id for each in on if isinstance(each, InboundTrunk) and each.id not in ours]
        if not foreign:
            continue
        why[phone] = (
            f"is on {', '.join(foreign[:NAMED])} in LiveKit, which this object does not manage (take it out there, or "
            "out of this object)"
        )
        if phone in present:
            kept.add(phone)
    return Unavailable(why, frozenset(kept))


def _refusal(number: PhoneNumber, phone: str, allocation: Allocation) -> str:
    """Why an object does not get an alias, empty if it does. The text names no object of another namespace."""
    holder = allocation.holder
    if holder is not None and holder.key == number.key:
        return ""
    if holder is not None:
        as_what = "its number" if phone == holder.phone_number else "an alias"
        return f"is held by {named_to(number, holder.key)} as {as_what} (take it out of one of the two)"
    left = allocation.in_the_way(number)
    if left is not None:
        return _left(left, number, adoption_allowed=allocation.adoption_allowed)
    if allocation.blind or not allocation.waits(number, phone):
        return ""
    return "was released, and is reserved for a while for the namespace that had it"


def _left(left: LeftTrunks, number: PhoneNumber, *, adoption_allowed: bool) -> str:
    who, ids = named_to(number, left.owner), ", ".join(left.ids[:NAMED])
    if left.unread:
        return f"is on trunks of {who} that the operator cannot read: {ids}"
    here = left.owner.namespace == number.key.namespace
    adopt = f", or adopt them ({ADOPT})" if here and adoption_allowed else ""
    return (
        f"is on trunks of {who} that is gone, {left.why}: {ids} (an administrator can release them: kubectl byoc "
        f"release{adopt})"
    )
