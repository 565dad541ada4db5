"""Limits the requests that are handled at once: one for each client address, and so many in all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Places:
    """`at_once` places. An address has one at a time, so that a client with many connections delays only itself."""

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def taken(self, address: str, within_s: float) -> AsyncIterator[None]:
        """Hold a place during the block. Raises TimeoutError if no place becomes free within `within_s` seconds."""
        turn = self._turns.setdefault(address, asyncio.Lock())
        async with asyncio.timeout(within_s) as waiting, turn, self._free:
            waiting.reschedule(None)
            yield
