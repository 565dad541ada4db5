"""Judges one number as the operator would, out of values; nothing is read here.

A number that is paused, or whose managementPolicy is Observe, is judged as if the operator might write, and `Plan.held`
says that it does not.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy
from ..core.assessment import Assessment, assess
from ..core.assumed_secrets import assumed_secret
from ..core.credentials import SecretFacts
from ..core.desired import Installation
from ..core.field_changes import ObjectChange, credential_paths, object_changes
from ..core.holders import Listed
from ..core.outside_view import claimed_by_another, refused_aliases
from ..core.plan import Change, Replace
from ..core.situation import ClusterFacts, Situation, secret_uses, situation_of
from ..core.snapshot import Snapshot
from ..core.trunk import Mask

_PAUSED = "the annotation paused is set: nothing is written to LiveKit until it is taken away"
_OBSERVES = "managementPolicy is Observe: nothing is written to LiveKit; Manage would change this"


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """A Secret of a number. `facts`: None if there is none. `unknown`: why it is not known, empty if it is."""

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
    numbers: Listed | None
    installation: Installation
    mask: Mask
    now_s: float = 0.0


def plan_of(number: PhoneNumber, seen: Mapping[str, SecretSeen], world: World) -> Plan:
    """What the operator would do with a number. `seen`: the Secrets that the number uses, by name."""
    managed = _as_managed(number)
    assumed = "; ".join(each.unknown for each in seen.values() if each.unknown)
    claimed = None
    if not number.deleting:
        claimed = claimed_by_another(number, world.numbers, world.snapshot, world.installation)
    secrets: dict[str, SecretFacts | None] = {name: each.facts for name, each in seen.items()}
    if assumed:
        unknown = {name for name, each in seen.items() if each.unknown}
        unread = situation_of(managed, world.snapshot, ClusterFacts(claimed=claimed), world.installation, world.mask)
        secrets |= _as_in_livekit(managed, unread, unknown, world.mask)
    aliases = refused_aliases(managed, world.numbers, world.snapshot, world.installation)
    cluster = ClusterFacts(secrets, claimed=claimed, aliases=aliases)
    situation = situation_of(managed, world.snapshot, cluster, world.installation, world.mask)
    assessment = assess(situation, world.installation, world.mask, world.now_s)
    changes = _without_credentials(assessment.changes) if assumed else assessment.changes
    return Plan(
        object_changes(changes, world.snapshot.by_id),
        assessment.verdict,
        _held(number, assessment),
        assessment.pending,
        assumed,
    )


def _as_managed(number: PhoneNumber) -> PhoneNumber:
    if number.deleting:
        return number
    requested = replace(number.requested, paused=False)
    return replace(number, management_policy=ManagementPolicy.MANAGE, requested=requested)


def _held(number: PhoneNumber, assessment: Assessment) -> str:
    if number.deleting or not (assessment.changes or assessment.pending):
        return ""
    return _PAUSED if number.requested.paused else _OBSERVES if number.observes else ""


def _as_in_livekit(
    number: PhoneNumber, situation: Situation, names: Collection[str], mask: Mask
) -> dict[str, SecretFacts]:
    """Secrets with what the number's objects in LiveKit have: for who may not read them, nothing changes there."""
    owned = situation.owned + situation.adoption.taken
    uses = secret_uses(number, mask)
    return {name: assumed_secret(number, [use for use in uses if use.name == name], owned) for name in names}


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
