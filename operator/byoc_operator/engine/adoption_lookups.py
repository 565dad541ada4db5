"""Decides whether a request to adopt needs a new snapshot: its LiveKit objects may be newer than the last snapshot."""

import hashlib
from collections.abc import Callable

from ..api.resource import PhoneNumber
from ..core.orphans import is_livekit_id
from .cache import Cache
from .outside import LiveKitSnapshot
from .per_object import PerObject

PAUSE_S = 30.0
"""The shortest pause between two snapshots for one namespace. Each snapshot reads all of LiveKit's SIP objects."""


class AdoptionLookups:
    """Remembers which IDs a snapshot was taken for. `clock`: monotonic seconds."""

    def __init__(self, cache: Cache, inventory: LiveKitSnapshot, clock: Callable[[], float]) -> None:
        self._inventory = inventory
        self._clock = clock
        self._looked_for: PerObject[bytes] = cache.per_object()
        self._asked_at: dict[str, float] = {}

    def due(self, number: PhoneNumber) -> float | None:
        """Seconds until a snapshot is due for the IDs that this object asks to adopt. 0: now; None: no snapshot is due.

        Each request gets one snapshot. The requests of a namespace share one snapshot per `PAUSE_S`.
        """
        asked = number.requested.adopt_ids
        digest = hashlib.blake2b("\0".join(asked).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if not asked or self._looked_for.get(number) == digest:
            return None
        held = self._inventory.snapshot.by_id
        unknown = [each for each in asked if each not in held and is_livekit_id(each)]
        if not unknown or number.requested.adopted_as == number.status.last_handled_adopt:
            self._looked_for.put(number, digest)
            return None
        now, namespace = self._clock(), number.key.namespace
        pause_s = self._asked_at.get(namespace, float("-inf")) + PAUSE_S - now
        if pause_s > 0:
            return pause_s
        self._asked_at = {name: at for name, at in self._asked_at.items() if now < at + PAUSE_S} | {namespace: now}
        self._looked_for.put(number, digest)
        return 0.0
