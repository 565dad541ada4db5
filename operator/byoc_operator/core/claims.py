"""Who has a phone number that several objects may name: what is in LiveKit first, then what is remembered, then age.

The order, and why: `docs/decisions/0020-who-holds-a-number.md`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..api.conditions import Reason, Verdict
from ..api.names import ADOPT
from ..api.resource import PhoneNumber
from ..api.termination_hosts import refused_host
from .desired import Installation
from .ownership import Owner

NAMED = 4
"""How many LiveKit IDs a message names at most."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Trunks of ours in LiveKit with the phone number, and no object that looks after them.

    `owner`: whom their mark names. `retained`: they stay on purpose, by deletionPolicy Retain, as their mark says.
    `retained_unmarked`: they stay on purpose, by Observe for example, and their mark does not say so. Neither: a
    finalizer was lost. `unread`: the object may be there, and cannot be read.
    """

    owner: Owner
    ids: tuple[str, ...]
    retained: bool
    unread: bool = False
    retained_unmarked: bool = False

    @property
    def why(self) -> str:
        """Why they are there, in words."""
        if self.retained:
            return "kept by deletionPolicy Retain"
        return (
            "left on purpose (Observe, or force-orphan with Retain)"
            if self.retained_unmarked
            else "left behind without its finalizer"
        )


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who has a phone number at one moment, and why others have to wait.

    `holder`: the object that has it, None if nobody has. `kept`: what LiveKit has of gone objects. `reserved_for`: the
    namespace that had the number last and may have it back, empty for none. `unsettled`: the operator started a short
    while ago and does not know who had the number last, so an object that was told to wait goes on waiting. `until_s`:
    when the reservation, or that while, ends (clock). `blind`: LiveKit was never listed; messages stay as they are.
    """

    holder: PhoneNumber | None = None
    kept: tuple[Kept, ...] = ()
    reserved_for: str = ""
    unsettled: bool = False
    until_s: float = 0.0
    adoption_allowed: bool = False
    blind: bool = False

    @property
    def token(self) -> tuple[object, ...]:
        """Equal as long as everybody would be told the same."""
        holder = self.holder.uid if self.holder else ""
        return (holder, self.kept, self.reserved_for, self.blind)

    def waits(self, number: PhoneNumber) -> bool:
        """Whether nothing but a time keeps the number from this object: a reservation, or the while after a start."""
        if self.holder is not None or self._in_the_way(number):
            return False
        reserved = self.reserved_for not in ("", number.key.namespace)
        told = number.status.ready.reason == Reason.NUMBER_CLAIMED
        return reserved or (self.unsettled and told and not number.observes)

    def verdict(self, number: PhoneNumber) -> Verdict | None:
        """What keeps the number from this object, None if nothing does; names stay within their namespace."""
        if self.holder is not None:
            return _held(self.holder, number)
        kept = self._in_the_way(number)
        if kept is not None:
            return _kept(kept, number, adoption_allowed=self.adoption_allowed)
        if not self.waits(number):
            return None
        return Verdict(Reason.NUMBER_CLAIMED, number.status.ready.message) if self.blind else _released(number)

    def open_to(self, number: PhoneNumber) -> bool:
        """Whether an object may have the number, as far as its past and what LiveKit has are concerned."""
        return self._in_the_way(number) is None and not self.waits(number)

    def _in_the_way(self, number: PhoneNumber) -> Kept | None:
        return next((kept for kept in self.kept if not self._may_take(kept, number)), None)

    def _may_take(self, kept: Kept, number: PhoneNumber) -> bool:
        if kept.owner.namespace != number.key.namespace:
            return False
        if kept.owner.name == number.key.name:
            return True
        return self.adoption_allowed and set(number.requested.adopt).issuperset(kept.ids)


def begins_to_claim(before: PhoneNumber | None, number: PhoneNumber) -> bool:
    """Whether an object that only looked on, or could not be used, asks for its number from now on."""
    return before is not None and not _asks(before) and _asks(number)


def claims(number: PhoneNumber, installation: Installation) -> bool:
    """Whether an object asks for its number: one that observes, is paused, invalid or deleted asks for nothing new."""
    if number.deleting or not _asks(number) or number.spec is None:
        return False
    return refused_host(number.spec, installation.termination_hosts) is None


def first(claimants: Iterable[PhoneNumber], since: Callable[[PhoneNumber], str], last: str) -> PhoneNumber | None:
    """Who comes first of those who ask: the namespace that had the number last (`last`), then who was not told to wait.

    Then who asks for longer (`since`: from when an object asks, RFC 3339), then the smaller UID: without it two objects
    of one second would block each other for ever.
    """

    def rank(each: PhoneNumber) -> tuple[bool, bool, str, str]:
        return (each.key.namespace != last, _was_told(each), since(each), each.uid)

    return min(claimants, key=rank, default=None)


def oldest(holders: Iterable[PhoneNumber]) -> PhoneNumber | None:
    """The first of the objects that have trunks already: the older one, then the one with the smaller UID."""
    return min(holders, key=lambda each: (each.created_at, each.uid), default=None)


def holds_by_status(number: PhoneNumber) -> bool:
    """Whether its status, which only the operator writes, names trunks: LiveKit may have lost them.

    An object that is deleted without a finalizer of ours holds nothing, however long other finalizers keep it.
    """
    named = number.status.ids.outbound or number.status.ids.inbound
    return bool(named) and (number.has_finalizer or not number.deleting)


def _asks(number: PhoneNumber) -> bool:
    return not number.observes and not number.requested.paused and number.spec is not None


def _was_told(number: PhoneNumber) -> bool:
    """Whether its status says that it had no claim when it was last looked at."""
    return number.status.ready.reason in (Reason.NUMBER_CLAIMED, Reason.PAUSED)


def _held(holder: PhoneNumber, number: PhoneNumber) -> Verdict | None:
    if holder.key == number.key:
        return None
    message = f"The number {number.phone_number} is held by "
    if holder.key.namespace == number.key.namespace:
        message += f"ByocPhoneNumber {holder.key.name}. Delete one of the two; the other then takes over."
    else:
        message += (
            "an object in another namespace. Delete this object, or have the other one deleted; the number then stays "
            "reserved for its namespace for a while."
        )
    return Verdict(Reason.NUMBER_CLAIMED, message)


def _released(number: PhoneNumber) -> Verdict:
    message = (
        f"The number {number.phone_number} was released, and is reserved for a while for the namespace that had it. If "
        "nobody there takes it again, this object takes it over."
    )
    return Verdict(Reason.NUMBER_CLAIMED, message)


def _kept(kept: Kept, number: PhoneNumber, *, adoption_allowed: bool) -> Verdict:
    here = kept.owner.namespace == number.key.namespace
    who = f"ByocPhoneNumber {kept.owner.name}" if here else "an object in another namespace"
    trunks = f"LiveKit has trunks with the number {number.phone_number} of {who}"
    ids = ", ".join(kept.ids[:NAMED])
    if kept.unread:
        message = f"{trunks} that the operator cannot read: {ids}. Delete that object, or make it anew."
        return Verdict(Reason.NUMBER_CLAIMED, message)
    adopted = f", or adopt them ({ADOPT}={','.join(kept.ids[:NAMED])})" if adoption_allowed else ""
    mine = f"Apply {kept.owner.name} again to take them over{adopted}. " if here else ""
    message = (
        f"{trunks} that is gone, {kept.why}: {ids}. {mine}An administrator can release them: kubectl byoc release."
    )
    return Verdict(Reason.NUMBER_CLAIMED, message)
