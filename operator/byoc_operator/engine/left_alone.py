"""What was left in LiveKit on purpose although its mark does not say so: by Observe, and by force-orphan with Retain.

Observe writes nothing, so its LiveKit objects keep the mark of the time when they were managed, and nothing in LiveKit
tells them from orphans. What must not be forgotten stands on the operator's own Lease.
"""

import asyncio
import logging
from collections.abc import Iterable

from ..api.names import LEFT_ALONE
from ..cluster.answers import ApiRefused
from ..cluster.lease import LeaseApi
from ..cluster.reading import Unreadable
from ..core.orphans import MORE, as_left_alone, left_alone

log = logging.getLogger(__name__)


class LeftAlone:
    """LiveKit IDs that are no orphans'. `lease`: where they are kept; without one, in memory only."""

    def __init__(self, lease: LeaseApi | None = None) -> None:
        self._lease = lease
        self._stored: frozenset[str] = frozenset()
        self._added: set[str] = set()
        self._dropped: set[str] = set()
        self._writing = asyncio.Lock()
        self._refused = ""
        self._loaded = lease is None

    def __contains__(self, id: str) -> bool:
        """Whether this object is left on purpose."""
        return id in self._added or (id in self._stored and id not in self._dropped)

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return (self._stored - self._dropped) | self._added

    @property
    def complete(self) -> bool:
        """Whether all that was left on purpose is known; if not, nothing may be taken for an orphan and deleted."""
        return self._loaded and MORE not in self.ids

    async def keep(self, ids: Iterable[str]) -> None:
        """Remember these; they are written when this returns, unless the Lease refuses us. Raises `Unavailable`.

        What is written already costs nothing.
        """
        new = {each for each in ids if each in self._added or each not in self}
        if new:
            self._added |= new
            self._dropped -= new
            await self._write()

    async def settle(self, kept: Iterable[str], managed: Iterable[str]) -> None:
        """After a sweep: remember the one, forget the other, and have what was not read or written yet."""
        self._dropped |= {each for each in managed if each in self}
        self._added -= self._dropped
        self._added |= {each for each in kept if each not in self}
        self._dropped -= self._added
        if self._added or self._dropped or not self._loaded:
            await self._write()

    async def _write(self) -> None:
        """One request at a time; whoever waited finds that its own IDs went along."""
        async with self._writing:
            if not (self._added or self._dropped) and self._loaded:
                return
            added, dropped = frozenset(self._added), frozenset(self._dropped)
            try:
                await self._amend(added, dropped)
            except (ApiRefused, Unreadable) as exc:
                self._tell_refused(exc.message)
                return
            self._loaded, self._refused = True, ""
            self._added -= added
            self._dropped -= dropped

    async def _amend(self, added: frozenset[str], dropped: frozenset[str]) -> None:
        def changed(text: str) -> str:
            wanted = as_left_alone((left_alone(text) | added) - dropped)
            self._stored = left_alone(wanted)
            return wanted

        if self._lease is None:
            changed(as_left_alone(self._stored))
            return
        await self._lease.amend(LEFT_ALONE, changed)

    def _tell_refused(self, message: str) -> None:
        """What is left on purpose is known to this process only; orphans are not deleted if it was never read."""
        if message != self._refused:
            self._refused = message
            log.warning("what is left in LiveKit on purpose cannot be kept on the Lease: %s", message)
