"""What foreign dispatch rules do to the calls of one number.

Anybody with LiveKit's API key can create a rule that names our trunk. LiveKit prefers such a rule to ours if it has a
PIN or is limited to callers or called numbers. A rule that names no trunk gets the calls that our trunk refuses.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, product

from .matching import Call, contradiction, preferred, trunk_filter
from .trunk import UNREADABLE, DispatchRule, InboundTrunk, RoomForm, normalised

MOST_TOLD = 3
"""How many rules a finding names; it gives the number of the others."""

MOST_CALLS = 16
"""How many calls are tried for one rule, which treats all callers in its list in the same way."""

MOST_TRIED = 64
"""How many calls are tried for all trunks without numbers together; each call is compared with every such trunk."""

_ANY_TRUNK = "ST"
_STRANGER = "a caller whom no rule names"
_ANYWHERE = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
"""Addresses for documentation (RFC 5737, RFC 3849), to test whether a trunk accepts calls from any address."""


@dataclass(frozen=True, slots=True)
class ForeignRules:
    """The foreign rules that may get a call to one number.

    `on_trunk`: rules that name the number's inbound trunk. `wildcards`: rules without a trunk that do not exclude the
    number. `catch_alls`: foreign trunks without numbers, which take the calls that no other trunk takes.
    `on_catch_alls`: the rules for those trunks. `contradicting`: IDs of two rules without a trunk that are for the same
    calls; LiveKit then refuses all calls.
    """

    on_trunk: tuple[DispatchRule, ...] = ()
    wildcards: tuple[DispatchRule, ...] = ()
    catch_alls: tuple[InboundTrunk, ...] = ()
    on_catch_alls: tuple[DispatchRule, ...] = ()
    contradicting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wildcards:
    """The rules without a trunk, indexed once for all numbers.

    `for_any`: the rules for every number. `by_number`: the others. `contradicting`: as in `ForeignRules`.
    """

    for_any: tuple[DispatchRule, ...]
    by_number: Mapping[str, tuple[DispatchRule, ...]]
    contradicting: tuple[str, ...]

    @classmethod
    def of(cls, wildcards: Mapping[str, DispatchRule]) -> "Wildcards":
        """The index of rules without a trunk. `wildcards`: the rules by ID."""
        # A rule that was not read completely may be for other numbers only, so it is left out; the log names it.
        rules = [rule for _, rule in sorted(wildcards.items()) if UNREADABLE not in rule.extra]
        by_number: dict[str, tuple[DispatchRule, ...]] = {}
        for rule in rules:
            for number in {normalised(number) for number in rule.selection.numbers}:
                by_number[number] = (*by_number.get(number, ()), rule)
        # LiveKit knows forms that are newer than the operator, so such a rule is no contradiction to LiveKit.
        known = [rule for rule in rules if rule.selection.form is not RoomForm.UNKNOWN]
        return cls(tuple(rule for rule in rules if not rule.selection.numbers), by_number, contradiction(known))

    def for_numbers(self, phones: Iterable[str]) -> tuple[DispatchRule, ...]:
        """The rules that calls to a number or its aliases may get."""
        some = {rule.id: rule for phone in phones for rule in self.by_number.get(phone, ())}
        return (*self.for_any, *some.values())


@dataclass(frozen=True, slots=True)
class Intrusion:
    """What foreign rules do to the calls of a number.

    `takers`: the rules that LiveKit prefers to ours, each as its ID and what it does. `wildcard`: ID of a rule without
    a trunk that gets calls which our trunk refuses. `catch_all`: ID of a trunk without numbers that gets such calls.
    `contradicting`: IDs of rules because of which LiveKit refuses all calls.
    """

    takers: tuple[str, ...] = ()
    wildcard: str = ""
    catch_all: str = ""
    contradicting: tuple[str, ...] = ()


def intrusion(phone_number: str, trunk: InboundTrunk, ours: DispatchRule, foreign: ForeignRules) -> Intrusion:
    """What foreign rules do to calls to this number. `trunk`, `ours`: the wanted inbound trunk and rule."""
    wildcard = next((rule.id for rule in foreign.wildcards if _gets_what_is_kept_out(rule, trunk)), "")
    takers, contradicting = _takers(phone_number, trunk, ours, foreign.on_trunk)
    catch_all = _catch_all(phone_number, trunk, foreign)
    return Intrusion(takers, wildcard, catch_all, contradicting or foreign.contradicting)


def _takers(
    phone_number: str, trunk: InboundTrunk, ours: DispatchRule, foreign: Sequence[DispatchRule]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rules that LiveKit prefers to ours, and the IDs of two rules that contradict each other.

    Only our trunk counts, although a rule may name others too: every rule here names our trunk, so two rules that
    contradict each other on another trunk do so on ours as well.
    """
    unknown = [rule for rule in foreign if rule.selection.form is RoomForm.UNKNOWN]
    known = [replace(rule, trunk_ids=(_ANY_TRUNK,)) for rule in foreign if rule.selection.form is not RoomForm.UNKNOWN]
    rules = sorted((replace(ours, trunk_ids=(_ANY_TRUNK,)), *known), key=lambda rule: rule.id)
    contradicting = contradiction(rules)
    if contradicting:
        return (), tuple(dict.fromkeys(each or "ours" for each in contradicting))
    there = replace(trunk, id=_ANY_TRUNK)
    chosen: dict[Call, DispatchRule | None] = {}  # most rules are tried with the same call

    def wins(rule: DispatchRule) -> bool:
        """Whether one of the calls tried gets this rule."""
        for call in islice(_calls_for(rule, there, phone_number), MOST_CALLS):
            if call not in chosen:
                chosen[call] = preferred(rules, there, call)
            if chosen[call] is rule:
                return True
        return False

    takers = [f"{rule.id} {_effect(rule, phone_number)}" for rule in known if wins(rule)]
    takers += [f"{rule.id} has a form that the operator does not know" for rule in unknown]
    if len(takers) > MOST_TOLD:
        takers[MOST_TOLD:] = [f"{len(takers) - MOST_TOLD} more"]
    return tuple(takers), ()


