"""Whose a phone number or an alias is, for a caller outside the pod, who may not see all objects."""

from collections.abc import Mapping

from ..api.conditions import Reason, Verdict
from ..api.resource import PhoneNumber
from .aliases import refusals
from .desired import Installation
from .holders import Listed, allocation_of
from .snapshot import Snapshot


def claimed_by_another(
    number: PhoneNumber, listed: Listed | None, snapshot: Snapshot, installation: Installation
) -> Verdict | None:
    """Why another object has the phone number. `listed`: None for who may not list all objects: the status decides."""
    if listed is not None:
        return allocation_of(number.phone_number, number, listed, snapshot, installation).verdict(number)
    ready = number.status.ready
    if number.is_current and ready.reason == Reason.NUMBER_CLAIMED:
        return Verdict(Reason.NUMBER_CLAIMED, ready.message)
    return None


def refused_aliases(
    number: PhoneNumber, listed: Listed | None, snapshot: Snapshot, installation: Installation
) -> Mapping[str, str]:
    """Why other objects have aliases of an object, by alias. `listed`: as in `claimed_by_another`."""
    if listed is not None:
        return refusals(number, lambda phone: allocation_of(phone, number, listed, snapshot, installation))
    if not number.is_current or number.status.ready.reason != Reason.ALIAS_UNAVAILABLE:
        return {}
    return dict.fromkeys(set(number.aliases) - set(number.status.aliases), "is not this object's (see its status)")
