"""LiveKit's three lists, as a command reads them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.trunk import CLASSES, DELETE_ORDER, Mask, SipObject
from ..livekit_sip.endpoint import Endpoint, is_cloud
from .livekit_access import LiveKitAccess

if TYPE_CHECKING:
    from .doctor_livekit import ReadLiveKit


async def livekit_objects(
    opened: Callable[[Endpoint, Mask], "ReadLiveKit"], access: LiveKitAccess, mask: Mask, timeout_s: float
) -> list[SipObject]:
    """Every trunk and rule of LiveKit, whoever's. Raises `Failure`.

    `mask`: decides what is kept of the credentials. The rules are read first: the trunks that a rule names are then in
    the later lists, unless they are gone.
    """
    endpoint = Endpoint(
        access.url, access.key, access.secret, timeout_s, paged=is_cloud(access.url), route=access.route
    )
    client = opened(endpoint, mask)
    try:
        found: list[SipObject] = []
        for kind in DELETE_ORDER:
            found += await client.list_all(CLASSES[kind])
        return found
    finally:
        await client.aclose()
