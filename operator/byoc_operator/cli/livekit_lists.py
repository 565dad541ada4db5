"""LiveKit's three lists, as a command reads them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.trunk import CLASSES, DELETE_ORDER, Mask, SipObject
from ..livekit_sip.endpoint import TIMEOUT_S, Endpoint
from .livekit_access import LiveKitAccess

if TYPE_CHECKING:
    from .doctor_livekit import ReadLiveKit


async def livekit_objects(
    opened: Callable[[Endpoint, Mask], "ReadLiveKit"], access: LiveKitAccess, mask: Mask, timeout_s: float = TIMEOUT_S
) -> list[SipObject]:
    """Every trunk and rule of LiveKit, whoever's. Raises `Failure`.

    `mask`: decides what is kept of the credentials. The rules are read first: the trunks that a rule names are then in
    the later lists, unless they are gone.
    """
    client = opened(access.endpoint(timeout_s), mask)
    try:
        found: list[SipObject] = []
        for kind in DELETE_ORDER:
            found += await client.list_all(CLASSES[kind])
        return found
    finally:
        await client.aclose()
