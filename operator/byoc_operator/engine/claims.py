"""Decides which object holds each phone number, and remembers reservations in the memory of the leader."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..api.resource import Key, PhoneNumber
from ..cluster.reading import Unreadable
from ..core.aliases import refusals
from ..core.claims import Allocation, holds_by_status, keeps_alias, may_claim_alias, oldest
from ..core.holders import Objects, Past, holder_in, left_trunks, next_alias_holder, next_holder
from .gather import ObjectChanged
from .in_steps import in_steps
from .ports import ClaimPorts


@dataclass(frozen=True, slots=True)
class _Released:
    """A number that its holder let go: the holder's namespace, and the end of the reservation (monotonic clock)."""

    namespace: str
    until_s: float


class Claims:
    """Decides which object holds a number, and remembers the namespace that had it last."""

    def __init__(self, ports: ClaimPorts) -> None:
        self._ports = ports
        self._held: dict[str, str] = {}
        self._released: dict[str, _Released] = {}
        self._given: dict[str, Key] = {}
        self._began_s = ports.clock()

    def begin(self) -> None:
        """Begin to lead: forget everything remembered before, because it is out of date."""
        self._held.clear()
        self._given.clear()
        self._released.clear()
        self._began_s = self._ports.clock()

    def forget(self, phone: str) -> None:
        """End the reservation of a number that an administrator released. Its claimants wait no longer."""
        self._held.pop(phone, None)
        self._released[phone] = _Released("", self._began_s + self._ports.installation.reservation_s)

    def at_once(self, phone: str) -> Allocation:
        """The allocation of a number that few objects name, from the cache and the snapshot alone."""
        return self._in_livekit(phone) or self._free(phone, self._ports.cache.naming(phone))

    async def confirmed(self, phone: str) -> Allocation:
        """The allocation of a number. If several objects name it, the API server confirms first that the holder exists.

        A watch does not report objects that were deleted while the watch was broken. Raises `ObjectChanged` if the
        holder is gone or has changed.
        """
        allocation = self._in_livekit(phone) or self._free(phone, await self._contenders(phone))
        held, cache = allocation.holder, self._ports.cache
        if held is None or (held.phone_number == phone and cache.count_naming(phone) == 1):
            return allocation
        try:
            raw = await self._ports.numbers.get(held.key)
        except Unreadable:
            return allocation  # the object exists; its last readable state stays in force
        if raw is None or raw["metadata"]["uid"] != held.uid:
            cache.gone(held.key, held.uid)
        if raw is not None:
            cache.seen(raw)
        if cache.get(held.key) is not held:
            raise ObjectChanged
        return allocation

    def refused_aliases(self, number: PhoneNumber) -> Mapping[str, str]:
        """Why other objects have aliases of an object that has its own number, by alias."""
        return refusals(number, lambda phone: self._of_alias(phone, number))

    def alias_wait_s(self, number: PhoneNumber) -> float | None:
        """In how many seconds the first reservation of an alias that this object waits for ends; None for none."""
        found = ((phone, self._of_alias(phone, number)) for phone in number.aliases)
        ends = [each.until_s for phone, each in found if not each.blind and each.waits(number, phone)]
        return max(0.0, min(ends) - self._ports.clock()) if ends else None

    async def tidy(self) -> None:
        """After each sweep: let go the numbers that no object names any more, and forget reservations that are over."""
        async for phone in in_steps(list(self._held)):
            if phone in self._held and not self._ports.cache.is_named(phone):  # a run may have let it go meanwhile
                self._let_go(phone)
        async for phone in in_steps(list(self._given)):
            if not self._ports.cache.with_alias(phone):
                self._given.pop(phone, None)
        async for phone, past in in_steps(list(self._released.items())):
            if past.until_s <= self._ports.clock() and not self._is_asked_for(phone, past.namespace):
                self._released.pop(phone, None)

    def _is_asked_for(self, phone: str, namespace: str) -> bool:
        """Whether an object of this namespace names the number. Such an object may still wait for another reason."""
        cache = self._ports.cache
        return any(each.key.namespace == namespace for each in (*cache.naming(phone), *cache.with_alias(phone)))

    def _in_livekit(self, phone: str) -> Allocation | None:
        """The object whose mark is on LiveKit's trunks with this number, even if that object observes or is paused."""
        ports = self._ports
        holder = holder_in(ports.inventory.snapshot, phone, self._objects, ports.installation)
        return self._has(phone, holder) if holder is not None else None

    def _of_alias(self, phone: str, number: PhoneNumber) -> Allocation:
        """The allocation of an alias of this object, which has its own number.

        Objects are compared only if this one may get the alias. One of them then gets it, so the next calls find the
        answer in memory, however many objects have the alias. Nobody gets an alias before LiveKit was read, because a
        trunk with the alias may be there.
        """
        found = self._in_livekit(phone)
        if found is not None:
            return found
        allocation, cache = self._nobody(phone), self._ports.cache
        holder = self._with_alias(phone, allocation)
        able = self._ports.inventory.loaded and may_claim_alias(number, phone, self._ports.installation)
        if holder is None and able and allocation.open_to(number, phone):
            holder = self._ahead(phone, allocation, cache.naming(phone))
            if holder is None:
                past = Past(cache.claims_since, self._last(phone), has_own=partial(self._has_own, number, {}))
                holder = next_alias_holder(phone, cache.with_alias(phone), allocation, self._ports.installation, past)
        if holder is None:
            return self._without_holder(phone, allocation)
        if holder.phone_number != phone and self._ports.inventory.loaded:
            self._given[phone] = holder.key
        return self._has(phone, holder)

    def _has_own(self, asking: PhoneNumber, known: dict[str, PhoneNumber | None], number: PhoneNumber) -> bool:
        """Whether an object has its own number. `asking`: an object that has its own. `known`: holders by number."""
        phone = number.phone_number
        if phone not in known:
            found = self._in_livekit(phone)
            nobody = self._nobody(phone)
            known[phone] = found.holder if found else self._ahead(phone, nobody, self._ports.cache.naming(phone))
        holder = known[phone]
        return number.key == asking.key or (holder is not None and holder.key == number.key)

    async def _contenders(self, phone: str) -> list[PhoneNumber]:
        """The object that gets the number, as a list of at most one; the event loop gets turns meanwhile."""
        ahead: PhoneNumber | None = None
        allocation = self._nobody(phone)
        async for number in in_steps(self._ports.cache.naming(phone)):
            ahead = self._ahead(phone, allocation, [number] if ahead is None else [ahead, number])
        return [] if ahead is None else [ahead]

    def _free(self, phone: str, contenders: Iterable[PhoneNumber]) -> Allocation:
        """The allocation of a number whose trunks in LiveKit, if any, belong to no existing object.

        An object whose status records the number's LiveKit IDs comes first, then the namespace that had the number
        last, then the object that claims it for longest.
        """
        allocation = self._nobody(phone)
        ahead = self._ahead(phone, allocation, contenders)
        if ahead is None or not holds_by_status(ahead):
            ahead = self._with_alias(phone, allocation) or ahead
        if ahead is not None:
            return self._has(phone, ahead)
        return self._without_holder(phone, allocation)

    def _without_holder(self, phone: str, allocation: Allocation) -> Allocation:
        """What keeps claimants from a number that nobody gets. `allocation`: the one without a holder."""
        if allocation.left:  # the number stays reserved for the namespace that left these LiveKit objects
            self._held[phone] = allocation.left[0].owner.namespace
            return allocation
        if phone in self._held and self._ports.inventory.loaded:
            self._let_go(phone)
        return self._nobody(phone)

    def _with_alias(self, phone: str, allocation: Allocation) -> PhoneNumber | None:
        """The object that has the number as an alias, perhaps not in LiveKit yet; None for none.

        What this replica gave to an object stays with it while the allocation is open to the object. Otherwise two runs
        at once could both get an alias. `allocation`: the one without a holder.
        """
        cache = self._ports.cache
        kept = oldest(each for each in cache.keeping_alias(phone) if keeps_alias(each, phone))
        if kept is not None:
            return kept
        key = self._given.get(phone)
        given = None if key is None else cache.get(key)
        able = given is not None and may_claim_alias(given, phone, self._ports.installation)
        if given is not None and able and allocation.open_to(given, phone):
            return given
        self._given.pop(phone, None)
        return None

    def _ahead(self, phone: str, allocation: Allocation, contenders: Iterable[PhoneNumber]) -> PhoneNumber | None:
        """The contender that gets the number; None if no contender may. `allocation`: the one without a holder."""
        past = Past(self._ports.cache.claims_since, self._last(phone))
        return next_holder(contenders, allocation, self._ports.installation, past)

    def _last(self, phone: str) -> str:
        """The namespace that had the number last; empty if it is not remembered."""
        past = self._released.get(phone)
        return self._held.get(phone) or (past.namespace if past is not None else "")

    def _nobody(self, phone: str) -> Allocation:
        """The allocation without a holder: what keeps claimants from the number."""
        now, rule = self._ports.clock(), self._ports.installation
        left = left_trunks(self._ports.inventory.snapshot, phone, self._objects, rule)
        allocation = Allocation(left=left, adoption_allowed=rule.adoption_allowed)
        if not rule.reservation_s:
            return allocation
        if phone in self._held:
            return replace(allocation, reserved_for=self._held[phone], until_s=now + rule.reservation_s)
        past = self._released.get(phone)
        if past is not None and now < past.until_s:
            return replace(allocation, reserved_for=past.namespace, until_s=past.until_s)
        settled_s = self._began_s + rule.reservation_s
        blind = not self._ports.inventory.loaded
        unsettled = past is None and (now < settled_s or blind)
        return replace(allocation, unsettled=unsettled, blind=blind, until_s=max(settled_s, now))

    @property
    def _objects(self) -> Objects:
        ports = self._ports
        return Objects(
            named=lambda owner: ports.cache.get(Key(owner.namespace, owner.name)),
            is_unread=ports.belongings.hides,
            is_retained_unmarked=lambda known: known in ports.retained,
        )

    def _has(self, phone: str, holder: PhoneNumber | None) -> Allocation:
        if holder is not None and self._ports.inventory.loaded:
            self._held[phone] = holder.key.namespace
            self._released.pop(phone, None)
        return Allocation(holder=holder)

    def _let_go(self, phone: str) -> None:
        namespace = self._held.pop(phone)
        self._released[phone] = _Released(namespace, self._ports.clock() + self._ports.installation.reservation_s)
