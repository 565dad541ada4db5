"""Leader election by Lease: one of several replicas works.

Each process measures time with its own clock only, from the moment at which it saw the Lease change. It does not read
`renewTime`, so that a wrong clock on another node does no harm. A leader that cannot renew stops before a standby may
take over.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..api.conditions import Reason
from ..api.names import RELEASE
from ..cluster.lease import Holding, LeaseApi
from ..errors import NotLeading, OperatorError

log = logging.getLogger(__name__)

DURATION_S = 15
"""`leaseDurationSeconds`: how long a standby waits after the last renewal. A take-over takes less than 20 s in all."""

RENEW_DEADLINE_S = 10.0
"""How long after its last renewal a leader still begins LiveKit calls. A standby takes over after `DURATION_S` only."""

RENEW_S = 3.0
STEP_S = 5.0
LOOK_S = 1.0
"""Seconds between renewals, for one step at most, and between two looks of a standby at the Lease."""

MARGIN_S = 5.0
"""How long a take-over may take after the Lease ran out, before /readyz reports that no replica leads."""

TOLD_AGAIN_S = 300.0
"""How often the log repeats why this replica cannot reach the Lease."""


class Leadership(Protocol):
    """Decides whether this process leads."""

    def listen(self, asked: Callable[[str], None]) -> None:
        """Have `asked` called with the text of the Lease's release annotation, each time it changes."""
        ...

    async def acquire(self) -> None:
        """Wait until this process leads."""
        ...

    async def keep(self) -> None:
        """Wait while this process leads; return when it must not write to LiveKit any more."""
        ...

    async def release(self) -> None:
        """Give up the lead, so that another replica may take over at once."""
        ...

    def must_hold(self) -> None:
        """Raise `NotLeading` unless this process may write to LiveKit right now."""
        ...

    def problem(self) -> str:
        """Why no replica seems to lead, for /readyz; empty if this replica leads, or another one renews the Lease."""
        ...


class Alone:
    """Leadership without election, for a single replica without a Lease. It always leads."""

    def listen(self, asked: Callable[[str], None]) -> None:
        """Do nothing: without a Lease there are no release requests."""

    async def acquire(self) -> None:
        """Return at once."""

    async def keep(self) -> None:
        """Never return."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """Do nothing: no other replica waits."""

    def must_hold(self) -> None:
        """Never raise."""

    def problem(self) -> str:
        """Never a problem."""
        return ""


class Leader:
    """One candidate for the lead. `identity`: unique among the replicas; `clock`: monotonic seconds."""

    def __init__(self, lease: LeaseApi, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease = lease
        self._identity = identity
        self._clock = clock
        self._held: Holding | None = None
        self._sure_until = float("-inf")
        self._seen: tuple[str, float] | None = None
        self._lives_until = float("-inf")
        self._trouble = ""
        self._told = "", float("-inf")
        self._asked = ""
        self._listeners: list[Callable[[str], None]] = []

    def listen(self, asked: Callable[[str], None]) -> None:
        """Have `asked` called with the text of the Lease's release annotation, each time it changes."""
        self._listeners.append(asked)

    @property
    def holds(self) -> bool:
        """Whether this process may act right now."""
        return self._clock() < self._sure_until

    def must_hold(self) -> None:
        """Raise `NotLeading` unless this process may write to LiveKit right now."""
        if not self.holds:
            raise NotLeading(Reason.PENDING, "This replica no longer holds the Lease.")

    def problem(self) -> str:
        """Why no replica seems to lead; empty if one does.

        A replica counts as leader if this process has seen it renew the Lease. A take-over has `MARGIN_S` to happen.
        """
        if self.holds or self._clock() < self._lives_until:
            return ""
        return f"no replica is seen to lead: {self._trouble or 'whoever holds the Lease has not renewed it yet'}"

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not await self._tried(self._take):  # noqa: ASYNC110 - another process decides, there is no event
            await asyncio.sleep(LOOK_S)
        log.info("leading")

    async def keep(self) -> None:
        """Renew the Lease; return when this process must not write to LiveKit any more."""
        while self.holds:
            await asyncio.sleep(min(RENEW_S, max(0.1, self._sure_until - self._clock())))
            await self._tried(self._renew)
        log.error("the Lease could not be renewed; another replica may lead now")

    async def release(self) -> None:
        """Empty the Lease's holder, so that another replica may take over at once."""
        held, self._held, self._sure_until = self._held, None, float("-inf")
        if held is None:
            return
        try:
            # The version may be out of date: a renewal whose answer was lost is written all the same.
            if await self._lease.write(held, "", 1) is None:
                found = await self._lease.read()
                if found is not None and found.holder == self._identity:
                    await self._lease.write(found, "", 1)
        except OperatorError as exc:
            log.warning("the Lease could not be released: %s", exc.message)

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """Carry out one step within `STEP_S`; False if the API server does not answer."""
        trouble = ""
        try:
            async with asyncio.timeout(STEP_S):
                return await step()
        except TimeoutError:
            trouble = "the Lease could not be reached in time"
        except OperatorError as exc:
            trouble = f"the Lease could not be reached: {exc.message}"
        finally:
            self._tell(trouble)
        return False

    def _tell(self, trouble: str) -> None:
        """Log a fault when it begins or changes, then every `TOLD_AGAIN_S`, and once when it is over."""
        now = self._clock()
        told, at = self._told
        if trouble and (trouble != told or now - at >= TOLD_AGAIN_S):
            log.warning("%s", trouble)
            self._told = trouble, now
        elif self._trouble and not trouble and told:
            log.info("the Lease can be reached again")
            self._told = "", now
        self._trouble = trouble

    async def _take(self) -> bool:
        """Take the Lease if it has no holder, or if the holder has not renewed it within its duration."""
        started = self._clock()
        found = await self._lease.read()
        if found is not None and found.holder not in ("", self._identity):
            if self._seen is None or self._seen[0] != found.version:
                if self._seen is not None:
                    self._lives_until = started + max(found.duration_s, DURATION_S) + MARGIN_S
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
            # Somebody wrote to the Lease in between. If this process still holds it, renew from its current version.
            found = await self._lease.read()
            if found is None or found.holder != self._identity:
                self._sure_until = float("-inf")
                return False
            renewed = await self._lease.write(found, self._identity, DURATION_S)
        return self._took(started, renewed)

    def _took(self, started: float, holding: Holding | None) -> bool:
        if holding is None:
            return False
        self._held, self._sure_until = holding, started + RENEW_DEADLINE_S
        self._lives_until = started + DURATION_S + MARGIN_S
        asked = holding.annotations.get(RELEASE, "")
        if asked != self._asked:
            self._asked = asked
            for listener in self._listeners:
                listener(asked)
        return True
