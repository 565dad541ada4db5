"""The keys for the webhook, read again every few seconds: a key that was put first a moment ago seals already."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Unavailable
from .sealed import KeyRing
from .store import SealingKeys

FRESH_S = 5.0
"""The age in seconds at which the keys are read again, however many Secrets are written."""

MISSED_S = 0.5
"""The shortest time in seconds between two reads while there are no keys or they could not be read."""

WAIT_FOR_READ_S = 1.0
"""How many seconds an answer waits for a read: the API server waits five seconds for the answer."""

READ_WITHIN_S = 3.0
"""How many seconds a read may take: where one of several API servers hangs, the next read may reach another."""

STALE_S = 10.0
"""Keys that were read so many seconds ago seal nothing: they may have been retired since."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that open (`ring`, None: none are known) and why they must not seal (`problem`, empty: they may).

    Keys that are only in memory seal nothing: after a restart nobody could open the value.
    """

    ring: KeyRing | None
    problem: str = ""


class FreshKeys:
    """The operator's keys, read again when the last read is some seconds old."""

    def __init__(self, keys: SealingKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._seen = self._tried = float("-inf")
        self._look: asyncio.Task[None] | None = None

    async def __call__(self) -> Keys:
        """The keys as far as they are known."""
        fresh_s = MISSED_S if self._keys.ring is None else FRESH_S
        if self._look is None and self._age_s() > fresh_s and self._clock() - self._tried > MISSED_S:
            self._tried = self._clock()
            self._look = asyncio.create_task(self._look_again(), name="look at the sealing keys")
        left_s = self._tried + WAIT_FOR_READ_S - self._clock()
        if self._look is not None and left_s > 0:
            await asyncio.wait({self._look}, timeout=left_s)
        stale = "the API server does not let them be read just now" if self._age_s() > STALE_S else ""
        return Keys(self._keys.ring, self._keys.problem or stale)

    def _age_s(self) -> float:
        return self._clock() - self._seen

    async def _look_again(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await self._keys.load()
            self._seen = began
        except (TimeoutError, Unavailable):
            return  # the keys that are known seal until they are `STALE_S` old
        finally:
            self._look = None
