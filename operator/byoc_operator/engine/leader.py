"""Leader election by Lease: of several replicas one acts.

Time is measured by each process's own clock only, from when it saw the Lease change: a skewed clock elsewhere, and
`renewTime` with it, means nothing. A leader believes in its Lease for a shorter time than the others wait.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..cluster.lease import RELEASE, Holding, LeaseApi
from ..core.conditions import Reason
from ..errors import NotLeading, OperatorError

log = logging.getLogger(__name__)

DURATION_S = 15
"""How long the others wait after the last sign of life; with the pauses between looks a take-over is under 20 s."""

BELIEF_S = 10.0
"""How long a leader that cannot renew begins new calls: whoever takes over looks at LiveKit after `DURATION_S`."""

RENEW_S = 3.0
STEP_S = 5.0
LOOK_S = 1.0
"""A released Lease is noticed within a second."""


class Leadership(Protocol):
    """Whether and for how long this process works. `heard`: told what the Lease asks to release, when that changes."""

    heard: Callable[[str], None]

    async def acquire(self) -> None:
        """Return when this process leads."""
        ...

    async def keep(self) -> None:
        """Return when this process must not act any more."""
        ...

    async def release(self) -> None:
        """Let somebody else lead."""
        ...

    def must_hold(self) -> None:
        """Raise `NotLeading` unless this process may write to LiveKit right now."""
        ...


class Alone:
    """Leadership without election, for one replica. There is no Lease on which anybody could ask for something."""

    def __init__(self) -> None:
        self.heard: Callable[[str], None] = lambda _: None

    async def acquire(self) -> None:
        """At once."""

    async def keep(self) -> None:
        """For ever."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """Nobody waits."""

    def must_hold(self) -> None:
        """Always."""


class Leader:
    """One candidate. `identity` must differ between processes; `clock`: monotonic seconds."""

    def __init__(self, lease: LeaseApi, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._identity = identity
        self._clock = clock
        self._held: Holding | None = None
        self._sure_until = float("-inf")
        self._seen: tuple[str, float] | None = None
        self._asked = ""
        self.heard: Callable[[str], None] = lambda _: None

    @property
    def holds(self) -> bool:
        """Whether this process may act right now."""
        return self._clock() < self._sure_until

    def must_hold(self) -> None:
        """Raise unless this process may write to LiveKit right now."""
        if not self.holds:
            raise NotLeading(Reason.PENDING, "This replica no longer holds the Lease.")

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self._tried(self._take):  # noqa: ASYNC110 - another process decides, there is no event
            await asyncio.sleep(LOOK_S)
        log.info("leading")

    async def keep(self) -> None:
        """Renew until that is impossible; returns when this process must not act any more."""
        while self.holds:
            await asyncio.sleep(min(RENEW_S, max(0.1, self._sure_until - self._clock())))
            await self._tried(self._renew)
        log.error("the Lease could not be renewed; another replica may lead now")

    async def release(self) -> None:
        """Let somebody else lead at once, at a clean end."""
        held, self._held, self._sure_until = self._held, None, float("-inf")
        if held is None:
            return
        try:
            await self._lease.write(held, "", 1)
        except OperatorError as exc:
            log.warning("the Lease could not be released: %s", exc.message)

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """One step within its time; what the API server cannot answer now is asked again later."""
        try:
            async with asyncio.timeout(STEP_S):
                return await step()
        except TimeoutError:
            log.warning("the Lease could not be reached in time")
        except OperatorError as exc:
            log.warning("the Lease could not be reached: %s", exc.message)
        return False

    async def _take(self) -> bool:
        """Take the Lease if nobody holds it, or its holder gave no sign of life for as long as it promised."""
        started = self._clock()
        found = await self._lease.read()
        if found is not None and found.holder not in ("", self._identity):
            if self._seen is None or self._seen[0] != found.version:
                self._seen = (found.version, started)
            if started - self._seen[1] < max(found.duration_s, 1):
                return False
        return self._took(started, await self._lease.write(found, self._identity, DURATION_S))

    async def _renew(self) -> bool:
        started = self._clock()
        held = self._held
        if held is None:
            return False
        renewed = await self._lease.write(held, self._identity, DURATION_S)
        if renewed is None:
            # Somebody wrote in between. If it is still ours (an answer of ours got lost), go on from there.
            found = await self._lease.read()
            if found is None or found.holder != self._identity:
                self._sure_until = float("-inf")
                return False
            renewed = await self._lease.write(found, self._identity, DURATION_S)
        return self._took(started, renewed)

    def _took(self, started: float, holding: Holding | None) -> bool:
        if holding is None:
            return False
        self._held, self._sure_until = holding, started + BELIEF_S
        asked = holding.annotations.get(RELEASE, "")
        if asked != self._asked:
            self._asked = asked
            self.heard(asked)
        return True
