"""Finds the holder of a phone number from a snapshot of LiveKit and the objects of the cluster.

The operator also remembers who had a number before (`engine.claims`). `allocation_of` is for callers without that
memory, such as `kubectl byoc`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ..api.conditions import Reason
from ..api.resource import Key, PhoneNumber
from .aliases import refusals
from .claims import Allocation, LeftTrunks, claims, first, holds_by_status, keeps_alias, may_claim_alias, oldest
from .desired import Installation
from .ownership import Owner, is_retained
from .situation import owned_of
from .snapshot import Snapshot


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
    def listed(cls, numbers: Iterable[PhoneNumber]) -> "Objects":
        """From a complete list of the cluster's objects, each of which could be read."""
        by_key = {each.key: each for each in numbers}
        return cls(
            named=lambda owner: by_key.get(Key(owner.namespace, owner.name)),
            is_unread=lambda _: False,
            is_retained_unmarked=lambda _: False,
        )


def allocation_of(
    phone_number: str, numbers: Iterable[PhoneNumber], snapshot: Snapshot, installation: Installation
) -> Allocation:
    """The allocation of a phone number, without reservations: only the operator remembers them.

    `numbers`: all objects of the cluster. `Allocation.verdict(number)` is the value of
    `situation.ClusterFacts.claimed`.
    """
    listed = list(numbers)
    objects = Objects.listed(listed)
    holder = holder_in(snapshot, phone_number, objects, installation)
    if holder is not None:
        return Allocation(holder=holder)
    left = left_trunks(snapshot, phone_number, objects, installation)
    allocation = Allocation(left=left, adoption_allowed=installation.adoption_allowed)
    contenders = [each for each in listed if each.names(phone_number)]
    past = Past(lambda each: each.created_at)
    own = next_holder(
        (each for each in contenders if each.phone_number == phone_number), allocation, installation, past
    )
    kept = oldest(each for each in contenders if keeps_alias(each, phone_number))
    holder = kept if kept is not None and not (own and holds_by_status(own)) else own
    if holder is None:
        has_own = partial(_has_own_number, listed=listed, snapshot=snapshot, installation=installation)
        holder = next_alias_holder(phone_number, contenders, allocation, installation, replace(past, has_own=has_own))
    return allocation if holder is None else Allocation(holder=holder)


def refused_aliases(
    number: PhoneNumber, numbers: Iterable[PhoneNumber] | None, snapshot: Snapshot, installation: Installation
) -> Mapping[str, str]:
    """`aliases.refusals` for callers without the memory of the operator, such as `kubectl byoc`.

    `numbers`: the objects of the cluster. If they are not known (None), the status says which aliases are refused.
    """
    if numbers is not None:
        listed = list(numbers)
        return refusals(number, lambda phone: allocation_of(phone, listed, snapshot, installation))
    if not number.is_current or number.status.ready.reason != Reason.ALIAS_UNAVAILABLE:
        return {}
    return dict.fromkeys(set(number.aliases) - set(number.status.aliases), "is not this object's (see its status)")


def _has_own_number(
    number: PhoneNumber, listed: Iterable[PhoneNumber], snapshot: Snapshot, installation: Installation
) -> bool:
    """Whether an object has its own number. Aliases of other objects count only if they are in LiveKit."""
    objects = Objects.listed(listed)
    holder = holder_in(snapshot, number.phone_number, objects, installation)
    if holder is None:
        left = left_trunks(snapshot, number.phone_number, objects, installation)
        allocation = Allocation(left=left, adoption_allowed=installation.adoption_allowed)
        contenders = [each for each in listed if each.phone_number == number.phone_number]
        holder = next_holder(contenders, allocation, installation, Past(lambda each: each.created_at))
    return holder is not None and holder.key == number.key


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

    An object whose status names trunks comes first, then the order of `claims.first`. `contenders`: the objects that
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

    The order is that of `claims.first`. Only an object that has its own number gets an alias.
    """
    able = [
        each
        for each in contenders
        if may_claim_alias(each, phone, installation) and allocation.open_to(each, Reason.ALIAS_UNAVAILABLE)
    ]
    while able:
        ahead = first(able, past.since, past.last)
        if ahead is None or past.has_own(ahead):
            return ahead
        able.remove(ahead)
    return None


def _is_ours(owner: Owner, installation: Installation) -> bool:
    return owner.installation in installation.ids


def looks_after(number: PhoneNumber, id: str, snapshot: Snapshot, installation: Installation) -> bool:
    """Whether the LiveKit object with this ID belongs to an object: the status names the ID, or mark and number fit."""
    return id in number.status.ids.all or id in owned_of(number, snapshot, installation).ids
