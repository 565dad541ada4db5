"""Which object may have a phone number that several objects name, and what the other objects are told.

LiveKit's trunks decide first, then the memory of the operator, then the age of the objects. The rules and their
reasons: `docs/decisions/0020-who-holds-a-number.md`. `core.holders` applies these rules to a snapshot of LiveKit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.conditions import Reason, Verdict
from ..api.names import ADOPT
from ..api.resource import Key, PhoneNumber
from ..api.termination_hosts import refused_host
from .desired import Installation
from .ownership import Owner

NAMED = 4
"""How many LiveKit IDs a message names at most."""


@dataclass(frozen=True, slots=True)
class LeftTrunks:
    """Trunks in LiveKit with the phone number and our mark that no object manages.

    `owner`: the owner that their mark names. `ids`: their LiveKit IDs. `retained`: their mark says that they stay by
    deletionPolicy Retain. `retained_unmarked`: they stay on purpose, for example by Observe, and their mark does not
    say so. If both are False, the object lost its finalizer. `unread`: the object may exist, but it cannot be read.
    """

    owner: Owner
    ids: tuple[str, ...]
    retained: bool
    unread: bool = False
    retained_unmarked: bool = False

    @property
    def why(self) -> str:
        """The part of a message that says why the trunks are in LiveKit."""
        if self.retained:
            return "kept by deletionPolicy Retain"
        return (
            "left on purpose (Observe, or force-orphan with Retain)"
            if self.retained_unmarked
            else "left behind without its finalizer"
        )


@dataclass(frozen=True, slots=True)
class Allocation:
    """Which object has a phone number at one time, and why other objects do not get the number.

    `holder`: the object that has the number, None if no object has it. `left`: trunks of deleted objects in LiveKit.
    `reserved_for`: the namespace for which the number is reserved, empty for none. `unsettled`: this replica leads
    only since a short time and does not know who had the number last; an object with the reason NumberClaimed then
    waits. `until_s`: when that time, or the reservation, ends (monotonic clock). `adoption_allowed`: the setting
    BYOC_ADOPTION. `blind`: there is no snapshot of LiveKit yet; an object that waits keeps its message.
    """

    holder: PhoneNumber | None = None
    left: tuple[LeftTrunks, ...] = ()
    reserved_for: str = ""
    unsettled: bool = False
    until_s: float = 0.0
    adoption_allowed: bool = False
    blind: bool = False

    @property
    def token(self) -> tuple[object, ...]:
        """A value that stays equal for as long as `verdict` does not change for any object."""
        holder = self.holder.uid if self.holder else ""
        return (holder, self.left, self.reserved_for, self.blind)

    def waits(self, number: PhoneNumber, alias: str = "") -> bool:
        """Whether only a reservation, or the time after a start, keeps the number from this object.

        `alias`: the number, if the object asks for it as an alias; empty if it is the object's own number.
        """
        if self.holder is not None or self.in_the_way(number):
            return False
        reserved = self.reserved_for not in ("", number.key.namespace)
        refused = _may_lack_alias(number, alias) if alias else number.status.ready.reason == Reason.NUMBER_CLAIMED
        return reserved or (self.unsettled and refused and not number.observes)

    def verdict(self, number: PhoneNumber) -> Verdict | None:
        """Why this object does not get the number, None if it may have the number.

        The message names no object of another namespace.
        """
        if self.holder is not None:
            return _held_by(self.holder, number)
        left = self.in_the_way(number)
        if left is not None:
            return _left_in_livekit(left, number, adoption_allowed=self.adoption_allowed)
        if not self.waits(number):
            return None
        return Verdict(Reason.NUMBER_CLAIMED, number.status.ready.message) if self.blind else _reserved(number)

    def open_to(self, number: PhoneNumber, alias: str = "") -> bool:
        """Whether an object may have a number that has no holder: no trunks, reservation or start are in its way.

        `alias`: as for `waits`.
        """
        return self.in_the_way(number) is None and not self.waits(number, alias)

    def in_the_way(self, number: PhoneNumber) -> LeftTrunks | None:
        """The first trunks that this object may not take over."""
        return next((left for left in self.left if not self._may_take(left, number)), None)

    def _may_take(self, left: LeftTrunks, number: PhoneNumber) -> bool:
        """Whether the trunks have the mark of this object's own name, or the object may adopt all of them."""
        if left.owner.namespace != number.key.namespace:
            return False
        if left.owner.name == number.key.name:
            return True
        return self.adoption_allowed and set(number.requested.adopt).issuperset(left.ids)


def begins_to_claim(before: PhoneNumber | None, number: PhoneNumber) -> bool:
    """Whether an object claims its number from now on, after it observed, was paused or was invalid."""
    return before is not None and not _is_active(before) and _is_active(number)


def claims(number: PhoneNumber, installation: Installation) -> bool:
    """Whether an object claims its number.

    An object does not claim a number that it does not have yet while it observes, is paused, is invalid, is being
    deleted, or names a refused host.
    """
    if number.deleting or not _is_active(number) or number.spec is None:
        return False
    return refused_host(number.spec, installation.termination_hosts) is None


