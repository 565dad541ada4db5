"""Judges one number as the operator would, out of values; nothing is read here.

A number that is paused, or whose managementPolicy is Observe, is judged as if the operator might write, and `Plan.held`
says that it does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy
from ..core.assessment import Assessment, assess
from ..core.credentials import USERNAME_KEY, SecretFacts
from ..core.desired import Installation
from ..core.field_changes import ObjectChange, credential_paths, object_changes
from ..core.holders import allocation_of, refused_aliases
from ..core.plan import Change, Replace
from ..core.situation import ClusterFacts, Situation, situation_of
from ..core.snapshot import Snapshot
from ..core.trunk import Mask, Masked

_PAUSED = "the annotation paused is set: nothing is written to LiveKit until it is taken away"
_OBSERVES = "managementPolicy is Observe: nothing is written to LiveKit; Manage would change this"


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """The Secret of a number. `facts`: None if there is none. `unknown`: why it is not known, empty if it is."""

    facts: SecretFacts | None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the operator would do. `verdict`: what stands in the way; `held`: why nothing is written all the same.

    `pending`: paths of the fields that an adoption would erase, for which it waits. `assumed`: why the credentials are
    not compared, empty if they are.
    """

    changes: tuple[ObjectChange, ...]
    verdict: Verdict | None = None
    held: str = ""
    pending: tuple[str, ...] = ()
    assumed: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What one number is judged by. `numbers`: every object of the cluster, None if they are not known."""

    snapshot: Snapshot
    numbers: tuple[PhoneNumber, ...] | None
    installation: Installation
    mask: Mask
    now_s: float = 0.0


def plan_of(number: PhoneNumber, secret: SecretSeen | None, world: World) -> Plan:
    """What the operator would do with a number. `secret`: None if the number names none."""
    managed = _as_managed(number)
    assumed = secret.unknown if secret is not None else ""
    claimed = _claimed(number, world)
    if assumed:
        facts: SecretFacts | None = _as_in_livekit(managed, _situation(managed, None, claimed, world))
    else:
        facts = secret.facts if secret is not None else None
    situation = _situation(managed, facts, claimed, world)
    assessment = assess(situation, world.installation, world.mask, world.now_s)
    changes = _without_credentials(assessment.changes) if assumed else assessment.changes
    return Plan(
        object_changes(changes, world.snapshot.by_id),
        assessment.verdict,
        _held(number, assessment),
        assessment.pending,
        assumed,
    )


def _situation(number: PhoneNumber, facts: SecretFacts | None, claimed: Verdict | None, world: World) -> Situation:
    others = None if world.numbers is None else _with(number, world.numbers)
    aliases = refused_aliases(number, others, world.snapshot, world.installation)
    cluster = ClusterFacts(secret=facts, claimed=claimed, aliases=aliases)
    return situation_of(number, world.snapshot, cluster, world.installation, world.mask)


def _as_managed(number: PhoneNumber) -> PhoneNumber:
    if number.deleting:
        return number
    requested = replace(number.requested, paused=False)
    return replace(number, management_policy=ManagementPolicy.MANAGE, requested=requested)


def _held(number: PhoneNumber, assessment: Assessment) -> str:
    if number.deleting or not (assessment.changes or assessment.pending):
        return ""
    return _PAUSED if number.requested.paused else _OBSERVES if number.observes else ""


def _with(number: PhoneNumber, numbers: Iterable[PhoneNumber]) -> list[PhoneNumber]:
    """All objects, with this one as it would be."""
    return [*(each for each in numbers if each.key != number.key), number]


def _claimed(number: PhoneNumber, world: World) -> Verdict | None:
    """Why the number is another object's. Who may not see all objects is told what the status says."""
    if number.deleting:
        return None
    if world.numbers is not None:
        listed = _with(number, world.numbers)
        allocation = allocation_of(number.phone_number, listed, world.snapshot, world.installation)
        return allocation.verdict(number)
    ready = number.status.ready
    if number.is_current and ready.reason == Reason.NUMBER_CLAIMED:
        return Verdict(Reason.NUMBER_CLAIMED, ready.message)
    return None


def _as_in_livekit(number: PhoneNumber, situation: Situation) -> SecretFacts | None:
    """A Secret with what the number's trunk in LiveKit has: for who may not read the Secret, nothing changes there."""
    ref = number.spec.sip_password_secret_ref if number.spec else None
    if ref is None:
        return None
    trunk = next(iter((situation.owned + situation.adoption.taken).outbound), None)
    nobody = Masked("not known")
    values = {
        ref.key: (trunk.password if trunk else None) or nobody,
        USERNAME_KEY: (trunk.username if trunk else None) or nobody,
    }
    written = number.status.credentials
    return SecretFacts(
        namespace=number.key.namespace,
        name=ref.name,
        resource_version=written.resource_version if written else "",
        type="Opaque",
        watched=True,
        changed_at=0.0,
        values=values,
        sealed=frozenset(values),
    )


def _without_credentials(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes without fields that are a user name or a password."""
    secret = credential_paths()
    found: list[Change] = []
    for change in changes:
        if not isinstance(change, Replace) or not change.fields:
            found.append(change)
            continue
        fields = tuple(path for path in change.fields if path not in secret)
        if fields:
            found.append(replace(change, fields=fields))
    return tuple(found)
