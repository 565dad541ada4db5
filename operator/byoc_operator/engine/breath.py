"""Long walks in short steps: whatever else the process does gets its turn in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

STEPS = 50
"""Objects looked at before the event loop gets a turn; judging one takes about 0.1 ms."""

_Item = TypeVar("_Item")


async def unhurried(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Every item; after `STEPS` of them the event loop gets a turn."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % STEPS == 0:
            await asyncio.sleep(0)
