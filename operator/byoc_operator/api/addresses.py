"""Tells whether an allow-list lets every caller in."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from .grammar import REMEMBERED

Range = tuple[int, int]
"""First and last address of a range, as numbers."""

_CALLERS: Final = (
    tuple(map(ipaddress.ip_network, ("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"))),
    (ipaddress.ip_network("2000::/3"),),
)
"""The addresses that a caller can have, for IPv4 and for IPv6.

The rest of IPv4 is multicast or reserved. The rest of IPv6 is unassigned or local (RFC 4291 section 2.4).
"""

_NEARLY_ALL: Final = 0.9
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


@lru_cache(REMEMBERED)
def lets_everybody_in(ranges: tuple[str, ...]) -> bool:
    """Whether CIDRs together hold at least 90 % of the addresses of IPv4 or IPv6 that a caller can have.

    An empty list lets everybody in. The spelling does not matter: one range, two halves, or a list with small gaps.
    """
    if not ranges:
        return True
    networks = [_unmapped(ipaddress.ip_network(text, strict=False)) for text in ranges]
    return any(_share(networks, callers) >= _NEARLY_ALL for callers in _CALLERS)


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _unmapped(network: _Network) -> _Network:
    """The range; an IPv4-mapped IPv6 range such as `::ffff:0:0/96` becomes the IPv4 range that it stands for."""
    if isinstance(network, ipaddress.IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    first = int(network.network_address) - int(_MAPPED.network_address)
    return ipaddress.IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))


def _share(networks: Iterable[_Network], callers: Sequence[_Network]) -> float:
    """The part of the callers' addresses that the networks hold, from 0 to 1."""
    held = _merged(_range(each) for each in networks if each.version == callers[0].version)
    wanted = [_range(each) for each in callers]
    common = sum(max(0, min(last, end) - max(first, start) + 1) for first, last in held for start, end in wanted)
    return common / sum(end - start + 1 for start, end in wanted)


def _range(network: _Network) -> Range:
    return int(network.network_address), int(network.broadcast_address)


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """The same addresses in ranges that do not overlap."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
