"""The objects that name a phone number and do not hold it: which of them the next run judges."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from ..api.resource import Key, PhoneNumber
from ..core.claims import Tenure
from .cache import Cache
from .in_steps import STEPS, in_steps
from .per_object import PerObject

PER_RUN = 20
"""How many of them one run judges: anybody can make thousands of objects with somebody else's number."""

_NEVER = -1
"""No object has this resourceVersion."""


@dataclass(frozen=True, slots=True)
class Due:
    """Which objects a run judges beside the holder. `more`: the next run judges others; `waits`: some wait for time."""

    now: list[PhoneNumber]
    more: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Known:
    token: tuple[object, ...]
    version: int
    turn: int


class Claimants:
    """Remembers what the status of each of them was made of. `needs_run`: whether a deletion needs a run."""

    def __init__(self, cache: Cache, needs_run: Callable[[PhoneNumber], bool]) -> None:
        self._cache = cache
        self._needs_run = needs_run
        self._known: PerObject[_Known] = cache.per_object()
        self._turn = 0

    async def due(self, phone: str, tenure: Tenure, *, reached: bool) -> Due:
        """A few that changed, or whose status has to say something else; what was tried last comes last.

        An object that nothing keeps from the number depends on LiveKit and on Secrets: if nothing is new, those that
        were judged longest ago are judged again. `reached`: LiveKit could be asked.
        """
        fresh: list[tuple[int, str, PhoneNumber]] = []
        stale: list[tuple[int, str, PhoneNumber]] = []
        waits = False
        async for number in in_steps(self._cache.claiming(phone)):
            if tenure.holder is not None and number.key == tenure.holder.key:
                continue
            known = self._known.get(number)
            at = (known.turn if known else 0, number.uid, number)
            if number.deleting:
                fresh += [at] if self._needs_run(number) else []
                continue
            waits = waits or tenure.waits(number)
            token = _token(tenure, number, reached=reached)
            if known is None or known.version != number.resource_version or known.token != token:
                fresh.append(at)
            elif tenure.holder is None and tenure.open_to(number):
                stale.append(at)
        now = heapq.nsmallest(PER_RUN, fresh) or heapq.nsmallest(STEPS, stale)
        return Due([number for _, _, number in now], len(fresh) > PER_RUN, waits)

    def note(self, key: Key, tenure: Tenure, *, reached: bool, done: bool) -> None:
        """An object was judged. `done`: its status says so; else the object is tried again, after the others."""
        number = self._cache.get(key)
        if number is None:
            return
        self._turn += 1
        token, version = (_token(tenure, number, reached=reached), number.resource_version) if done else ((), _NEVER)
        self._known.put(number, _Known(token, version, self._turn))


def _token(tenure: Tenure, number: PhoneNumber, *, reached: bool) -> tuple[object, ...]:
    """Equal as long as the status of this object has nothing else to say."""
    return (*tenure.token, tenure.waits(number), reached)