def first(claimants: Iterable[PhoneNumber], since: Callable[[PhoneNumber], str], last: str) -> PhoneNumber | None:
    """The claimant that gets a free number: the first one of `in_order`; None without claimants."""
    return min(claimants, key=_order(since, last), default=None)


def in_order(claimants: Iterable[PhoneNumber], since: Callable[[PhoneNumber], str], last: str) -> list[PhoneNumber]:
    """The claimants of a free number, the one that gets it first.

    An object of `last`, the namespace that had the number last, comes first, then an object that was not refused when
    it was last assessed, then the object that claims the number for longest (`since`: the time at which a claim began,
    RFC 3339), then the smaller UID. Without the UID, two objects of the same second would block each other for ever.
    """
    return sorted(claimants, key=_order(since, last))


def _order(since: Callable[[PhoneNumber], str], last: str) -> Callable[[PhoneNumber], tuple[bool, bool, str, str]]:
    return lambda each: (each.key.namespace != last, _was_refused(each), since(each), each.uid)


def oldest(holders: Iterable[PhoneNumber]) -> PhoneNumber | None:
    """The holder of several objects that have trunks of the number: the oldest one, then the smaller UID."""
    return min(holders, key=lambda each: (each.created_at, each.uid), default=None)


def holds_by_status(number: PhoneNumber) -> bool:
    """Whether the status of an object names trunks. LiveKit may have lost them; only the operator writes statuses.

    An object that is being deleted and no longer has our finalizer holds nothing.
    """
    named = number.status.ids.outbound or number.status.ids.inbound
    return bool(named) and (number.has_finalizer or not number.deleting)


def may_claim_alias(number: PhoneNumber, phone: str, installation: Installation) -> bool:
    """Whether an object claims this alias. An object that was told that it does not have its own number claims none."""
    told = number.status.ready.reason == Reason.NUMBER_CLAIMED
    return phone in number.aliases and claims(number, installation) and not told


def keeps_alias(number: PhoneNumber, phone: str) -> bool:
    """Whether the status of an object says that its inbound trunk has this alias."""
    return phone in number.status.aliases and holds_by_status(number)


def _is_active(number: PhoneNumber) -> bool:
    """Whether an object is managed, not paused and valid."""
    return not number.observes and not number.requested.paused and number.spec is not None


def _may_lack_alias(number: PhoneNumber, alias: str) -> bool:
    """Whether an object may have been refused this alias when it was last assessed.

    Ready shows one reason only, for example SecretNotFound, so the aliases in the status count too. A spec that changed
    since then may have got the alias by that change.
    """
    assessed = number.is_current or number.status.ready.reason == Reason.ALIAS_UNAVAILABLE
    return assessed and alias not in number.status.aliases


def _was_refused(number: PhoneNumber) -> bool:
    """Whether the status says that the object did not get its number, or was paused, when it was last assessed."""
    return number.status.ready.reason in (Reason.NUMBER_CLAIMED, Reason.PAUSED)


def _held_by(holder: PhoneNumber, number: PhoneNumber) -> Verdict | None:
    if holder.key == number.key:
        return None
    message = f"The number {number.phone_number} is held by {named_to(number, holder.key)}"
    if holder.phone_number != number.phone_number:
        message += " as an alias. Delete this object, or have the alias taken out of spec.inbound.aliases there."
    elif holder.key.namespace == number.key.namespace:
        message += ". Delete one of the two; the other then takes over."
    else:
        message += (
            ". Delete this object, or have the other one deleted; the number then stays reserved for its namespace for "
            "a while."
        )
    return Verdict(Reason.NUMBER_CLAIMED, message)


def named_to(number: PhoneNumber, other: Key | Owner) -> str:
    """Another object in words for the users of `number`: by name only in their own namespace."""
    here = other.namespace == number.key.namespace
    return f"ByocPhoneNumber {other.name}" if here else "an object in another namespace"


def _reserved(number: PhoneNumber) -> Verdict:
    message = (
        f"The number {number.phone_number} was released, and is reserved for a while for the namespace that had it. If "
        "nobody there takes it again, this object takes it over."
    )
    return Verdict(Reason.NUMBER_CLAIMED, message)


def _left_in_livekit(left: LeftTrunks, number: PhoneNumber, *, adoption_allowed: bool) -> Verdict:
    here = left.owner.namespace == number.key.namespace
    trunks = f"LiveKit has trunks with the number {number.phone_number} of {named_to(number, left.owner)}"
    ids = ", ".join(left.ids[:NAMED])
    if left.unread:
        message = f"{trunks} that the operator cannot read: {ids}. Delete that object, or make it anew."
        return Verdict(Reason.NUMBER_CLAIMED, message)
    adopted = f", or adopt them ({ADOPT}={','.join(left.ids[:NAMED])})" if adoption_allowed else ""
    mine = f"Apply {left.owner.name} again to take them over{adopted}. " if here else ""
    message = (
        f"{trunks} that is gone, {left.why}: {ids}. {mine}An administrator can release them: kubectl byoc release."
    )
    return Verdict(Reason.NUMBER_CLAIMED, message)
