"""Proves that a manifest changes nothing in LiveKit but names and marks, by the plan of the manifest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..api.names import ADOPT, GROUP, KIND, VERSION
from ..api.resource import FORCE, Key, parse
from ..api.text_rules import RESERVED_METADATA
from ..api.validation import problems
from ..core.credentials import SecretFacts
from ..core.field_changes import Action, FieldChange, ObjectChange
from ..core.outside_view import World
from .import_credentials import NotSaid, StatedCredentials
from .import_sets import ImportSet
from .import_spec import Stated, agent_metadata, stated
from .judging import Plan, SecretSeen, plan_of

NAMES_AND_MARKS = frozenset(
    {
        "outboundTrunk.name",
        "outboundTrunk.metadata",
        "inboundTrunk.name",
        "inboundTrunk.metadata",
        "dispatchRule.name",
    }
)
"""What an import may change: the metadata of a trunk and the name of a rule are marks."""

_AGENT_METADATA = "dispatchRule.agentMetadata"
_LONGEST_ID = 64
"""Characters. LiveKit's own have 16."""

_MOST = 400
"""Characters of a reason that tells values."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A set that is imported. `manifest`: the object; `plan`: what its manifest changes, names and marks only.

    `secrets`: the names of its Secrets by the path of the reference.
    """

    found: ImportSet
    key: Key
    manifest: dict[str, Any]
    stated: Stated
    secrets: Mapping[str, str]
    plan: Plan


def imported(found: ImportSet, key: Key, secrets: Mapping[str, str], world: World) -> Imported:
    """The set as a manifest. Raises `NotSaid` if the manifest would change anything.

    `secrets`: a name for the Secret of each reference that `credentials_in` has for the set.
    """
    others = world.numbers.by_phone.get(found.phone_number) if world.numbers else None
    if others:
        raise NotSaid(f"ByocPhoneNumber {others[0].key} has its number already")
    if not all(_is_id(each.id) for each in found.objects):
        raise NotSaid("the ID of one of its objects is not of the form that LiveKit gives, such as ST_nG6hDFtQeq4C")
    world = replace(world, installation=replace(world.installation, adoption_allowed=True))
    said = stated(found, world.installation)
    spec = dict(said.spec)
    for path in said.credentials:
        spec = _referring(spec, path.split("."), secrets[path])
    wrong = problems(spec)
    if wrong and all(each.field == "spec.friendlyName" for each in wrong):
        del spec["friendlyName"]  # the name of a trunk may change
        wrong = problems(spec)
    if wrong:
        raise NotSaid("; ".join(f"{each.field} {each.message}" for each in wrong)[:_MOST])
    manifest = _manifest(key, spec, [each.id for each in found.objects])
    stored = {"uid": f"import:{key}", "resourceVersion": "0", "generation": 1}
    number = parse({**manifest, "metadata": {**manifest["metadata"], **stored}})
    seen = {secrets[path]: _secret(each, key, secrets[path]) for path, each in said.credentials.items()}
    made = plan_of(number, seen, world)
    if made.verdict is not None:
        raise NotSaid(f"{made.verdict.reason}: {made.verdict.message}"[:_MOST])
    told = list(_beyond(made.changes))
    if told:
        raise NotSaid(f"it would change {'; '.join(told)}"[:_MOST])
    return Imported(found, key, manifest, said, secrets, made)


def _is_id(text: str) -> bool:
    """Whether a text is made as an ID of LiveKit. A comma would name one more object to adopt, a line end more YAML."""
    letters = text.isascii() and text.replace("_", "").isalnum()
    return letters and len(text) <= _LONGEST_ID and text != FORCE


def _manifest(key: Key, spec: Mapping[str, Any], ids: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": key.name, "namespace": key.namespace, "annotations": {ADOPT: ",".join(ids)}},
        "spec": dict(spec),
    }


def _referring(spec: Mapping[str, Any], path: Sequence[str], name: str) -> dict[str, Any]:
    """The spec with a reference to a Secret. Only the last part of a path is absent from a spec that needs it."""
    first, *below = path
    return {**spec, first: _referring(spec[first], below, name) if below else {"name": name}}


def _secret(stated: StatedCredentials, key: Key, name: str) -> SecretSeen:
    values = stated.listed
    if not values:
        return SecretSeen(None, "LiveKit does not list the credentials")
    return SecretSeen(
        SecretFacts(
            namespace=key.namespace,
            name=name,
            resource_version="0",
            type="Opaque",
            watched=True,
            changed_at=0.0,
            values=values,
            sealed=frozenset(values),
        )
    )


def _beyond(changes: tuple[ObjectChange, ...]) -> Iterator[str]:
    """What is changed beyond names and marks."""
    for change in changes:
        if change.action is not Action.REPLACE:
            yield f"{change.action.lower()} the {change.kind.label} {change.id}".rstrip()
            continue
        for field in change.fields:
            if field.path not in NAMES_AND_MARKS and not _names_the_object(field):
                yield f"{field.path}: {field.old} → {field.new}"


def _names_the_object(field: FieldChange) -> bool:
    """Whether the agent's metadata only gets the keys that say whose call it is; those it had keep their values."""
    if field.path != _AGENT_METADATA:
        return False
    old, new = (agent_metadata(value) if isinstance(value, str) else {} for value in (field.old, field.new))
    if old is None or new is None:
        return False
    return {**new, **old} == new and set(new) - set(old) <= set(RESERVED_METADATA)
