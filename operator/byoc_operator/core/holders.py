"""Who has a phone number, out of what LiveKit holds and which objects there are.

The operator also remembers who had the number before (`engine.claims`); `allocation_of` is for everybody else.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.resource import Key, PhoneNumber
from .claims import Allocation, Kept, claims, first, holds_by_status, oldest
from .desired import Installation
from .ownership import Owner, is_retained
from .situation import owned_of
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Objects:
    """The `ByocPhoneNumber` objects of the cluster, as marks in LiveKit name them.

    `named`: the object of an owner's namespace and name, None if there is none or it cannot be read; `is_unread`:
    whether it may be there and cannot be read; `is_retained_unmarked`: whether the operator left a LiveKit ID on
    purpose, which its mark does not say.
    """

    named: Callable[[Owner], PhoneNumber | None]
    is_unread: Callable[[Owner], bool]
    is_retained_unmarked: Callable[[str], bool]

    @classmethod
    def listed(cls, numbers: Iterable[PhoneNumber]) -> "Objects":
        """All objects of the cluster, each of which could be read."""
        by_key = {each.key: each for each in numbers}
        return cls(
            named=lambda owner: by_key.get(Key(owner.namespace, owner.name)),
            is_unread=lambda _: False,
            is_retained_unmarked=lambda _: False,
        )


def allocation_of(
    phone_number: str, numbers: Iterable[PhoneNumber], snapshot: Snapshot, installation: Installation
) -> Allocation:
    """Who has a phone number, as far as LiveKit and the objects (`numbers`: all of the cluster) tell.

    `Allocation.verdict(number)` is what `situation.ClusterFacts.claimed` takes. A number that was let go a moment ago
    may be reserved; only the operator remembers that.
    """
    everybody = list(numbers)
    objects = Objects.listed(everybody)
    holder = holder_in(snapshot, phone_number, objects, installation)
    if holder is not None:
        return Allocation(holder=holder)
    kept = kept_in(snapshot, phone_number, objects, installation)
    allocation = Allocation(kept=kept, adoption_allowed=installation.adoption_allowed)
    asking = [each for each in everybody if each.phone_number == phone_number]
    ahead = next_holder(asking, allocation, installation, Past(lambda each: each.created_at))
    return allocation if ahead is None else Allocation(holder=ahead)


def holder_in(
    snapshot: Snapshot, phone_number: str, objects: Objects, installation: Installation
) -> PhoneNumber | None:
    """The object whose trunks LiveKit has, by their mark and the number; also if it observes or is paused."""
    found = (objects.named(owner) for owner in snapshot.owners_with(phone_number) if _is_ours(owner, installation))
    holders = [each for each in found if each is not None and each.phone_number == phone_number]
    if len(holders) > 1:
        inbound = [each for each in holders if owned_of(each, snapshot, installation).inbound]
        return oldest(inbound or holders)
    return oldest(holders)


def kept_in(snapshot: Snapshot, phone_number: str, objects: Objects, installation: Installation) -> tuple[Kept, ...]:
    """Trunks of ours with the number whose objects are gone; nobody but who takes them over may have the number."""
    found: list[Kept] = []
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
            found.append(Kept(owner, tuple(sorted(left)), retained, unread=unread, retained_unmarked=unmarked))
    return tuple(sorted(found, key=lambda kept: (not kept.retained, str(kept.owner))))


@dataclass(frozen=True, slots=True)
class Past:
    """`since`: from when an object asks for its number, RFC 3339; `last`: the namespace that had the number last."""

    since: Callable[[PhoneNumber], str]
    last: str = ""


def next_holder(
    contenders: Iterable[PhoneNumber], allocation: Allocation, installation: Installation, past: Past
) -> PhoneNumber | None:
    """Who of those who name a number has it where LiveKit has no trunk of theirs; None: nobody.

    The status decides, then the past, then who asks for longest. `allocation`: what stands in everybody's way.
    """
    everybody = list(contenders)
    named = oldest(each for each in everybody if holds_by_status(each))
    if named is not None:
        return named
    asking = (each for each in everybody if claims(each, installation) and allocation.open_to(each))
    return first(asking, past.since, past.last)


def _is_ours(owner: Owner, installation: Installation) -> bool:
    return owner.installation in installation.ids


def looks_after(number: PhoneNumber, id: str, snapshot: Snapshot, installation: Installation) -> bool:
    """Whether a LiveKit object is this number's own: its status names it, or it is marked for it and has its number."""
    return id in number.status.ids.all or id in owned_of(number, snapshot, installation).ids
