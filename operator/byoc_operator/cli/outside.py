"""What a command finds around it: clusters, clocks, the environment. Tests bring their own."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..cluster.connection import Access
from ..cluster.port import UserApi
from ..livekit_sip.room_port import Rooms

if TYPE_CHECKING:
    from ..core.trunk import Mask
    from ..diagnosis.network import Network
    from ..livekit_sip.endpoint import Endpoint
    from .doctor_livekit import ReadLiveKit
    from .livekit_access import LiveKitAccess


class Connect(Protocol):
    """Reaches a cluster as the user does."""

    async def __call__(self, access: Access) -> tuple[UserApi, str]:
        """The API server, and the namespace of the context. Raises OperatorError."""
        ...


async def _connect(access: Access) -> tuple[UserApi, str]:
    from ..cluster.api import connect_as_user  # noqa: PLC0415 - its libraries take longer to load than a help text

    return await connect_as_user(access)


def _network() -> "Network":
    from ..diagnosis.network import Network  # noqa: PLC0415 - as above

    return Network()


def _livekit(endpoint: "Endpoint", mask: "Mask") -> "ReadLiveKit":
    from ..livekit_sip.client import LiveKitClient  # noqa: PLC0415 - as above

    return LiveKitClient(endpoint, mask, lambda *_: None)


def _rooms(access: "LiveKitAccess") -> Rooms:
    from ..livekit_sip.rooms import RoomClient  # noqa: PLC0415 - as above

    return RoomClient(access.endpoint())


@dataclass(frozen=True, slots=True)
class Outside:
    """`clock`: epoch seconds; `environ`: environment variables; `network`: how hosts are looked at."""

    connect: Connect = _connect
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    network: Callable[[], "Network"] = _network
    livekit: Callable[["Endpoint", "Mask"], "ReadLiveKit"] = _livekit
    rooms: "Callable[[LiveKitAccess], Rooms]" = _rooms
