"""Sorts what nobody owns in LiveKit into sets that one `ByocPhoneNumber` can have, and says why the rest fits none."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api.grammar import ALIAS, matches
from ..api.schema import MAX_ALIASES
from ..core.ownership import owner_of
from ..core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, RoomForm, SipObject, Trunk, normalised

_NAMED = 4
"""How many IDs or numbers a reason names."""


_SHORTEST_E164 = 7
"""Digits: shorter ones are extensions and short codes. The shortest subscriber numbers with country code have 7."""


@dataclass(frozen=True, slots=True)
class Left:
    """An object of LiveKit that is not imported. `why`: for the user."""

    found: SipObject
    why: str


@dataclass(frozen=True, slots=True)
class ImportSet:
    """The objects of one phone number. Without an inbound trunk the number takes no calls."""

    phone_number: str
    outbound: OutboundTrunk
    inbound: InboundTrunk | None = None
    rule: DispatchRule | None = None

    @property
    def objects(self) -> tuple[SipObject, ...]:
        """All of them, trunks first."""
        return tuple(each for each in (self.outbound, self.inbound, self.rule) if each is not None)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Every object without a mark, once: in a set or left. `owned`: how many objects carry a mark."""

    sets: list[ImportSet] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    owned: int = 0


def import_sets(objects: Iterable[SipObject]) -> Sorted:
    """Sort LiveKit's objects by phone number."""
    everything = list(objects)
    free = [each for each in everything if owner_of(each) is None]
    made = Sorted(owned=len(everything) - len(free))
    trunks: list[Trunk] = [each for each in free if not isinstance(each, DispatchRule)]
    rules = [each for each in free if isinstance(each, DispatchRule)]
    by_number: dict[str, list[Trunk]] = {}
    for trunk in trunks:
        for number in _numbers(trunk):
            by_number.setdefault(number, []).append(trunk)
    by_trunk: dict[str, list[DispatchRule]] = {}
    for rule in rules:
        for id_ in frozenset(rule.trunk_ids):
            by_trunk.setdefault(id_, []).append(rule)
    for trunk in trunks:
        why = _unfit(trunk)
        if why:
            made.left.append(Left(trunk, why))
    lone = {id(trunk) for trunk in trunks if not _unfit(trunk)}
    for number, found in sorted(by_number.items()):
        alone = [each for each in found if id(each) in lone]
        if alone:
            _sort_number(number, alone, _together(found), by_trunk, made)
    taken = {each.rule.id for each in made.sets if each.rule is not None}
    why_not = {each.found.id: each.why for each in made.left}
    known = {each.id for each in everything}
    made.left.extend(Left(rule, _of_rule(rule, why_not, known)) for rule in rules if rule.id not in taken)
    return made


def _numbers(trunk: Trunk) -> frozenset[str]:
    """The numbers under which a trunk is sorted: its first one if the others are spellings of it."""
    numbers = list(map(normalised, trunk.numbers))
    return frozenset(numbers if _unfit(trunk) else numbers[:1])


def _unfit(trunk: Trunk) -> str:
    """Why a trunk can belong to no set, whatever else there is."""
    numbers = list(dict.fromkeys(map(normalised, trunk.numbers)))
    if not numbers:
        return "it carries no number"
    if len(trunk.numbers) > 1 and not (isinstance(trunk, InboundTrunk) and _are_aliases(trunk.numbers[1:], numbers)):
        return f"it carries several numbers ({_some(trunk.numbers)}); an object has one, and aliases of it"
    return ""


def _are_aliases(others: Sequence[str], numbers: Sequence[str]) -> bool:
    """Whether all numbers but the first can be aliases of the first one: no E.164 number of its own among them.

    `numbers`: all of them, normalised. Short digits may be a number of E.164 with a country code, so only what begins
    with 0 or has fewer than `_SHORTEST_E164` digits, or is the end of the first number, counts as a spelling.
    """
    if len(numbers) != len(others) + 1 or len(others) > MAX_ALIASES:
        return False
    return all(matches(ALIAS, each) and _is_spelling(each.removeprefix("+"), numbers[0]) for each in others)


def _is_spelling(digits: str, number: str) -> bool:
    return digits.startswith("0") or len(digits) < _SHORTEST_E164 or number.endswith(digits)


def _together(trunks: Sequence[Trunk]) -> str:
    """What is wrong with the trunks of one number together."""
    for kind in (OutboundTrunk, InboundTrunk):
        several = [each.id for each in trunks if isinstance(each, kind)]
        if len(several) > 1:
            return f"several {kind.kind.label}s carry its number: {_some(several)}"
    return ""


def _sort_number(
    number: str, trunks: Sequence[Trunk], why: str, by_trunk: Mapping[str, Sequence[DispatchRule]], made: Sorted
) -> None:
    outbound = next((each for each in trunks if isinstance(each, OutboundTrunk)), None)
    inbound = next((each for each in trunks if isinstance(each, InboundTrunk)), None)
    mine = by_trunk.get(inbound.id, ()) if inbound is not None else ()
    if not why and outbound is None:
        why = "there is no outbound trunk with its number, so spec.terminationUri is not known"
    if not why and inbound is not None:
        why = _of_rules(inbound, mine)
    if why or outbound is None:
        made.left.extend(Left(each, why) for each in trunks)
    else:
        made.sets.append(ImportSet(number, outbound, inbound, mine[0] if mine else None))


def _of_rules(inbound: InboundTrunk, rules: Sequence[DispatchRule]) -> str:
    """Why the rules of an inbound trunk are not those of an object."""
    if not rules:
        return f"no dispatch rule names {inbound.id}, so spec.inboundAgentId is not known"
    if len(rules) > 1:
        return f"several dispatch rules name {inbound.id}: {_some([each.id for each in rules])}"
    (rule,) = rules
    odd = _odd_rule(rule)
    return f"its dispatch rule {rule.id} {odd}" if odd else ""


def _odd_rule(rule: DispatchRule) -> str:
    """What a rule has that no object can have."""
    selection = rule.selection
    if not rule.trunk_ids:
        return "takes the calls of every trunk"
    if len(rule.trunk_ids) > 1:
        return f"takes the calls of several trunks ({_some(rule.trunk_ids)})"
    if selection.form is not RoomForm.INDIVIDUAL:
        forms = {
            RoomForm.DIRECT: "puts all calls into one room",
            RoomForm.CALLEE: "names rooms after the called number",
        }
        return forms.get(selection.form, "chooses the room in a way that is not known here")
    if selection.pin is not None:
        return "asks for a PIN"
    if selection.callers or selection.numbers:
        return "is for some callers or called numbers only"
    return ""


def _of_rule(rule: DispatchRule, why_not: Mapping[str, str], known: Collection[str]) -> str:
    """Why a rule is in no set."""
    odd = _odd_rule(rule)
    if odd:
        return f"it {odd}"
    trunk = rule.trunk_ids[0]
    if trunk in why_not:
        return f"its trunk {trunk} is not imported"
    return f"its trunk {trunk} belongs to somebody" if trunk in known else f"its trunk {trunk} is not in LiveKit"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
