"""Judges one number as the operator would, out of values; nothing is read here.

A number that is paused, or whose managementPolicy is Observe, is judged as if the operator might write, and `Plan.held`
says that it does not.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy
from ..core.assessment import Assessment
from ..core.assumed_secrets import assumed_secret
from ..core.credentials import SecretFacts
from ..core.field_changes import ObjectChange, credential_paths, object_changes
from ..core.outside_view import World, judged_outside
from ..core.ownership import Owned
from ..core.plan import Change, Replace
from ..core.situation import secret_uses
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


def plan_of(number: PhoneNumber, seen: Mapping[str, SecretSeen], world: World) -> Plan:
    """What the operator would do with a number. `seen`: the Secrets that the number uses, by name."""
    managed = _as_managed(number)
    unknown = {name for name, each in seen.items() if each.unknown}
    known: dict[str, SecretFacts | None] = {name: each.facts for name, each in seen.items() if name not in unknown}
    judged = judged_outside(
        number, managed, world, lambda owned: known | _as_in_livekit(managed, owned, unknown, world.mask)
    )
    assessment = judged.assessment
    changes = _without_credentials(assessment.changes) if unknown else assessment.changes
    return Plan(
        object_changes(changes, world.snapshot.by_id),
        assessment.verdict,
        _held(number, assessment),
        assessment.pending,
        "; ".join(each.unknown for each in seen.values() if each.unknown),
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


def _as_in_livekit(number: PhoneNumber, owned: Owned, names: Collection[str], mask: Mask) -> dict[str, SecretFacts]:
    """Secrets with what the number's objects in LiveKit have: for who may not read them, nothing changes there."""
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
