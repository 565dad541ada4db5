"""Searches for orphans after each sweep: LiveKit objects with our mark whose Kubernetes object is gone.

The operator reports orphans. It deletes them if `BYOC_ORPHANS` is Delete, or if an administrator releases them.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.resource import Key
from ..cluster.events import Announce
from ..cluster.reading import Unreadable
from ..core.orphans import MAX_RETAINED_IDS, MORE, Orphan, kept_on_purpose, numbers_of, rules_of
from ..core.ownership import Owner
from ..core.trunk import SipObject, kind_of
from ..errors import Occupied, OperatorError, Stalled, Unavailable
from .in_steps import in_steps
from .ports import OrphanPorts

log = logging.getLogger(__name__)

Freed = Callable[[str, bool], None]
"""Called after the deletion of a trunk: its phone number, and whether an administrator released it."""

NAMED = 20
"""How many IDs or numbers an Event names at most."""

Retained = tuple[str, str]
"""Namespace and phone number of LiveKit objects that deletionPolicy Retain or managementPolicy Observe left."""

DELETED_A_SWEEP = 500
"""How many orphans one sweep deletes at most.

Anybody with LiveKit's key can create thousands of them, and the numbers must not wait for their deletion.
"""


@dataclass(frozen=True, slots=True)
class OrphanRules:
    """`namespaces`: search orphans of these only; empty for all. `deletes`: whether the operator deletes orphans."""

    namespaces: tuple[str, ...] = ()
    deletes: bool = False


class OrphanSearch:
    """Searches for orphans. `announce`: posts an Event. `asked`: the LiveKit IDs that an administrator releases."""

    def __init__(
        self,
        ports: OrphanPorts,
        rules: OrphanRules,
        announce: Announce,
        freed: Freed,
    ) -> None:
        self._ports = ports
        self._namespaces = rules.namespaces
        self._announce = announce
        self._deletes = rules.deletes
        self._known: frozenset[Orphan] = frozenset()
        self._told: frozenset[Orphan] = frozenset()
        self._retained: dict[Retained, tuple[str, ...]] = {}
        self._told_retained: frozenset[Retained] = frozenset()
        self._told_incomplete = False
        self.asked: tuple[str, ...] = ()
        self._refused: frozenset[str] = frozenset()
        self._answered: frozenset[str] = frozenset()
        self._freed = freed

    @property
    def count(self) -> int:
        """How many orphans the last search found."""
        return len(self._known)

    @property
    def retained_count(self) -> int:
        """How many retained phone numbers, without an object, the last search found."""
        return len(self._retained)

    async def look(self) -> None:
        """Search the snapshot of the sweep that has just ended.

        An orphan counts only if two sweeps in a row find it: LiveKit's list may be newer than the list of the objects.
        """
        self._tell_absent()
        await self.release()
        await self._remember()
        found, retained = await self._left()
        settled = [orphan for orphan in found if orphan in self._known]
        self._known = frozenset(found)
        new = [orphan for orphan in settled if orphan not in self._told]
        if new:
            self._tell(new)
        self._told = frozenset(settled)
        self._tell_retained(retained)
        if self._deletes and self._ports.retained.complete:
            for orphan in settled[:DELETED_A_SWEEP]:
                await self._delete(orphan, released=False)

    async def release(self) -> None:
        """Delete the orphans and retained LiveKit objects that an administrator releases.

        A LiveKit object stays if it belongs to an existing object or to another installation. For an ID that LiveKit
        does not have, nothing happens; the next sweep logs that and looks for the ID again.
        """
        snapshot = self._ports.inventory.snapshot
        by_id = snapshot.by_id
        wanted = [
            Orphan(kind_of(by_id[each]), each, owner)
            for each in self.asked
            if each in by_id and (owner := snapshot.owner(each)) is not None
        ]
        also = [rule for orphan in wanted for rule in rules_of(orphan, snapshot.marked_by(orphan.owner))]
        refused = set()
        for orphan in sorted({*wanted, *also}, key=lambda each: each.turn):
            try:
                free = await self._has_no_object(orphan)
            except OperatorError as exc:  # of the API server; the other IDs may still go well
                log.warning("%s cannot be released yet, the next sweep tries again: %s", orphan.id, exc.message)
                continue
            if free:
                await self._delete(orphan, released=True)
            else:
                refused.add(orphan.id)
        self._tell_refused(refused)

    async def _has_no_object(self, orphan: Orphan) -> bool:
        """Whether the LiveKit object belongs to no existing object; the API server confirms that.

        The cache is not enough, because a watch may have been broken. Raises `OperatorError` if the API server does not
        answer.
        """
        if not self._is_left(orphan.owner, orphan.id):
            return False
        try:
            raw = await self._ports.numbers.get(Key(orphan.owner.namespace, orphan.owner.name))
        except Unreadable:
            return False  # the object exists
        if raw is not None:
            self._ports.cache.seen(raw)
        return self._is_left(orphan.owner, orphan.id)

    def _tell_refused(self, refused: set[str]) -> None:
        new = sorted(refused - self._refused)
        self._refused = frozenset(refused)
        if new:
            log.warning("not released, as an object or another installation looks after them: %s", ", ".join(new))

    def _tell_absent(self) -> None:
        """Log once for each requested ID that LiveKit does not have it, so that a typing error gets noticed."""
        snapshot = self._ports.inventory.snapshot
        absent = {each for each in self.asked if each not in snapshot.by_id or snapshot.owner(each) is None}
        new = sorted(absent - self._answered)
        self._answered = (self._answered | absent) & frozenset(self.asked)
        if new:
            log.info(
                "nothing to release, as LiveKit has no object with our mark and this ID (any more): %s", _some(new)
            )

    async def _remember(self) -> None:
        """Record the LiveKit objects of Observe objects, because they stay when the object goes.

        This must happen while the object exists: afterwards nothing tells its management policy. LiveKit objects that
        are managed again are not recorded any more.
        """
        ports, by_id = self._ports, self._ports.inventory.snapshot.by_id
        kept: list[str] = []
        managed: list[str] = []
        async for known, owner in in_steps(ports.inventory.snapshot.owners()):
            number = ports.cache.get(Key(owner.namespace, owner.name))
            if (
                number is not None
                and owner.installation in ports.installation.ids
                and ports.belongings.looks_after(owner, known)
            ):
                (kept if number.observes else managed).append(known)
        full = len(ports.retained.ids) > MAX_RETAINED_IDS // 2
        gone = [each for each in ports.retained.ids if full and each != MORE and each not in by_id]
        try:
            await ports.retained.settle(kept, [*managed, *gone])
        except Unavailable as exc:  # the API server's fault, not LiveKit's; the next sweep tries again
            log.debug("what is left on purpose cannot be written down just now: %s", exc.message)
        if self._deletes and not ports.retained.complete and not self._told_incomplete:
            log.error("orphans are not deleted: the Lease does not tell all that is left in LiveKit on purpose")
        self._told_incomplete = not ports.retained.complete

    def _is_retained_unmarked(self, each: SipObject) -> bool:
        """Whether Observe or force-orphan left it. That holds for a dispatch rule, too, if it holds for its trunk."""
        return any(known in self._ports.retained for known in (each.id, *each.trunk_ids))

    async def _left(self) -> tuple[list[Orphan], dict[Retained, tuple[str, ...]]]:
        """Orphans in the order of deletion, and the IDs of retained LiveKit objects by namespace and number."""
        by_id = self._ports.inventory.snapshot.by_id
        found: list[Orphan] = []
        retained: dict[Retained, tuple[str, ...]] = {}
        async for known, owner in in_steps(self._ports.inventory.snapshot.owners()):
            each = by_id.get(known)
            if each is None or not self._is_left(owner, known):
                continue
            if not (kept_on_purpose(each, by_id) or self._is_retained_unmarked(each)):
                found.append(Orphan(kind_of(each), known, owner))
                continue
            for phone in numbers_of(each)[:1]:  # aliases stand behind the number
                retained[owner.namespace, phone] = (*retained.get((owner.namespace, phone), ()), known)
        return sorted(found, key=lambda orphan: orphan.turn), retained

    async def _delete(self, orphan: Orphan, *, released: bool) -> None:
        """Delete a LiveKit object, unless a Kubernetes object has it by now."""
        inventory = self._ports.inventory
        snapshot = inventory.snapshot
        there = snapshot.by_id.get(orphan.id)
        if there is None or snapshot.owner(orphan.id) != orphan.owner or not self._is_left(orphan.owner, orphan.id):
            return
        what = "the released" if released else "the orphaned"
        try:
            await inventory.delete(orphan.kind, orphan.id)
        except (Occupied, Stalled) as exc:
            if isinstance(exc, Stalled) and exc.server_wide:
                raise
            log.warning("LiveKit keeps %s %s %s: %s", what, orphan.kind, orphan.id, exc.message)
            return
        self._answered |= {orphan.id}
        log.warning("deleted %s %s %s of %s", what, orphan.kind, orphan.id, orphan.owner)
        for phone in numbers_of(there):
            self._freed(phone, released)

    def _is_left(self, owner: Owner, id: str) -> bool:
        ports = self._ports
        watched = not self._namespaces or owner.namespace in self._namespaces
        return owner.installation in ports.installation.ids and watched and not ports.belongings.looks_after(owner, id)

    def _tell(self, new: list[Orphan]) -> None:
        named = _some(f"{orphan.id} (of {orphan.owner.namespace}/{orphan.owner.name})" for orphan in new)
        what = "can be deleted, or are deleted with BYOC_ORPHANS=Delete"
        if self._deletes:
            what = "are deleted" if self._ports.retained.complete else "can be deleted"
        note = f"LiveKit objects with our mark belong to no number and {what}: {named}"
        log.warning(note)
        self._announce("OrphansFound", note)

    def _tell_retained(self, retained: dict[Retained, tuple[str, ...]]) -> None:
        """Report once for each retained number that it is retained, and how to release it."""
        settled = [each for each in retained if each in self._retained]
        new = [each for each in settled if each not in self._told_retained]
        self._retained, self._told_retained = retained, frozenset(settled)
        if not new:
            return
        named = _some(f"{phone} of {namespace} ({', '.join(retained[namespace, phone])})" for namespace, phone in new)
        note = f"LiveKit keeps numbers of gone objects (Retain, Observe); kubectl byoc release frees them: {named}"
        log.warning(note)
        self._announce("RetainedFound", note)


def _some(texts: Iterable[str]) -> str:
    """The first `NAMED` texts, and how many more there are."""
    told = list(texts)
    return ", ".join(told[:NAMED]) + (f" and {len(told) - NAMED} more" if len(told) > NAMED else "")
