"""What is said of somebody else's inbound trunk in LiveKit that has the number."""

from .adoption import SHOWN, Adoption, of_another_installation, other_numbers
from .conditions import Reason, Verdict
from .desired import Installation
from .ownership import owner_of
from .resource import ADOPT, PhoneNumber
from .trunk import InboundTrunk


def conflict(
    number: PhoneNumber, foreign: tuple[InboundTrunk, ...], adoption: Adoption, installation: Installation
) -> Verdict | None:
    """LiveKit would accept some of our writes beside such a trunk (its check has holes), and then refuse every call.

    `foreign`: inbound trunks with the number that are not this object's; those that it takes over do not count.
    """
    taken = {trunk.id for trunk in adoption.taken.inbound}
    foreign = tuple(trunk for trunk in foreign if trunk.id not in taken)
    if number.spec is None or not number.spec.inbound_agent_id or not foreign:
        return None
    told = "; ".join(f"{trunk.id} {_remedy(trunk, number, installation)}" for trunk in foreign[:SHOWN])
    message = (
        f"LiveKit has an inbound trunk with the number {number.phone_number} that this object does not manage: {told}."
    )
    refused = adoption.verdict
    return Verdict(Reason.NUMBER_CONFLICT, f"{message} {refused.message}" if refused else message)


def _remedy(trunk: InboundTrunk, number: PhoneNumber, installation: Installation) -> str:
    owner, phone = owner_of(trunk), number.phone_number
    if owner is not None and owner.installation not in installation.ids:
        return of_another_installation(owner, number, installation)
    if owner is not None:
        return "carries the mark of another object of this operator"
    others = other_numbers(trunk, phone)
    if others:
        return f"{others}; it is not ours to change, and serves the other numbers"
    adopted = f", or take it over with the annotation {ADOPT}={trunk.id}" if installation.adoption_allowed else ""
    return f"has nobody's mark: delete it there{adopted}"
