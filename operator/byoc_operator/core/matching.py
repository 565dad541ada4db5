"""Computes which trunk and which rule LiveKit chooses for a call.

Source: livekit/protocol `sip/sip.go` (`MatchTrunkDetailed`, `MatchDispatchRuleIter`, `DispatchRulePriority`,
`DispatchRuleValidator`), called as livekit-server 1.13.5 does (`pkg/service/ioservice_sip.go`). A contract test
compares this module with that code. Trunks and rules must come in LiveKit's order, which is the order of their IDs.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, product

from .trunk import DispatchRule, InboundTrunk, Masked, RoomForm, normalised

_IGNORED_IN_ADDRESSES = re.compile(r"[()+*;, \t\n\r]|://")
_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")
_FIRST = {RoomForm.DIRECT: 0, RoomForm.INDIVIDUAL: 1, RoomForm.CALLEE: 2}
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
    """An inbound call. `called`, `caller`: user parts of To and From. `host`: host of From.

    `source`: the IP address, empty for any. `pin`: the PIN that the caller has entered, None for none. `skips_pin`:
    whether the caller was asked for a PIN and entered none.
    """

    called: str
    caller: str = ""
    source: str = ""
    host: str = ""
    pin: Masked | None = None
    skips_pin: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What LiveKit does with a call, and why.

    `stopped`: ID and filter of each trunk or rule that is not for the call. `contradict`: IDs of two trunks or rules
    that are for the same calls, so that LiveKit refuses the call; the same ID twice for one that contradicts itself.
    """

    result: Result
    trunk: InboundTrunk | None = None
    rule: DispatchRule | None = None
    stopped: tuple[tuple[str, Filter], ...] = ()
    contradict: tuple[str, ...] = ()


def judge(trunks: Iterable[InboundTrunk], rules: Iterable[DispatchRule], call: Call) -> Judgement:
    """What LiveKit does with a call. `trunks`, `rules`: all that LiveKit has, by ID."""
    matched, stopped, contradict = _trunk_for(trunks, call)
    if contradict:
        return Judgement(Result.REFUSED, stopped=stopped, contradict=contradict)
    # Without a trunk LiveKit considers all rules, and refuses the call if any two of them contradict each other.
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
    """The rule that a call over this trunk gets, None for none. The rules must not contradict each other."""
    return _first([rule for rule in rules if rule_filter(rule, trunk, call) is None])


def trunk_filter(trunk: InboundTrunk, call: Call) -> Filter | None:
    """Why a trunk does not take a call, None if it does. A trunk without numbers takes calls to every number."""
    if trunk.numbers and not _is_among(call.called, trunk.numbers):
        return Filter.NUMBER
    if trunk.allowed_numbers and not _is_among(call.caller, trunk.allowed_numbers):
        return Filter.CALLER
    if not _address_is_allowed(call, trunk.allowed_addresses):
        return Filter.ADDRESS
    return None


def rule_filter(rule: DispatchRule, trunk: InboundTrunk | None, call: Call) -> Filter | None:
    """Why a rule is not for a call, None if it is. `trunk`: the trunk of the call, None for none.

    For rules LiveKit compares numbers as they are written; for trunks it compares them normalised.
    """
    selection = rule.selection
    if rule.trunk_ids and (trunk is None or trunk.id not in rule.trunk_ids):
        return Filter.TRUNK
    if selection.callers and call.caller not in selection.callers:
        return Filter.CALLER
    if selection.numbers and call.called not in selection.numbers:
        return Filter.NUMBER
    # A caller who has entered a PIN gets only rules with that PIN; one who skips it gets only rules without a PIN.
    if (call.skips_pin and selection.pin) or (not call.skips_pin and call.pin and call.pin != selection.pin):
        return Filter.PIN
    return None


