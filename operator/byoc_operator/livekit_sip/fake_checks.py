"""The checks of livekit-server 1.13.5 for objects that the operator may send, with its messages.

Sources: livekit/protocol `livekit/sip.go` (`Validate`) and `sip/sip.go` (conflicts), livekit/livekit
`pkg/service/sip.go` (which stored objects are compared); all tried on the real server.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..api.conditions import Reason
from ..core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, normalised
from ..errors import Occupied, Stalled

_Compared = TypeVar("_Compared", bound=InboundTrunk | DispatchRule)


def check_outbound(wanted: OutboundTrunk) -> None:
    """Raises `Stalled` for a trunk that the server refuses. Several outbound trunks may have the same number."""
    if not wanted.numbers:
        raise _rejected("no trunk numbers specified")
    if not wanted.address:
        raise _rejected("no outbound address specified")
    for address in (wanted.address, wanted.from_host):
        if "transport=" in address:
            raise _rejected("trunk address should not contain transport parameter")
        if "@" in address or ";" in address or address.startswith(("sip:", "sips:")):
            raise _rejected("trunk address should be a hostname or IP, not SIP URI")


def check_inbound(wanted: InboundTrunk, stored: Iterable[InboundTrunk]) -> None:
    """Raises `Occupied` if two trunks would have the same number and caller, `Stalled` for a trunk open to everybody.

    Like the server, the fake compares only the trunks whose *stored* numbers match the wanted ones. It therefore does
    not notice a conflict inside a trunk that is changed to the number of another trunk.
    """
    has_login = wanted.username is not None and wanted.password is not None
    if not has_login and not wanted.allowed_addresses and not wanted.numbers:
        raise _rejected(
            "for security, one of the fields must be set: AuthUsername+AuthPassword, AllowedAddresses or Numbers"
        )
    compared = [trunk for trunk in stored if _shares_number(trunk, wanted)]
    seen: dict[tuple[str, str], InboundTrunk] = {}
    for trunk in _with_wanted(compared, wanted):
        for key in _inbound_keys(trunk):
            other = seen.setdefault(key, trunk)
            if other is not trunk:
                raise _inbound_occupied(trunk, other, key)


def check_rules(wanted: DispatchRule, stored: Iterable[DispatchRule]) -> None:
    """Raises `Occupied` if one of the wanted rule's trunks would have two rules."""
    trunks = set(wanted.trunk_ids)
    compared = [rule for rule in stored if not trunks or not rule.trunk_ids or trunks.intersection(rule.trunk_ids)]
    seen: dict[str, DispatchRule] = {}
    for rule in _with_wanted(compared, wanted):
        for trunk_id in rule.trunk_ids or ("",):
            other = seen.setdefault(trunk_id, rule)
            if other is not rule:
                raise Occupied(
                    Reason.NUMBER_CONFLICT,
                    "LiveKit refuses: Dispatch rule for the same trunk, inbound number, number, and PIN combination "
                    f'already exists in dispatch rule "{other.id}" "{other.name}"',
                )


def _shares_number(stored: InboundTrunk, wanted: InboundTrunk) -> bool:
    """Like the server's list filter: a trunk without numbers fits every filter, and an empty filter fits all."""
    if not stored.numbers or not wanted.numbers:
        return True
    return not {normalised(number) for number in wanted.numbers}.isdisjoint(map(normalised, stored.numbers))


def _with_wanted(compared: list[_Compared], wanted: _Compared) -> list[_Compared]:
    """The stored objects with the wanted one: added if it is new, else in place of the one with its ID."""
    if not wanted.id:
        return [*compared, wanted]
    return [wanted if stored.id == wanted.id else stored for stored in compared]


def _inbound_keys(trunk: InboundTrunk) -> Iterator[tuple[str, str]]:
    for number in trunk.numbers or ("",):
        for caller in trunk.allowed_numbers or ("",):
            yield normalised(number), normalised(caller)


def _inbound_occupied(trunk: InboundTrunk, other: InboundTrunk, key: tuple[str, str]) -> Occupied:
    number, caller = key
    callers = f'and AllowedNumber "{caller}"' if caller else "without AllowedNumbers set"
    return Occupied(
        Reason.NUMBER_CONFLICT,
        f'LiveKit refuses: Conflicting inbound SIP Trunks: "{trunk.id or "<new>"}" and "{other.id}", '
        f'using the same number(s) ["{number}"] {callers}',
    )


def _rejected(words: str) -> Stalled:
    return Stalled(Reason.REJECTED_BY_LIVEKIT, f"LiveKit refuses: {words}")
