"""Whose a phone number is, for a caller outside the pod, who may not see all objects."""

from ..api.conditions import Reason, Verdict
from ..api.resource import PhoneNumber
from .desired import Installation
from .holders import Listed, allocation_of
from .snapshot import Snapshot


def claimed_by_another(
    number: PhoneNumber, listed: Listed | None, snapshot: Snapshot, installation: Installation
) -> Verdict | None:
    """Why another object has the phone number. `listed`: None for who may not list all objects: the status decides."""
    if listed is not None:
        return allocation_of(number, listed, snapshot, installation).verdict(number)
    ready = number.status.ready
    if number.is_current and ready.reason == Reason.NUMBER_CLAIMED:
        return Verdict(Reason.NUMBER_CLAIMED, ready.message)
    return None
