"""Asks LiveKit what `kubectl byoc doctor` wants to know: its lists, and whether it is new enough."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..api.conditions import Reason, Verdict
from ..api.livekit_url import livekit_url
from ..core.trunk import DispatchRule, InboundTrunk, Kind, Mask, OutboundTrunk, SipObject
from ..diagnosis.facts import LiveKitSeen
from ..errors import Failure
from ..livekit_sip.endpoint import Endpoint, same_server
from ..livekit_sip.gateway import SipGateway
from .livekit_access import LiveKitAccess

NOBODY = "ST_byocdoctornobody"
"""The ID of a trunk that does not exist: LiveKit's own have 12 characters after ST_. It tells whether LiveKit knows the
call with which the operator changes trunks, and changes nothing."""

_INSIDE = (".svc", ".local", ".internal")


class ReadLiveKit(SipGateway, Protocol):
    """LiveKit as a command reads it."""

    @property
    def unreadable(self) -> int:
        """How many objects of the last lists could not be read completely."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


Open = Callable[[Endpoint, Mask], ReadLiveKit]


async def livekit_seen(access: LiveKitAccess, mask: Mask, opened: Open, operators_url: str) -> LiveKitSeen:
    """What LiveKit answers. `operators_url`: of the LiveKit that the operator uses, empty if it is not known."""
    parts, same = livekit_url(access.url), same_server(access.url, operators_url)
    host = parts.host if parts else ""
    inside, operators_host = same and _is_inside(host), "" if same else _place_of(operators_url)
    client = opened(access.endpoint(), mask)
    try:
        objects, too_old = await _asked(client)
    except Failure as exc:
        problem = Verdict(exc.reason, exc.message)
        return LiveKitSeen(host, access.source, problem=problem, inside=inside, same=same, operators=operators_host)
    finally:
        await client.aclose()
    return LiveKitSeen(
        host,
        access.source,
        objects,
        inside=inside,
        too_old=too_old,
        unreadable=client.unreadable,
        same=same,
        operators=operators_host,
    )


async def _asked(client: ReadLiveKit) -> tuple[tuple[SipObject, ...], str]:
    """All objects, and what this LiveKit lacks. Raises Failure."""
    outbound, inbound, rules = await asyncio.gather(
        client.list_all(OutboundTrunk), client.list_all(InboundTrunk), client.list_all(DispatchRule)
    )
    try:
        await client.set_metadata(Kind.INBOUND_TRUNK, NOBODY, "")
    except Failure as exc:
        too_old = exc.message if exc.reason is Reason.LIVEKIT_TOO_OLD else ""
    else:
        too_old = ""
    return (*outbound, *inbound, *rules), too_old


def _place_of(url: str) -> str:
    """Host and port of a URL; empty for one that is wrong, and that may have credentials in it."""
    parts = livekit_url(url)
    return parts.place if parts else ""


def _is_inside(host: str) -> bool:
    """Whether a host has an address in the cluster only."""
    return "." not in host or host.endswith(_INSIDE) or ".svc." in host
