"""Remembers which objects were told why they have not their number, so that nobody is judged again for nothing."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from ..api.resource import Key, PhoneNumber
from ..core.claims import Tenure
from .breath import STEPS, unhurried
from .cache import Cache
from .per_object import PerObject

PER_RUN = 20
"""How many objects one run tells something new: anybody can make thousands with somebody's number."""

_NEVER = -1
"""No object has this resourceVersion."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whom a run judges beside the holder. `more`: others are left for the next; `waits`: some wait for a time."""

    now: list[PhoneNumber]
    more: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Known:
    token: tuple[object, ...]
    version: int
    turn: int


class Told:
    """Remembers, for each object without its number, what it was told, as which version and when."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: PerObject[_Known] = cache.per_object()
        self._turn = 0

    async def due(self, phone: str, tenure: Tenure, leaves: Callable[[PhoneNumber], bool], *, reached: bool) -> Due:
        """A few of those that changed, or that something else is to be told; those that were tried last come last.

        An object that nothing keeps from the number depends on LiveKit and on Secrets: if nothing is new, those that
        were judged longest ago are judged again. `leaves`: whether a deletion needs us; `reached`: LiveKit could be
        asked.
        """
        fresh: list[tuple[int, str, PhoneNumber]] = []
        stale: list[tuple[int, str, PhoneNumber]] = []
        waits = False
        async for number in unhurried(self._cache.claiming(phone)):
            if tenure.holder is not None and number.key == tenure.holder.key:
                continue
            known = self._known.get(number)
            at = (known.turn if known else 0, number.uid, number)
            if number.deleting:
                fresh += [at] if leaves(number) else []
                continue
            waits = waits or tenure.waits(number)
            token = _token(tenure, number, reached=reached)
            if known is None or known.version != number.resource_version or known.token != token:
                fresh.append(at)
            elif tenure.holder is None and tenure.open_to(number):
                stale.append(at)
        now = heapq.nsmallest(PER_RUN, fresh) or heapq.nsmallest(STEPS, stale)
        return Due([number for _, _, number in now], len(fresh) > PER_RUN, waits)

    def tell(self, key: Key, tenure: Tenure, *, reached: bool) -> None:
        """An object was judged, and its status says so."""
        number = self._cache.get(key)
        if number is not None:
            self._note(number, _token(tenure, number, reached=reached), number.resource_version)

    def failed(self, key: Key) -> None:
        """An object could not be judged or told: it is tried again, after the others."""
        number = self._cache.get(key)
        if number is not None:
            self._note(number, (), _NEVER)

    def _note(self, number: PhoneNumber, token: tuple[object, ...], version: int) -> None:
        self._turn += 1
        self._known.put(number, _Known(token, version, self._turn))


def _token(tenure: Tenure, number: PhoneNumber, *, reached: bool) -> tuple[object, ...]:
    """Equal as long as there is nothing else to tell this object."""
    return (*tenure.token, tenure.waits(number), reached)
