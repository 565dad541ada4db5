"""Finds the holder of a phone number from a snapshot of LiveKit and the objects of the cluster.

The operator also remembers who had a number before (`engine.claims`). `allocation_of` is for callers without that
memory, such as `kubectl byoc`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from ..api.resource import Key, PhoneNumber
from .claims import (
    Allocation,
    LeftTrunks,
    claims,
    first,
    holds_by_status,
    in_order,
    keeps_alias,
    may_claim_alias,
    oldest,
)
from .desired import Installation
from .ownership import Owner, is_retained
from .situation import owned_of
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Listed:
    """A complete list of the cluster's objects, each of which could be read: by name, by phone number and by alias."""

    by_key: Mapping[Key, PhoneNumber]
    by_phone: Mapping[str, Sequence[PhoneNumber]]
    by_alias: Mapping[str, Sequence[PhoneNumber]] = field(default_factory=dict)

    @classmethod
    def of(cls, numbers: Iterable[PhoneNumber]) -> "Listed":
        """From the objects; of several with one name the last one counts."""
        by_key = {each.key: each for each in numbers}
        by_phone: dict[str, list[PhoneNumber]] = {}
        by_alias: dict[str, list[PhoneNumber]] = {}
        for each in by_key.values():
            by_phone.setdefault(each.phone_number, []).append(each)
            for alias in dict.fromkeys((*each.aliases, *each.status.aliases)):
                by_alias.setdefault(alias, []).append(each)
        return cls(by_key, by_phone, by_alias)

    def naming(self, phone: str, number: PhoneNumber) -> list[PhoneNumber]:
        """The objects with this number; `number` stands in for the object of its name."""
        others = [each for each in self.by_phone.get(phone, ()) if each.key != number.key]
        return [*others, number] if number.phone_number == phone else others

    def aliased(self, phone: str, number: PhoneNumber) -> list[PhoneNumber]:
        """The objects with this alias, in spec or status; `number` stands in for the object of its name."""
        others = [each for each in self.by_alias.get(phone, ()) if each.key != number.key]
        return [*others, number] if phone in (*number.aliases, *number.status.aliases) else others


@dataclass(frozen=True, slots=True)
class Objects:
    """Finds the `ByocPhoneNumber` of a mark in LiveKit.

    `named`: the object with an owner's namespace and name, None if it does not exist or cannot be read. `is_unread`:
    whether that object may exist but cannot be read. `is_retained_unmarked`: whether the operator left the LiveKit
    object with this ID on purpose, although the mark does not say so.
    """

    named: Callable[[Owner], PhoneNumber | None]
    is_unread: Callable[[Owner], bool]
    is_retained_unmarked: Callable[[str], bool]

    @classmethod
    def listed(cls, listed: Listed, number: PhoneNumber) -> "Objects":
        """From a complete list, in which `number` stands in for the object of its name."""

        def named(owner: Owner) -> PhoneNumber | None:
            key = Key(owner.namespace, owner.name)
            return number if key == number.key else listed.by_key.get(key)

        return cls(
            named=named,
            is_unread=lambda _: False,
            is_retained_unmarked=lambda _: False,
        )


def allocation_of(
    phone: str, number: PhoneNumber, listed: Listed, snapshot: Snapshot, installation: Installation
) -> Allocation:
    """The allocation of the number or an alias of an object, without reservations: only the operator remembers them.

    `number` need not be in `listed`, and stands in for the object of its name. For its own number,
    `Allocation.verdict(number)` is the value of `situation.ClusterFacts.claimed`.
    """
    found = _by_own(phone, number, listed, snapshot, installation)
    if found.in_livekit:
        return Allocation(holder=found.holder)
    aliased, past = listed.aliased(phone, number), Past(lambda each: each.created_at)
    own = found.holder
    kept = oldest(each for each in aliased if keeps_alias(each, phone))
    holder = kept if kept is not None and not (own and holds_by_status(own)) else own
    if holder is None:
        by_own = cache(partial(_by_own, asking=number, listed=listed, snapshot=snapshot, installation=installation))
        past = replace(past, has_own=lambda each: by_own(each.phone_number).is_(each.key))
        holder = next_alias_holder(phone, aliased, found.free, installation, past)
    return found.free if holder is None else Allocation(holder=holder)


@dataclass(frozen=True, slots=True)
class _ByOwn:
    """The object that has a number by its mark in LiveKit, or as its own; aliases that are not in LiveKit do not count.

    `free`: the allocation without a holder, if the number is not in LiveKit.
    """

    holder: PhoneNumber | None
    in_livekit: bool
    free: Allocation = field(default_factory=Allocation)

    def is_(self, key: Key) -> bool:
        """Whether the object with this name has the number."""
        return self.holder is not None and self.holder.key == key