def _calls_for(rule: DispatchRule, trunk: InboundTrunk, phone_number: str) -> Iterator[Call]:
    """Calls to the number or an alias that trunk and rule accept, in each spelling that the rule lists."""
    selection = rule.selection
    callers = selection.callers or trunk.allowed_numbers or (_STRANGER,)
    numbers = [each for each in selection.numbers or (phone_number,) if _is_to(each, trunk)]
    for called, caller in product(numbers, callers):
        call = Call(called, caller)
        if trunk_filter(trunk, call) is None:
            yield call


def _is_to(called: str, trunk: InboundTrunk) -> bool:
    """Whether a call to this number is for a trunk."""
    return normalised(called) in map(normalised, trunk.numbers)


def _effect(rule: DispatchRule, phone_number: str) -> str:
    selection = rule.selection
    few = bool(selection.callers) or (bool(selection.numbers) and phone_number not in selection.numbers)
    if selection.pin:
        return f"asks {'some callers' if few else 'every caller'} for a PIN"
    return f"takes {'some' if few else 'all'} calls"


def _catch_all(phone_number: str, trunk: InboundTrunk, foreign: ForeignRules) -> str:
    """ID of the first trunk without numbers that has a rule and takes a call which our trunk refuses; else empty."""
    if contradiction(foreign.on_catch_alls):
        return ""
    by_id = {each.id: each for each in foreign.catch_alls}
    pairs = ((by_id[at], rule) for rule in foreign.on_catch_alls for at in rule.trunk_ids if at in by_id)
    tried = (
        (each, call)
        for each, rule in pairs
        for call in islice(_calls_over(each, rule, trunk, phone_number), MOST_CALLS)
    )
    found = [each.id for each, call in islice(tried, MOST_TRIED) if _is_caught(call, each, trunk, foreign.catch_alls)]
    return min(found, default="")


def _calls_over(each: InboundTrunk, rule: DispatchRule, ours: InboundTrunk, phone_number: str) -> Iterator[Call]:
    """Calls to the number or an alias that may get a rule over a trunk without numbers."""
    numbers = [number for number in rule.selection.numbers if _is_to(number, ours)]
    dialled = numbers if rule.selection.numbers else [phone_number]
    callers = rule.selection.callers or each.allowed_numbers or (_STRANGER,)
    return (Call(*call) for call in product(dialled, callers, (*_sources(each.allowed_addresses), *_ANYWHERE)))


def _is_caught(call: Call, by: InboundTrunk, ours: InboundTrunk, catch_alls: Sequence[InboundTrunk]) -> bool:
    """Whether a trunk without numbers gets a call: our trunk refuses it, and so do all other trunks without numbers."""
    if trunk_filter(ours, call) is None or trunk_filter(by, call) is not None:
        return False
    return all(each is by or trunk_filter(each, call) is not None for each in catch_alls)


def _sources(addresses: Sequence[str]) -> list[str]:
    """The first address of each range."""
    return [entry.partition("/")[0] for entry in addresses]


def _gets_what_is_kept_out(wildcard: DispatchRule, trunk: InboundTrunk) -> bool:
    if trunk.allowed_addresses and not _are_everything(trunk.allowed_addresses):
        return True
    callers = wildcard.selection.callers
    kept_out = (caller for caller in callers if trunk_filter(trunk, Call(trunk.numbers[0], caller)) is not None)
    return bool(trunk.allowed_numbers) and (not callers or next(kept_out, None) is not None)


@lru_cache(maxsize=1024)
def _are_everything(addresses: tuple[str, ...]) -> bool:
    """Whether the ranges cover all addresses of IPv4 or IPv6. Our trunks have CIDRs only."""
    networks = [ipaddress.ip_network(entry) for entry in addresses]
    four = ipaddress.collapse_addresses(each for each in networks if isinstance(each, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(each for each in networks if isinstance(each, ipaddress.IPv6Network))
    return any(each.prefixlen == 0 for each in four) and any(each.prefixlen == 0 for each in six)
