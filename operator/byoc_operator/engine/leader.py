"""Leader election by Lease: one of several replicas works.

Time is measured by each process's own clock only, from when it saw the Lease change: a skewed clock elsewhere, and
`renewTime` with it, means nothing. A leader believes in its Lease for a shorter time than the others wait.
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
"""How long the others wait after the last sign of life; with the pauses between looks a take-over is under 20 s."""

BELIEF_S = 10.0
"""How long a leader that cannot renew begins new calls: whoever takes over looks at LiveKit after `DURATION_S`."""

RENEW_S = 3.0
STEP_S = 5.0
LOOK_S = 1.0
"""A released Lease is noticed within a second."""

MARGIN_S = 5.0
"""What a take-over may take beyond the time that a leader has, before nobody leads."""

TOLD_AGAIN_S = 300.0
"""How often the log repeats what keeps this replica from the Lease."""


class Leadership(Protocol):
    """Whether and for how long this process works."""

    def listen(self, asked: Callable[[str], None]) -> None:
        """Have `asked` called with what the Lease asks to release, when that changes."""
        ...

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

    def problem(self) -> str:
        """Why nobody works as far as this process knows; empty: this one does, or another one that lives."""
        ...


class Alone:
    """Leadership without election, for one replica. There is no Lease on which anybody could ask for something."""

    def listen(self, asked: Callable[[str], None]) -> None:
        """There is no Lease, so nothing is ever asked."""

    async def acquire(self) -> None:
        """At once."""

    async def keep(self) -> None:
        """For ever."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """Nobody waits."""

    def must_hold(self) -> None:
        """Always."""

    def problem(self) -> str:
        """None."""
        return ""


class Leader:
    """One candidate. `identity` must differ between processes; `clock`: monotonic seconds."""

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
        """Have `asked` called with what the Lease asks to release, when that changes."""
        self._listeners.append(asked)

    @property
    def holds(self) -> bool:
        """Whether this process may act right now."""
        return self._clock() < self._sure_until

    def must_hold(self) -> None:
        """Raise unless this process may write to LiveKit right now."""
        if not self.holds:
            raise NotLeading(Reason.PENDING, "This replica no longer holds the Lease.")

    def problem(self) -> str:
        """Why nobody works as far as this process knows.

        That there is a Lease shows nothing: whoever holds it has to renew it. A take-over has time to happen.
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
            if await self._lease.write(held, "", 1) is None:  # somebody wrote to it since, we ourselves perhaps
                found = await self._lease.read()
                if found is not None and found.holder == self._identity:
                    await self._lease.write(found, "", 1)
        except OperatorError as exc:
            log.warning("the Lease could not be released: %s", exc.message)

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """One step within its time; what the API server cannot answer now is asked again later."""
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
        """Once when it begins or changes, and then seldom; and when it is over."""
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
        """Take the Lease if nobody holds it, or its holder gave no sign of life for as long as it promised."""
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
        self._lives_until = started + DURATION_S + MARGIN_S
        asked = holding.annotations.get(RELEASE, "")
        if asked != self._asked:
            self._asked = asked
            for listener in self._listeners:
                listener(asked)
        return True
