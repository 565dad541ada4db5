"""What a command finds around it: clusters, clocks, the environment. Tests bring their own."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..cluster.connection import Access
from ..cluster.port import UserApi
from ..core.trunk import Mask, SipObject
from .livekit_access import LiveKitAccess


class Connect(Protocol):
    """Reaches a cluster as the user does."""

    async def __call__(self, access: Access) -> tuple[UserApi, str]:
        """The API server, and the namespace of the context. Raises OperatorError."""
        ...


class ListLiveKit(Protocol):
    """Reads LiveKit's lists."""

    async def __call__(self, access: LiveKitAccess, mask: Mask, timeout_s: float) -> list[SipObject]:
        """Every trunk and rule, whoever's. Raises OperatorError."""
        ...


async def _connect(access: Access) -> tuple[UserApi, str]:
    from ..cluster.api import connect_as_user  # noqa: PLC0415 - its libraries take longer to load than a help text

    return await connect_as_user(access)


async def _list_livekit(access: LiveKitAccess, mask: Mask, timeout_s: float) -> list[SipObject]:
    from .livekit_lists import livekit_objects  # noqa: PLC0415 - as above

    return await livekit_objects(access, mask, timeout_s)


@dataclass(frozen=True, slots=True)
class Outside:
    """`clock`: epoch seconds; `environ`: environment variables."""

    connect: Connect = _connect
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    list_livekit: ListLiveKit = _list_livekit
