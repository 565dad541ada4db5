"""The keys as the webhook wants them: what somebody rotated a moment ago seals already."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..cluster.sealing_keys import SealingKeys
from ..errors import Unavailable
from ..sealing import KeyRing

FRESH_S = 5.0
"""How old a look at the keys may be: one request in this time, however many Secrets are written."""

MISSED_S = 0.5
"""The same while there are no keys."""

PATIENCE_S = 1.0
"""How long an answer waits for a look while keys are known: the API server waits five seconds for us."""


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
        self._looked = float("-inf")
        self._looking = False

    async def __call__(self) -> Keys:
        """The keys as far as they are known; a look that is under way for somebody else is not waited for."""
        age_s = self._clock() - self._looked
        if not self._looking and age_s > (MISSED_S if self._keys.ring is None else FRESH_S):
            await self._look()
        return Keys(self._keys.ring, self._keys.problem)

    async def _look(self) -> None:
        self._looking, self._looked = True, self._clock()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._keys.load()
        except (TimeoutError, Unavailable):
            return  # what is known stays good: nobody said otherwise
        finally:
            self._looking = False
