"""The shared snapshot of LiveKit: three lists for any number of phone numbers, kept current by our own writes.

The lists are not atomic and LiveKit has no versions. So every write of ours is journalled, and a snapshot, when it is
installed, gets all writes that ended after its *start* replayed over it: it can never undo a write.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from ..api.conditions import Reason
from ..core.fields import completed
from ..core.ownership import Owner
from ..core.snapshot import Snapshot
from ..core.trunk import CLASSES, DELETE_ORDER, InboundTrunk, Kind, OutboundTrunk, SipObject
from ..errors import Conflict, Gone, OperatorError, Stalled, Unavailable
from .gateway import SipGateway

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 1.0
"""At most one snapshot a second, however many ask: each costs LiveKit a read of everything."""

BREATH = 1000
"""Objects taken in before the event loop gets a turn, about 10 ms."""

LATE_S = 60.0
"""How long a create whose outcome is unknown may still be applied: a proxy or a stopped server can sit on it."""

_NAMELESS = (
    "LiveKit has an object with this number's mark whose ID cannot be read: it can neither be used nor deleted from "
    "here, and nothing is created beside it. Delete it in LiveKit."
)

_Object = TypeVar("_Object", bound=SipObject)


class Inventory:
    """What LiveKit holds, and the only way to change it. Times are `clock` seconds, monotonic."""

    def __init__(self, gateway: SipGateway, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._clock = clock
        self._snapshot = Snapshot()
        self._loaded = False
        self._stale = False
        self._started_at = float("-inf")
        self._attempted_at = float("-inf")
        self._journal: list[SipObject | str] | None = None
        self._flight: asyncio.Task[None] | None = None
        self._late: dict[Owner, float] = {}

    @property
    def loaded(self) -> bool:
        """Whether LiveKit was ever listed."""
        return self._loaded

    @property
    def snapshot(self) -> Snapshot:
        """What LiveKit holds, to read; empty before it was listed."""
        return self._snapshot

    # Looking

    async def ensure(self, begun_after: float = float("-inf")) -> None:
        """Have a snapshot: the one there is, or a new one if none is, it is invalid, or it began before `begun_after`.

        Everyone who waits shares one snapshot. Raises what the gateway raises.
        """
        while not self._loaded or self._stale or self._started_at < begun_after:
            await self._share()

    async def refresh(self) -> None:
        """Take a new snapshot, as a sweep does."""
        await self.ensure(begun_after=self._clock())

    def invalidate(self) -> None:
        """What we know was contradicted: the next `ensure` takes a new snapshot."""
        self._stale = True

    async def aclose(self) -> None:
        """End a snapshot that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _share(self) -> None:
        if self._flight is None:
            self._flight = asyncio.create_task(self._take(), name="snapshot of LiveKit")
            self._flight.add_done_callback(self._landed)
        # Shielded: one waiter that is cancelled must not end the snapshot of the others.
        await asyncio.shield(self._flight)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # somebody has to look, even if everyone who waited has gone

    async def _take(self) -> None:
        await asyncio.sleep(max(0.0, self._attempted_at + MIN_INTERVAL_S - self._clock()))
        started = self._attempted_at = self._clock()
        was_stale, self._stale, self._journal = self._stale, False, []
        try:
            await self._install(await self._listed())
            self._started_at = started
        except BaseException as exc:
            # The snapshot that we have is as good, or as bad, as it was.
            self._stale = self._stale or was_stale
            if isinstance(exc, Exception) and not isinstance(exc, OperatorError):
                # A bug that an object of somebody else's meets: it must not end whoever asked for a snapshot.
                message = f"LiveKit's lists cannot be taken in ({type(exc).__name__}); the log has the place."
                frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
                log.error("a bug: %s\n%s", message, frames)  # noqa: TRY400 - as in runs
                raise Unavailable(Reason.LIVEKIT_UNAVAILABLE, message) from exc
            raise
        finally:
            self._journal = None

    async def _listed(self) -> list[SipObject]:
        found = await self._three_lists()
        if self._loaded and 2 * len(found) < len(self._snapshot):
            # A list that shrank by more than half may be a page that got lost; nothing is created from it unproved.
            found = await self._three_lists()
        return found

    async def _three_lists(self) -> list[SipObject]:
        found: list[SipObject] = []
        # Rules first: what a rule names is then in the list of trunks, unless it is gone.
        for kind in DELETE_ORDER:
            found += await self._gateway.list_all(CLASSES[kind])
        return found

    async def _install(self, found: Iterable[SipObject]) -> None:
        snapshot = Snapshot()
        for count, sip_object in enumerate(found):
            if count % BREATH == 0:
                await asyncio.sleep(0)
            snapshot.put(self._with_known_password(sip_object))
        # No break from here on: what was written so far is in the journal, and comes over the lists.
        for write in self._journal or ():
            if isinstance(write, str):
                snapshot.drop(write)
            else:
                snapshot.put(write)
        self._snapshot, self._loaded = snapshot, True

    def _with_known_password(self, listed: SipObject) -> SipObject:
        """Where LiveKit lists no passwords, the digest of what we wrote ourselves is what we know."""
        return listed if listed.password_listed else completed(listed, self._snapshot.by_id.get(listed.id))

    def late_owners(self) -> list[Owner]:
        """Whose creates got no answer, and may still be applied."""
        return list(self._late)

    # Writing

    async def create(self, wanted: _Object, owner: Owner) -> _Object:
        """Create and remember. If the outcome is unknown, `unsettled` tells until when to look for it."""
        if self._snapshot.lacks_id_of(owner):
            raise Stalled(Reason.REJECTED_BY_LIVEKIT, _NAMELESS)
        try:
            made = await self._gateway.create(wanted)
        except OperatorError as exc:
            if isinstance(exc, Unavailable) and exc.outcome_unknown:
                self._late[owner] = self._clock() + LATE_S
            self._contradicted(exc)
            raise
        self._wrote(made)
        return made

    async def replace(self, wanted: _Object) -> _Object:
        """Replace in place and remember."""
        try:
            stored = await self._gateway.replace(wanted)
        except OperatorError as exc:
            self._contradicted(exc)
            raise
        self._wrote(stored)
        return stored

    async def remark(self, kind: Kind, id: str, metadata: str) -> None:
        """Change a trunk's metadata and nothing else, so that no credential is needed."""
        try:
            await self._gateway.set_metadata(kind, id, metadata)
        except OperatorError as exc:
            self._contradicted(exc)
            raise
        known = self._snapshot.by_id.get(id)
        if isinstance(known, OutboundTrunk | InboundTrunk):
            self._wrote(replace(known, metadata=metadata))

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete and remember."""
        try:
            await self._gateway.delete(kind, id)
        except OperatorError as exc:
            self._contradicted(exc)
            raise
        self._snapshot.drop(id)
        if self._journal is not None:
            self._journal.append(id)

    def unsettled(self, owners: Iterable[Owner]) -> float:
        """Until when (clock) a lost create of these owners may still turn up; 0 if none is open.

        A snapshot that began later settles it.
        """
        open_until = 0.0
        for owner in owners:
            until = self._late.get(owner)
            if until is not None and self._loaded and not self._stale and self._started_at >= until:
                del self._late[owner]
            elif until is not None:
                open_until = max(open_until, until)
        return open_until

    def _wrote(self, stored: SipObject) -> None:
        self._snapshot.put(stored)
        if self._journal is not None:
            self._journal.append(stored)

    def _contradicted(self, exc: OperatorError) -> None:
        if isinstance(exc, Gone | Conflict) or (isinstance(exc, Unavailable) and exc.outcome_unknown):
            self.invalidate()
