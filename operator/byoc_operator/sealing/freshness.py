"""The keys as the webhook wants them: what somebody rotated a moment ago seals already."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import Unavailable
from .sealed import KeyRing
from .store import SealingKeys

FRESH_S = 5.0
"""How old a look at the keys may be before there is another one, however many Secrets are written."""

MISSED_S = 0.5
"""The shortest time between two looks, while there are no keys or they could not be read."""

PATIENCE_S = 1.0
"""How long an answer waits for a look: the API server waits five seconds for us."""

LOOK_WITHIN_S = 3.0
"""How long a look may take: where one of several API servers hangs, the next look may reach another."""

STALE_S = 10.0
"""With keys that were last seen so long ago nothing is sealed: they may have been retired since."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens (`ring`, None: nothing yet) and why nothing may be sealed with it (`problem`, empty: it may).

    With keys that only live in memory nothing is sealed: after a restart nobody could open it.
    """

    ring: KeyRing | None
    problem: str = ""


class FreshKeys:
    """The operator's keys, looked at again when the last look is some seconds old."""

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
        left_s = self._tried + PATIENCE_S - self._clock()
        if self._look is not None and left_s > 0:
            await asyncio.wait({self._look}, timeout=left_s)
        stale = "the API server does not let them be read just now" if self._age_s() > STALE_S else ""
        return Keys(self._keys.ring, self._keys.problem or stale)

    def _age_s(self) -> float:
        return self._clock() - self._seen

    async def _look_again(self) -> None:
        began = self._clock()
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                await self._keys.load()
            self._seen = began
        except (TimeoutError, Unavailable):
            return  # what is known stays good for a while
        finally:
            self._look = None
