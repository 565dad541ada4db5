"""Remembers LiveKit objects that stay on purpose without a Retain mark: those of Observe, and of force-orphan.

Observe writes nothing to LiveKit. The LiveKit objects of an Observe object therefore keep the mark of the time when
they were managed, and look like orphans. Their IDs are in an annotation of the operator's Lease.
"""

import asyncio
import logging
from collections.abc import Iterable

from ..api.names import RETAINED_IDS
from ..cluster.answers import ApiRefused
from ..cluster.reading import Unreadable
from ..core.orphans import MORE, retained_ids, retained_ids_text
from .outside import LeaseAnnotations

log = logging.getLogger(__name__)


class RetainedIds:
    """IDs of LiveKit objects that are not orphans. `lease`: stores them; without it they are in memory only."""

    def __init__(self, lease: LeaseAnnotations | None = None) -> None:
        self._lease = lease
        self._stored: frozenset[str] = frozenset()
        self._added: set[str] = set()
        self._dropped: set[str] = set()
        self._writing = asyncio.Lock()
        self._refused = ""
        self._loaded = lease is None

    def __contains__(self, id: str) -> bool:
        """Whether the LiveKit object with this ID stays on purpose."""
        return id in self._added or (id in self._stored and id not in self._dropped)

    @property
    def ids(self) -> frozenset[str]:
        """All remembered IDs."""
        return (self._stored - self._dropped) | self._added

    @property
    def complete(self) -> bool:
        """Whether all IDs are known. If not, no orphan may be deleted: it may be an object that stays on purpose."""
        return self._loaded and MORE not in self.ids

    async def keep(self, ids: Iterable[str]) -> None:
        """Remember these IDs, and write the new ones to the Lease before this returns.

        If the API server refuses the write, the log says so and the IDs stay in memory. Raises `Unavailable` if the API
        server does not answer.
        """
        new = {each for each in ids if each in self._added or each not in self}
        if new:
            self._added |= new
            self._dropped -= new
            await self._write()

    async def settle(self, kept: Iterable[str], managed: Iterable[str]) -> None:
        """After a sweep: remember the IDs in `kept`, forget those in `managed`, and write what is not written yet."""
        self._dropped |= {each for each in managed if each in self}
        self._added -= self._dropped
        self._added |= {each for each in kept if each not in self}
        self._dropped -= self._added
        if self._added or self._dropped or not self._loaded:
            await self._write()

    async def _write(self) -> None:
        """Write all changes with one request at a time. Changes made while one waits go along with it."""
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
            wanted = retained_ids_text((retained_ids(text) | added) - dropped)
            self._stored = retained_ids(wanted)
            return wanted

        if self._lease is None:
            changed(retained_ids_text(self._stored))
            return
        await self._lease.amend(RETAINED_IDS, changed)

    def _tell_refused(self, message: str) -> None:
        """Log, once per cause, that the IDs are in the memory of this process only."""
        if message != self._refused:
            self._refused = message
            log.warning("what is left in LiveKit on purpose cannot be kept on the Lease: %s", message)
