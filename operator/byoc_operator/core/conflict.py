"""Foreign trunks in LiveKit that have the phone number: the verdict, and what is not created."""

from dataclasses import dataclass

from ..api.conditions import Reason, Verdict
from ..api.names import ADOPT
from ..api.resource import PhoneNumber
from .adoption import SHOWN, Adoption, of_another_installation, other_numbers
from .desired import Installation
from .ownership import Owned, owner_of
from .trunk import InboundTrunk, Kind, Trunk


@dataclass(frozen=True, slots=True)
class NumberConflict:
    """The verdict for the user, and the kinds of LiveKit object that the operator neither creates nor changes."""

    verdict: Verdict
    blocked: frozenset[Kind]


def conflict(
    number: PhoneNumber, owned: Owned, foreign: tuple[Trunk, ...], adoption: Adoption, installation: Installation
) -> NumberConflict | None:
    """The conflict with foreign trunks of the number, None if there is none. `foreign`: see `Situation`.

    LiveKit accepts some writes although another inbound trunk has the number (its check is incomplete), and then
    refuses every call. So if there is a foreign inbound trunk, an object without trunks gets none, not even an outbound
    trunk. If another installation has trunks for the same object, no missing trunk is created. Trunks that the object
    adopts are not foreign.
    """
    taken = set(adoption.taken.ids)
    foreign = tuple(trunk for trunk in foreign if trunk.id not in taken)
    calls_in = number.spec is not None and bool(number.spec.inbound_agent_id)
    inbound = [trunk for trunk in foreign if isinstance(trunk, InboundTrunk)] if calls_in else []
    elsewhere = [] if owned.outbound else [trunk for trunk in foreign if marked_elsewhere(trunk, number, installation)]
    blocked: set[Kind] = set()
    if inbound:
        blocked |= {Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE}
    if elsewhere or (inbound and not owned.trunks):
        blocked.add(Kind.OUTBOUND_TRUNK)
    if elsewhere and not owned.inbound:
        blocked |= {Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE}
    if not blocked:
        return None
    return NumberConflict(_verdict(number, [*inbound, *elsewhere], adoption, installation), frozenset(blocked))


def marked_elsewhere(trunk: Trunk, number: PhoneNumber, installation: Installation) -> bool:
    """Whether another installation marked the trunk for an object of this namespace and name, as after a move."""
    owner = owner_of(trunk)
    if owner is None or owner.installation in installation.ids:
        return False
    return (owner.namespace, owner.name) == (number.key.namespace, number.key.name)


def _verdict(number: PhoneNumber, trunks: list[Trunk], adoption: Adoption, installation: Installation) -> Verdict:
    by_remedy: dict[str, list[str]] = {}
    for trunk in sorted({trunk.id: trunk for trunk in trunks}.values(), key=lambda trunk: trunk.id):
        by_remedy.setdefault(_remedy(trunk, number, installation), []).append(trunk.id)
    told = "; ".join(f"{_each(ids)} {remedy}" for remedy, ids in list(by_remedy.items())[:SHOWN])
    what = "an inbound trunk" if any(isinstance(trunk, InboundTrunk) for trunk in trunks) else "an outbound trunk"
    message = f"LiveKit has {what} with the number {number.phone_number} that this object does not manage: {told}."
    refused = adoption.verdict
    return Verdict(Reason.NUMBER_CONFLICT, f"{message} {refused.message}" if refused else message)


def _each(ids: list[str]) -> str:
    """The subject of a sentence about these IDs."""
    return ids[0] if len(ids) == 1 else f"each of {', '.join(ids[:SHOWN])}"


def _remedy(trunk: Trunk, number: PhoneNumber, installation: Installation) -> str:
    """What is wrong with a foreign trunk and what the user can do, as the end of a sentence."""
    owner = owner_of(trunk)
    if owner is not None and owner.installation not in installation.ids:
        return of_another_installation(owner, number, installation)
    if owner is not None and (owner.namespace, owner.name) == (number.key.namespace, number.key.name):
        return (
            f"is of a former ByocPhoneNumber {owner.name}, which had the number as an alias; an administrator can "
            "release it: kubectl byoc release"
        )
    if owner is not None:
        return "carries the mark of another object of this operator"
    others = other_numbers(trunk, number)
    if others:
        return f"{others}; it serves the other numbers"
    adopted = f", or take it over with the annotation {ADOPT}={trunk.id}" if installation.adoption_allowed else ""
    return f"has nobody's mark: delete it there{adopted}"
