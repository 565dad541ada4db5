"""After each sweep: which objects of ours nobody looks after. Reported; deleted only if a setting says so."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ..core.orphans import Orphan, orphans
from ..core.ownership import Owner, owner_of
from ..core.resource import Key
from ..errors import Conflict, Stalled
from .gather import Ports

log = logging.getLogger(__name__)

Announce = Callable[[str, str], Coroutine[Any, Any, None]]
"""Posts an Event on the installation: reason, note."""

NAMED = 20
"""How many IDs an Event names at most."""

DELETED_A_SWEEP = 500
"""How many are deleted at once: anybody with LiveKit's key can make thousands, and numbers must not wait for them."""


class Orphanage:
    """Looks for orphans. `namespaces`: the watched ones, empty for all; `say`: posts an Event on the installation."""

    def __init__(
        self,
        ports: Ports,
        namespaces: tuple[str, ...],
        say: Announce,
        *,
        deletes: bool,
    ) -> None:
        self._ports = ports
        self._namespaces = namespaces
        self._say = say
        self._deletes = deletes
        self._known: frozenset[Orphan] = frozenset()
        self._told: frozenset[Orphan] = frozenset()

    @property
    def count(self) -> int:
        """How many there were at the last look."""
        return len(self._known)

    async def look(self) -> None:
        """Judge the picture of the sweep that has just been made.

        Only what two sweeps in a row found is believed: a number may be on its way between the two lists.
        """
        found = orphans(self._ports.inventory.by_id, self._is_left)
        settled = [orphan for orphan in found if orphan in self._known]
        self._known = frozenset(found)
        new = [orphan for orphan in settled if orphan not in self._told]
        if new:
            await self._tell(new)
        self._told = frozenset(settled)
        if self._deletes:
            for orphan in settled[:DELETED_A_SWEEP]:
                await self._delete(orphan)

    async def _delete(self, orphan: Orphan) -> None:
        """Delete one, if it still is one: its number may have come back since."""
        inventory = self._ports.inventory
        there = inventory.by_id.get(orphan.id)
        if there is None or owner_of(there) != orphan.owner or not self._is_left(orphan.owner):
            return
        try:
            await inventory.delete(orphan.kind, orphan.id)
        except (Conflict, Stalled) as exc:
            if isinstance(exc, Stalled) and exc.server_wide:
                raise
            log.warning("LiveKit keeps the orphan %s %s: %s", orphan.kind, orphan.id, exc.message)
            return
        log.warning("deleted the orphan %s %s of %s", orphan.kind, orphan.id, orphan.owner)

    def _is_left(self, owner: Owner) -> bool:
        ports = self._ports
        watched = not self._namespaces or owner.namespace in self._namespaces
        ours = owner.installation in ports.installation.ids and watched
        return ours and ports.is_gone(Key(owner.namespace, owner.name))

    async def _tell(self, new: list[Orphan]) -> None:
        named = ", ".join(f"{orphan.id} (of {orphan.owner.namespace}/{orphan.owner.name})" for orphan in new[:NAMED])
        more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
        what = "are deleted" if self._deletes else "can be deleted, or are deleted with BYOC_ORPHANS=Delete"
        note = f"LiveKit objects with our mark belong to no number and {what}: {named}{more}"
        log.warning(note)
        await self._say("OrphansFound", note)
