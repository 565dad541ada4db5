"""Chooses which claimants of a phone number the next run judges. A claimant names the number and does not hold it."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from ..api.resource import Key, PhoneNumber
from ..core.claims import Allocation
from .cache import Cache
from .in_steps import STEPS, in_steps
from .per_object import PerObject

PER_RUN = 20
"""How many claimants one run judges. Any user may create thousands of objects with the number of another user."""

_NEVER = -1
"""No object has this resourceVersion."""


@dataclass(frozen=True, slots=True)
class Due:
    """`now`: the claimants that this run judges. `more`: others are left for the next run.

    `waits`: at least one claimant waits for the end of a reservation.
    """

    now: list[PhoneNumber]
    more: bool
    waits: bool


@dataclass(frozen=True, slots=True)
class _Known:
    token: tuple[object, ...]
    version: int
    turn: int


class Claimants:
    """Remembers from what each claimant's status was made. `needs_run`: whether an object in deletion needs a run."""

    def __init__(self, cache: Cache, needs_run: Callable[[PhoneNumber], bool]) -> None:
        self._cache = cache
        self._needs_run = needs_run
        self._known: PerObject[_Known] = cache.per_object()
        self._turn = 0

    async def due(self, phone: str, allocation: Allocation, *, reached: bool) -> Due:
        """At most `PER_RUN` claimants that changed or need another status; those judged longest ago come first.

        If there is no such claimant and the number has no holder, the claimants that may have the number are judged
        again, longest ago first, because the answer depends on LiveKit and on Secrets, too. `reached`: LiveKit answers.
        """
        fresh: list[tuple[int, str, PhoneNumber]] = []
        stale: list[tuple[int, str, PhoneNumber]] = []
        waits = False
        async for number in in_steps(self._cache.naming(phone)):
            if allocation.holder is not None and number.key == allocation.holder.key:
                continue
            known = self._known.get(number)
            at = (known.turn if known else 0, number.uid, number)
            if number.deleting:
                fresh += [at] if self._needs_run(number) else []
                continue
            waits = waits or allocation.waits(number)
            token = _token(allocation, number, reached=reached)
            if known is None or known.version != number.resource_version or known.token != token:
                fresh.append(at)
            elif allocation.holder is None and allocation.open_to(number):
                stale.append(at)
        now = heapq.nsmallest(PER_RUN, fresh) or heapq.nsmallest(STEPS, stale)
        return Due([number for _, _, number in now], len(fresh) > PER_RUN, waits)

    def note(self, key: Key, allocation: Allocation, *, reached: bool, done: bool) -> None:
        """Remember that a claimant was judged. `done`: its status is up to date; if not, it has another turn later."""
        number = self._cache.get(key)
        if number is None:
            return
        self._turn += 1
        token: tuple[object, ...] = ()
        version = _NEVER
        if done:
            token, version = _token(allocation, number, reached=reached), number.resource_version
        self._known.put(number, _Known(token, version, self._turn))


def _token(allocation: Allocation, number: PhoneNumber, *, reached: bool) -> tuple[object, ...]:
    """A value that stays equal for as long as the status of this claimant does not need to change."""
    return (*allocation.token, allocation.waits(number), reached)
