"""Goes through many items in steps, so that the other tasks of the process get their turns."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

STEPS = 50
"""How many objects are handled before other tasks get a turn; judging one object takes about 0.1 ms."""

_Item = TypeVar("_Item")


async def in_steps(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Yield every item; let other tasks run after each `STEPS` items."""
    for count, item in enumerate(items, start=1):
        yield item
        if count % STEPS == 0:
            await asyncio.sleep(0)