def _by_own(phone: str, asking: PhoneNumber, listed: Listed, snapshot: Snapshot, installation: Installation) -> _ByOwn:
    """Who has a number. `asking`: stands in for the object of its name."""
    objects = Objects.listed(listed, asking)
    holder = holder_in(snapshot, phone, objects, installation)
    if holder is not None:
        return _ByOwn(holder, in_livekit=True)
    left = left_trunks(snapshot, phone, objects, installation)
    free = Allocation(left=left, adoption_allowed=installation.adoption_allowed)
    past = Past(lambda each: each.created_at)
    return _ByOwn(next_holder(listed.naming(phone, asking), free, installation, past), in_livekit=False, free=free)


def holder_in(
    snapshot: Snapshot, phone_number: str, objects: Objects, installation: Installation
) -> PhoneNumber | None:
    """The object whose mark is on LiveKit's trunks with this number, even if the object observes or is paused.

    If there are several, an object whose own number it is comes before one with the number as an alias, then an object
    with an inbound trunk.
    """
    found = (objects.named(owner) for owner in snapshot.owners_with(phone_number) if _is_ours(owner, installation))
    named = [each for each in found if each is not None and each.names(phone_number)]
    holders = [each for each in named if each.phone_number == phone_number] or named
    if len(holders) > 1:
        inbound = [each for each in holders if owned_of(each, snapshot, installation).inbound]
        return oldest(inbound or holders)
    return oldest(holders)


def left_trunks(
    snapshot: Snapshot, phone_number: str, objects: Objects, installation: Installation
) -> tuple[LeftTrunks, ...]:
    """The trunks with this number and our mark that no object manages, by owner; retained ones come first.

    Only an object that takes all of them over may have the number.
    """
    found: list[LeftTrunks] = []
    for owner, ids in snapshot.owners_with(phone_number).items():
        if not _is_ours(owner, installation):
            continue
        unread, number = objects.is_unread(owner), objects.named(owner)
        if number is None or unread:
            left = ids
        else:
            left = [each for each in ids if not looks_after(number, each, snapshot, installation)]
        if left:
            retained = any(is_retained(snapshot.by_id[each]) for each in left)
            unmarked = any(map(objects.is_retained_unmarked, left))
            found.append(LeftTrunks(owner, tuple(sorted(left)), retained, unread=unread, retained_unmarked=unmarked))
    return tuple(sorted(found, key=lambda each: (not each.retained, str(each.owner))))


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the past of a number.

    `since`: the time at which an object's claim began, RFC 3339. `last`: the namespace that had the number last, empty
    if it is not known. `has_own`: whether an object that claims an alias has its own number.
    """

    since: Callable[[PhoneNumber], str]
    last: str = ""
    has_own: Callable[[PhoneNumber], bool] = holds_by_status


def next_holder(
    contenders: Iterable[PhoneNumber], allocation: Allocation, installation: Installation, past: Past
) -> PhoneNumber | None:
    """The object that gets a number of which LiveKit has no trunk of an existing object; None if no object may.

    An object whose status names trunks comes first, then the order of `claims.in_order`. `contenders`: the objects that
    name the number. `allocation`: the allocation without a holder.
    """
    named = list(contenders)
    recorded = oldest(each for each in named if holds_by_status(each))
    if recorded is not None:
        return recorded
    free_to = (each for each in named if claims(each, installation) and allocation.open_to(each))
    return first(free_to, past.since, past.last)


def next_alias_holder(
    phone: str, contenders: Iterable[PhoneNumber], allocation: Allocation, installation: Installation, past: Past
) -> PhoneNumber | None:
    """The object that gets an alias that no object has; None if no object may.

    The order is that of `claims.in_order`. Only an object that has its own number gets an alias.
    """
    able = (
        each for each in contenders if may_claim_alias(each, phone, installation) and allocation.open_to(each, phone)
    )
    return next(filter(past.has_own, in_order(able, past.since, past.last)), None)


def _is_ours(owner: Owner, installation: Installation) -> bool:
    return owner.installation in installation.ids


def looks_after(number: PhoneNumber, id: str, snapshot: Snapshot, installation: Installation) -> bool:
    """Whether the LiveKit object with this ID belongs to an object: the status names the ID, or mark and number fit."""
    return id in number.status.ids.all or id in owned_of(number, snapshot, installation).ids
