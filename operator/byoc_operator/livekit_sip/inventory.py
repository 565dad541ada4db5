"""The shared snapshot of LiveKit: three lists for all phone numbers, which our own writes keep current.

LiveKit's lists are not atomic, and its objects have no versions. While a snapshot is taken, a journal therefore records
our writes, and the new snapshot gets every write that ended after its *start*. So a snapshot never undoes a write.
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
from ..errors import Gone, Occupied, OperatorError, Stalled, Unavailable
from .gateway import SipGateway

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 1.0
"""At least a second between two snapshots, because LiveKit reads all its objects for each."""

YIELD_EVERY = 1000
"""How many objects are indexed before other tasks get a turn, about 10 ms of work."""

LATE_S = 60.0
"""How long LiveKit may still carry out a create whose outcome is unknown: a proxy or a stopped server can delay it."""

_NAMELESS = (
    "LiveKit has an object with this number's mark whose ID cannot be read: it can neither be used nor deleted from "
    "here, and nothing is created beside it. Delete it in LiveKit."
)

_Object = TypeVar("_Object", bound=SipObject)


class Inventory:
    """The snapshot of LiveKit's objects, and the only way to change them.

    `clock`: seconds, monotonic. `keeps`: whether a replace carries over what LiveKit has beside our fields.
    """

    def __init__(
        self, gateway: SipGateway, clock: Callable[[], float] = time.monotonic, *, keeps: bool = False
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._keeps = keeps
        self._snapshot = Snapshot()
        self._loaded = False
        self._stale = False
        self._started_at = float("-inf")
        self._attempted_at = float("-inf")
        self._journal: list[SipObject | str] | None = None
        self._snapshot_task: asyncio.Task[None] | None = None
        self._late: dict[Owner, float] = {}

    @property
    def loaded(self) -> bool:
        """Whether LiveKit was ever listed."""
        return self._loaded

    @property
    def snapshot(self) -> Snapshot:
        """LiveKit's objects, to read; empty until `loaded`."""
        return self._snapshot

    # Reading

    async def ensure(self, begun_after: float = float("-inf")) -> None:
        """Take a new snapshot if there is none, if it is invalid, or if it began before `begun_after` (clock).

        All callers that wait share one snapshot. Raises what the gateway raises.
        """
        while not self._loaded or self._stale or self._started_at < begun_after:
            await self._share()

    async def refresh(self) -> None:
        """Take a new snapshot, as a sweep does."""
        await self.ensure(begun_after=self._clock())

    def invalidate(self) -> None:
        """Mark the snapshot as out of date: the next `ensure` takes a new one."""
        self._stale = True

    async def aclose(self) -> None:
        """Cancel a snapshot that is under way."""
        if self._snapshot_task is not None:
            self._snapshot_task.cancel()
            await asyncio.gather(self._snapshot_task, return_exceptions=True)

    async def _share(self) -> None:
        # A task that has ended is in the way until its callback runs: awaiting it would never give the loop a turn.
        if self._snapshot_task is None or self._snapshot_task.done():
            self._snapshot_task = asyncio.create_task(self._take(), name="snapshot of LiveKit")
            self._snapshot_task.add_done_callback(self._snapshot_ended)
        # Shielded: the cancellation of one caller must not end the snapshot of the others.
        await asyncio.shield(self._snapshot_task)

    def _snapshot_ended(self, task: asyncio.Task[None]) -> None:
        if self._snapshot_task is task:
            self._snapshot_task = None
        if not task.cancelled():
            task.exception()  # else asyncio logs an exception that nobody retrieved, if all callers were cancelled

    async def _take(self) -> None:
        await asyncio.sleep(max(0.0, self._attempted_at + MIN_INTERVAL_S - self._clock()))
        started = self._attempted_at = self._clock()
        was_stale, self._stale, self._journal = self._stale, False, []
        try:
            await self._install(await self._listed())
            self._started_at = started
        except BaseException as exc:
            # The present snapshot stays, and stays out of date if it was.
            self._stale = self._stale or was_stale
            if isinstance(exc, Exception) and not isinstance(exc, OperatorError):
                # A bug that a foreign object triggers must not end the tasks that asked for a snapshot.
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
            # A list that shrank by more than half may lack a page. It is read again before objects are created anew.
            found = await self._three_lists()
        return found

    async def _three_lists(self) -> list[SipObject]:
        found: list[SipObject] = []
        # Rules first: the trunks that a rule names are then in the later lists, unless they are gone.
        for kind in DELETE_ORDER:
            found += await self._gateway.list_all(CLASSES[kind])
        return found

    async def _install(self, found: Iterable[SipObject]) -> None:
        snapshot = Snapshot()
        for count, sip_object in enumerate(found):
            if count % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            snapshot.put(self._with_known_password(sip_object))
        # No other task runs from here on, so the journal has every write, and the writes replace what the lists say.
        for write in self._journal or ():
            if isinstance(write, str):
                snapshot.drop(write)
            else:
                snapshot.put(write)
        self._snapshot, self._loaded = snapshot, True

    def _with_known_password(self, listed: SipObject) -> SipObject:
        """The object; where LiveKit lists no passwords, with the digest of the password that the operator wrote."""
        return listed if listed.password_listed else completed(listed, self._snapshot.by_id.get(listed.id))

    def late_owners(self) -> list[Owner]:
        """The owners whose creates timed out and may still be carried out by LiveKit."""
        return list(self._late)

    # Writing

    async def create(self, wanted: _Object, owner: Owner) -> _Object:
        """Create an object. Raises what the gateway raises, and `Stalled` if an object of the owner has no usable ID.

        If the outcome of a failure is unknown, `unsettled` says until when LiveKit may still create the object.
        """
        if self._snapshot.lacks_id_of(owner):
            raise Stalled(Reason.REJECTED_BY_LIVEKIT, _NAMELESS)
        try:
            made = await self._gateway.create(wanted)
        except OperatorError as exc:
            if isinstance(exc, Unavailable) and exc.outcome_unknown:
                self._late[owner] = self._clock() + LATE_S
            self._invalidate_after(exc)
            raise
        self._wrote(made)
        return made

    async def replace(self, wanted: _Object) -> _Object:
        """Replace an object in place. Raises what the gateway raises.

        What is carried over is read just before, and not kept: the snapshot may be minutes old, and it has no values.
        """
        try:
            remainder = await self._gateway.remainder(wanted.kind, wanted.id) if self._keeps else None
            stored = await self._gateway.replace(wanted, remainder)
        except OperatorError as exc:
            self._invalidate_after(exc)
            raise
        self._wrote(stored)
        return stored

    async def remark(self, kind: Kind, id: str, metadata: str) -> None:
        """Change only the metadata of a trunk, which needs no credential. Raises what the gateway raises."""
        try:
            await self._gateway.set_metadata(kind, id, metadata)
        except OperatorError as exc:
            self._invalidate_after(exc)
            raise
        known = self._snapshot.by_id.get(id)
        if isinstance(known, OutboundTrunk | InboundTrunk):
            self._wrote(replace(known, metadata=metadata))

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete an object. Raises what the gateway raises."""
        try:
            await self._gateway.delete(kind, id)
        except OperatorError as exc:
            self._invalidate_after(exc)
            raise
        self._snapshot.drop(id)
        if self._journal is not None:
            self._journal.append(id)

    def unsettled(self, owners: Iterable[Owner]) -> float:
        """Until when (clock) LiveKit may still carry out a create of these owners that timed out; 0 if there is none.

        A snapshot that began after that time shows whether LiveKit did.
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

    def _invalidate_after(self, exc: OperatorError) -> None:
        if isinstance(exc, Gone | Occupied) or (isinstance(exc, Unavailable) and exc.outcome_unknown):
            self.invalidate()