def contradiction(rules: Iterable[DispatchRule]) -> tuple[str, ...]:
    """IDs of the first two rules for the same calls, because of which LiveKit refuses all calls; empty if none."""
    before = _Before()
    for rule in rules:
        if rule.selection.form is RoomForm.UNKNOWN or _names_one_twice(rule):
            return (rule.id, rule.id)
        other = before.for_the_same(rule)
        if other is not None:
            return _both(rule.id, other.id)
        before.add(rule)
    return ()


class _Before:
    """An index of rules that do not contradict each other, by caller and by number.

    Without the index, thousands of rules would be compared in pairs, which takes minutes.
    """

    def __init__(self) -> None:
        self._rules: list[DispatchRule] = []
        self._by_caller: dict[tuple[str, Masked | None, str], list[int]] = {}
        self._by_number: dict[tuple[str, Masked | None, str], list[int]] = {}

    def add(self, rule: DispatchRule) -> None:
        """Add a rule."""
        selection, place = rule.selection, len(self._rules)
        self._rules.append(rule)
        for index, limits in ((self._by_caller, selection.callers), (self._by_number, selection.numbers)):
            for trunk, each in product(rule.trunk_ids or ("",), _spelled_alike(limits)):
                index.setdefault((trunk, selection.pin, each), []).append(place)

    def for_the_same(self, rule: DispatchRule) -> DispatchRule | None:
        """The first rule that shares trunk, PIN, a caller and a number with this one, None for none."""
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
    """Whether a rule names a trunk, caller or number twice. LiveKit then finds that it contradicts itself."""
    callers, numbers = rule.selection.callers, rule.selection.numbers
    return (
        len(set(rule.trunk_ids)) < len(rule.trunk_ids)
        or len(_spelled_alike(callers)) < len(callers)
        or len(_spelled_alike(numbers)) < len(numbers)
    )


@lru_cache(maxsize=1024)
def _spelled_alike(numbers: tuple[str, ...]) -> frozenset[str]:
    """The numbers, normalised as LiveKit compares them; one empty number for an empty list."""
    return frozenset(map(normalised, numbers or ("",)))


def _trunk_for(
    trunks: Iterable[InboundTrunk], call: Call
) -> tuple[InboundTrunk | None, tuple[tuple[str, Filter], ...], tuple[str, ...]]:
    """The trunk of a call, the trunks that refuse it, and the IDs of two trunks that contradict each other."""
    filters = [(trunk, trunk_filter(trunk, call)) for trunk in trunks]
    stopped = tuple((trunk.id, why) for trunk, why in filters if why not in (None, Filter.NUMBER))
    matching = [trunk for trunk, why in filters if why is None]
    # LiveKit prefers a trunk with the number to trunks without numbers.
    best = [trunk for trunk in matching if trunk.numbers] or matching
    if len(best) > 1:
        return None, stopped, _both(best[0].id, best[1].id)
    return (best[0] if best else None), stopped, ()


def _both(one: str, other: str) -> tuple[str, ...]:
    return (min(one, other), max(one, other))


def _first(rules: Sequence[DispatchRule]) -> DispatchRule | None:
    """The rule that LiveKit chooses: rules that name the trunk come first, then the smallest rank decides."""
    return min(rules, key=lambda rule: (not rule.trunk_ids, *_rank(rule)), default=None)


def _rank(rule: DispatchRule) -> tuple[int, bytes]:
    selection = rule.selection
    rank = _FIRST.get(selection.form, _FOR_ANY)
    rank += 0 if selection.pin else _WITHOUT_PIN
    rank += 0 if selection.callers else _FOR_ANY
    rank += 0 if selection.numbers else _FOR_ANY
    # LiveKit compares the bytes of the room names.
    return rank, (selection.room or rule.room_prefix).encode(errors="surrogatepass")


def _is_among(number: str, allowed: Sequence[str]) -> bool:
    wanted = normalised(number)
    return any(wanted == normalised(each) for each in allowed)


def _address_is_allowed(call: Call, allowed: Sequence[str]) -> bool:
    """Whether the allowed addresses have the source or the From host of a call.

    LiveKit ignores entries that it cannot use. If no entry is left, or the source is not an IP address, it accepts the
    call.
    """
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
