"""The keys as the webhook wants them: what somebody rotated a moment ago seals already."""

import time
from collections.abc import Callable

from ..cluster.sealing_keys import SealingKeys
from ..errors import Unavailable
from ..sealing import KeyRing

FRESH_S = 5.0
"""How old a look at the keys may be: one request in this time, however many Secrets are written."""


class FreshRing:
    """The operator's keys, read again when the last look is some seconds old; what was known once stays in use."""

    def __init__(self, keys: SealingKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self._clock = clock
        self._looked = float("-inf")

    async def __call__(self) -> KeyRing | None:
        """The keys, None while there are none."""
        if self._keys.ring is None or self._clock() - self._looked > FRESH_S:
            self._looked = self._clock()
            try:
                await self._keys.load()
            except Unavailable:
                return self._keys.ring
        return self._keys.ring
