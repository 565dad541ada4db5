"""Which trunk and which rule a call gets: LiveKit's own choice, made here without a call.

Source: livekit/protocol `sip/sip.go` (`MatchTrunkDetailed`, `MatchDispatchRuleIter`, `DispatchRulePriority`,
`DispatchRuleValidator`), asked as livekit-server 1.13.5 asks it (`pkg/service/ioservice_sip.go`). A contract test
compares this module with it. Trunks and rules are given in LiveKit's order, which is that of their IDs.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, product

from .trunk import DispatchRule, Form, InboundTrunk, Masked, normalised

_IGNORED_IN_ADDRESSES = re.compile(r"[()+*;, \t\n\r]|://")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_FIRST = {Form.DIRECT: 0, Form.INDIVIDUAL: 1, Form.CALLEE: 2}
_WITHOUT_PIN = 100
_FOR_ANY = 1000


class Result(StrEnum):
    """What LiveKit does with a call."""

    ACCEPTED = "Accepted"
    ASKED_FOR_PIN = "AskedForPin"
    DROPPED = "Dropped"
    REFUSED = "Refused"


class Filter(StrEnum):
    """Why a trunk or rule is not for a call."""

    CALLER = "Caller"
    ADDRESS = "Address"
    NUMBER = "Number"
    PIN = "Pin"
    TRUNK = "Trunk"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that arrives. `called`, `caller`: user parts of To and From; `host`: of From; `source`: an IP address.

    `source` empty: any. `pin`: what the caller has entered; `skips_pin`: it was asked for one and entered none.
    """

    called: str
    caller: str = ""
    source: str = ""
    host: str = ""
    pin: Masked | None = None
    skips_pin: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a call, and why. `stopped`: ID → filter of each trunk or rule that the call did not get through.

    `contradict`: IDs of two trunks or rules between which LiveKit does not choose (one twice: it contradicts itself).
    """

    result: Result
    trunk: InboundTrunk | None = None
    rule: DispatchRule | None = None
    stopped: tuple[tuple[str, Filter], ...] = ()
    contradict: tuple[str, ...] = ()


def judge(trunks: Iterable[InboundTrunk], rules: Iterable[DispatchRule], call: Call) -> Judgement:
    """What LiveKit does with a call, given everything that it holds."""
    matched, stopped, contradict = _trunk_for(trunks, call)
    if contradict:
        return Judgement(Result.REFUSED, stopped=stopped, contradict=contradict)
    # Without a trunk LiveKit reads all rules, and two that contradict each other anywhere refuse the call.
    considered = [rule for rule in rules if matched is None or not rule.trunk_ids or matched.id in rule.trunk_ids]
    contradict = contradiction(considered)
    if contradict:
        return Judgement(Result.REFUSED, matched, stopped=stopped, contradict=contradict)
    filters = [(rule, rule_filter(rule, matched, call)) for rule in considered]
    stopped += tuple((rule.id, why) for rule, why in filters if why is not None)
    chosen = _first([rule for rule, why in filters if why is None])
    if chosen is None:
        return Judgement(Result.DROPPED, matched, stopped=stopped)
    asked = chosen.selection.pin is not None and call.pin is None
    return Judgement(Result.ASKED_FOR_PIN if asked else Result.ACCEPTED, matched, chosen, stopped)


def preferred(rules: Iterable[DispatchRule], trunk: InboundTrunk | None, call: Call) -> DispatchRule | None:
    """The rule that a call over this trunk gets, of rules without a contradiction."""
    return _first([rule for rule in rules if rule_filter(rule, trunk, call) is None])


def trunk_filter(trunk: InboundTrunk, call: Call) -> Filter | None:
    """Why a trunk does not take a call, None if it does. A trunk without numbers takes any that no other is for."""
    if trunk.numbers and not _is_among(call.called, trunk.numbers):
        return Filter.NUMBER
    if trunk.allowed_numbers and not _is_among(call.caller, trunk.allowed_numbers):
        return Filter.CALLER
    if not _address_is_allowed(call, trunk.allowed_addresses):
        return Filter.ADDRESS
    return None


def rule_filter(rule: DispatchRule, trunk: InboundTrunk | None, call: Call) -> Filter | None:
    """Why a rule is not for a call over a trunk (None: over none), None if it is.

    Numbers are compared as they are written, other than on trunks.
    """
    selection = rule.selection
    if rule.trunk_ids and (trunk is None or trunk.id not in rule.trunk_ids):
        return Filter.TRUNK
    if selection.callers and call.caller not in selection.callers:
        return Filter.CALLER
    if selection.numbers and call.called not in selection.numbers:
        return Filter.NUMBER
    # Who has entered a PIN gets no rule without one; who enters none gets no rule with one.
    if (call.skips_pin and selection.pin) or (not call.skips_pin and call.pin and call.pin != selection.pin):
        return Filter.PIN
    return None


def contradiction(rules: Iterable[DispatchRule]) -> tuple[str, ...]:
    """IDs of the first two rules that are for the same calls, so that LiveKit refuses all; empty if none are."""
    before = _Before()
    for rule in rules:
        if rule.selection.form is Form.UNKNOWN or _names_one_twice(rule):
            return (rule.id, rule.id)
        other = before.for_the_same(rule)
        if other is not None:
            return _both(rule.id, other.id)
        before.add(rule)
    return ()


class _Before:
    """Rules that do not contradict each other, found by what they are limited to.

    There may be thousands: to compare each with each would stop everything else for minutes.
    """

    def __init__(self) -> None:
        self._rules: list[DispatchRule] = []
        self._by_caller: dict[tuple[str, Masked | None, str], list[int]] = {}
        self._by_number: dict[tuple[str, Masked | None, str], list[int]] = {}

    def add(self, rule: DispatchRule) -> None:
        """Remember a rule."""
        selection, place = rule.selection, len(self._rules)
        self._rules.append(rule)
        for index, limits in ((self._by_caller, selection.callers), (self._by_number, selection.numbers)):
            for trunk, each in product(rule.trunk_ids or ("",), _spelled_alike(limits)):
                index.setdefault((trunk, selection.pin, each), []).append(place)

    def for_the_same(self, rule: DispatchRule) -> DispatchRule | None:
        """The first one that shares trunk, PIN, a caller and a number with this rule."""
        selection = rule.selection
        callers, numbers = _spelled_alike(selection.callers), _spelled_alike(selection.numbers)
        for trunk in rule.trunk_ids or ("",):
            found = [self._by_caller.get((trunk, selection.pin, each), ()) for each in callers]
            by_number = [self._by_number.get((trunk, selection.pin, each), ()) for each in numbers]
            fewer = min(found, by_number, key=lambda places: sum(map(len, places)))
            for place in sorted(set(chain.from_iterable(fewer))):
                other = self._rules[place].selection
                alike = not callers.isdisjoint(_spelled_alike(other.callers))
                if alike and not numbers.isdisjoint(_spelled_alike(other.numbers)):
                    return self._rules[place]
        return None


def _names_one_twice(rule: DispatchRule) -> bool:
    """Whether a rule names a trunk, a caller or a number twice: to LiveKit it is then for the same calls as itself."""
    callers, numbers = rule.selection.callers, rule.selection.numbers
    return (
        len(set(rule.trunk_ids)) < len(rule.trunk_ids)
        or len(_spelled_alike(callers)) < len(callers)
        or len(_spelled_alike(numbers)) < len(numbers)
    )


@lru_cache(maxsize=1024)
def _spelled_alike(numbers: tuple[str, ...]) -> frozenset[str]:
    """Numbers as LiveKit compares them; that there are none it takes for one that is empty."""
    return frozenset(map(normalised, numbers or ("",)))


def _trunk_for(
    trunks: Iterable[InboundTrunk], call: Call
) -> tuple[InboundTrunk | None, tuple[tuple[str, Filter], ...], tuple[str, ...]]:
    """The trunk of a call, what did not take it, and two between which LiveKit does not choose."""
    filters = [(trunk, trunk_filter(trunk, call)) for trunk in trunks]
    stopped = tuple((trunk.id, why) for trunk, why in filters if why not in (None, Filter.NUMBER))
    matching = [trunk for trunk, why in filters if why is None]
    # A trunk with the number is preferred to those without any.
    best = [trunk for trunk in matching if trunk.numbers] or matching
    if len(best) > 1:
        return None, stopped, _both(best[0].id, best[1].id)
    return (best[0] if best else None), stopped, ()


def _both(one: str, other: str) -> tuple[str, ...]:
    return (min(one, other), max(one, other))


def _first(rules: Sequence[DispatchRule]) -> DispatchRule | None:
    """The rule that LiveKit takes: one that names the trunk before one that names none, then the smallest rank."""
    return min(rules, key=lambda rule: (not rule.trunk_ids, *_rank(rule)), default=None)


def _rank(rule: DispatchRule) -> tuple[int, bytes]:
    selection = rule.selection
    rank = _FIRST.get(selection.form, _FOR_ANY)
    rank += 0 if selection.pin else _WITHOUT_PIN
    rank += 0 if selection.callers else _FOR_ANY
    rank += 0 if selection.numbers else _FOR_ANY
    # LiveKit compares bytes.
    return rank, (selection.room or rule.room_prefix).encode(errors="surrogatepass")


def _is_among(number: str, allowed: Sequence[str]) -> bool:
    wanted = normalised(number)
    return any(wanted == normalised(each) for each in allowed)


def _address_is_allowed(call: Call, allowed: Sequence[str]) -> bool:
    """Entries that LiveKit cannot use it ignores; with none left, or with a source that is no address, all may call."""
    source = _address(call.source)
    entries = [entry for entry in allowed if not _IGNORED_IN_ADDRESSES.search(entry)]
    if source is None or not entries:
        return True
    return any(entry == call.host or _covers(entry, source) for entry in entries)


def _covers(entry: str, source: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if "/" not in entry:
        return _address(entry) == source
    network = _network(entry)
    scoped = isinstance(source, ipaddress.IPv6Address) and source.scope_id is not None
    return network is not None and not scoped and source.version == network.version and source in network


@lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    address, _, length = entry.partition("/")
    if not _LENGTH.fullmatch(length) or "%" in address:
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None
