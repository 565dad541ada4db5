"""The judgement of a number for a caller outside the pod, who may not see all objects and all Secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.resource import PhoneNumber
from .aliases import refusals
from .assessment import Assessment, assess
from .credentials import SecretFacts
from .desired import Installation
from .holders import Listed, allocation_of
from .ownership import Owned
from .situation import ClusterFacts, Situation, situation_of
from .snapshot import Snapshot
from .trunk import Mask


@dataclass(frozen=True, slots=True)
class World:
    """What one number is judged by. `numbers`: every object of the cluster, None if they are not known."""

    snapshot: Snapshot
    numbers: Listed | None
    installation: Installation
    mask: Mask
    now_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OutsideJudgement:
    """What follows. `claimed`: why the number is another object's, None if it is not."""

    claimed: Verdict | None
    situation: Situation
    assessment: Assessment


def judged_outside(
    number: PhoneNumber,
    managed: PhoneNumber,
    world: World,
    secrets: Callable[[Owned], Mapping[str, SecretFacts | None]],
) -> OutsideJudgement:
    """The judgement of a number as if the operator wrote to LiveKit now.

    `managed`: the number as it were then. `secrets`: the Secrets that it uses, by name; what the number has in LiveKit
    can stand in for one that is not known.
    """
    snapshot, installation, mask = world.snapshot, world.installation, world.mask
    claimed = None if managed.deleting else claimed_by_another(number, world.numbers, snapshot, installation)
    aliases = refused_aliases(managed, world.numbers, snapshot, installation)
    facts = ClusterFacts(claimed=claimed, aliases=aliases)
    unread = situation_of(managed, snapshot, facts, installation, mask)
    facts = replace(facts, secrets=secrets(unread.owned + unread.adoption.taken))
    situation = situation_of(managed, snapshot, facts, installation, mask)
    return OutsideJudgement(claimed, situation, assess(situation, installation, mask, world.now_s))


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
