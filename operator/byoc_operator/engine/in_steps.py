"""Goes through many items in steps, so that the other tasks of the process get their turns."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

STEPS = 50
"""Objects looked at before the event loop gets a turn; judging one takes about 0.1 ms."""

_Item = TypeVar("_Item")


async def in_steps(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Every item; after `STEPS` of them the event loop gets a turn."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % STEPS == 0:
            await asyncio.sleep(0)
