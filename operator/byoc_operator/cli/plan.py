"""`kubectl byoc plan`: what would change in LiveKit, field by field. Nothing is written anywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from ..api.names import GROUP, PLURAL, VERSION
from ..api.resource import Key, PhoneNumber, parse
from ..api.structural import Problem
from ..api.validation import problems
from ..core.holders import Listed
from ..core.outside_view import World
from .cluster import Cluster
from .exit_codes import ExitCode, Refused
from .judging import plan_of
from .manifests import Manifests, read_manifests
from .options import Target, over_numbers, targeted, with_livekit, with_output
from .output import show_listing
from .planned import Planned, exit_code, listing
from .surroundings import Surroundings, surroundings
from .terminal import tell

_FIXED = "cannot be changed; create another ByocPhoneNumber for the other number and delete this one"


@dataclass(frozen=True, slots=True)
class Subject:
    """A number to plan. `problems`: what keeps the API server from taking its manifest. `notes`: what else to say."""

    number: PhoneNumber
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@click.command(short_help="Show what would change in LiveKit, field by field.")
@click.argument("names", nargs=-1, metavar="[NAME|+NUMBER]...")
@click.option("-f", "--filename", "files", multiple=True, type=click.Path(), help="Manifests; `-`: standard input.")
@over_numbers
@with_output
@with_livekit
@targeted
async def plan(target: Target, names: tuple[str, ...], files: tuple[str, ...]) -> int:
    """Show what the operator would change in LiveKit for numbers of the cluster, or for manifests not yet applied.

    A credential is never shown; a changed one is `(changed)`. Nothing is written. A file may hold Secrets beside the
    numbers. Exit code 0: nothing changes; 6: something changes; 1: a number is invalid or something is in its way.

    \b
    Examples:
      kubectl byoc plan main -n voice          the object in the cluster
      kubectl byoc plan +19876543210 -A        whoever has this phone number
      kubectl byoc plan -f numbers.yaml        manifests, compared with LiveKit
      helm template … | kubectl byoc plan -f -
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if bool(names) == bool(files):
        raise Refused("name either numbers or files (-f)", ExitCode.USAGE)
    async with target.reached() as cluster:
        manifests = read_manifests(files, cluster.namespace)
        for document in manifests.passed_over:
            tell(f"{document}: is neither a ByocPhoneNumber nor a Secret", head="passed over:")
        subjects = await _subjects(target, cluster, names, manifests)
        planned = await _planned(target, cluster, subjects, manifests)
    show_listing(listing(planned), target.output)
    for each in planned:
        for line in each.told():
            tell(line, head=f"{each.key}:")
    return exit_code(planned)


async def _subjects(target: Target, cluster: Cluster, names: tuple[str, ...], manifests: Manifests) -> list[Subject]:
    if names:
        found = {each.key: each for name in names for each in await cluster.found(name)}
        return [Subject(each) for each in found.values()]
    now = datetime.fromtimestamp(target.outside.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [subject(raw, Key(*key), await _live(cluster, Key(*key)), now) for key, raw in manifests.numbers.items()]


async def _live(cluster: Cluster, key: Key) -> Mapping[str, Any] | None:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
    return await cluster.optional(path, PLURAL)


def subject(raw: Mapping[str, Any], key: Key, live: Mapping[str, Any] | None, now: str) -> Subject:
    """The number as the cluster has it once the manifest is applied. `live`: the object that is there already."""
    spec = raw.get("spec")
    metadata = raw.get("metadata")
    before = live["metadata"] if live is not None else {}
    changed = live is None or live.get("spec") != spec
    generation = before.get("generation")
    stated = {
        "uid": f"planned:{key}",
        "resourceVersion": "0",
        "creationTimestamp": now,
        **before,
        "namespace": key.namespace,
        "name": key.name,
        "generation": (generation if isinstance(generation, int) else 0) + changed,
        "annotations": {**_texts(before.get("annotations")), **_texts(metadata, "annotations")},
    }
    number = parse({**(live or {}), "metadata": stated, "spec": spec})
    found = problems(spec if spec is not None else {}, stored=not changed)
    known = parse(live) if live is not None else None
    if not found and known is not None and known.phone_number != number.phone_number:
        found = (Problem("spec.phoneNumber", _FIXED),)
    return Subject(number, found)


def _texts(value: object, name: str = "") -> Mapping[str, str]:
    if name:
        value = value.get(name) if isinstance(value, Mapping) else None
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, Mapping) else {}


async def _planned(target: Target, cluster: Cluster, subjects: list[Subject], manifests: Manifests) -> list[Planned]:
    from .number_secrets import SecretReader, secrets_of  # noqa: PLC0415 - its libraries take longer to load than a help text

    if not any(not each.problems for each in subjects):  # LiveKit does not matter
        return [_invalid(each) for each in subjects]
    around = await surroundings(target, cluster)
    if around.numbers is None:
        tell(f"the objects of the cluster: {around.blind}; whether another one has a number is not known", head="note:")
    world = _world(around, subjects, target.outside.clock())
    labelled_only = around.installation.secret_rules.labelled_only
    reader = SecretReader(
        cluster, target.operator_namespace, around.mask, labelled_only=labelled_only, given=manifests.secrets
    )
    found: list[Planned] = []
    for each in subjects:
        if each.problems:
            found.append(_invalid(each))
            continue
        made = plan_of(each.number, await secrets_of(each.number, reader, around.mask), world)
        found.append(Planned(each.number.key, each.number.phone_number, made, notes=each.notes))
    return found


def _invalid(subject: Subject) -> Planned:
    return Planned(subject.number.key, subject.number.phone_number, problems=subject.problems, notes=subject.notes)


def _world(around: Surroundings, subjects: list[Subject], now_s: float) -> World:
    """What the numbers are judged by, as if all valid manifests were applied."""
    listed = None
    if around.numbers is not None:
        listed = Listed.of([*around.numbers, *(each.number for each in subjects if not each.problems)])
    return World(around.snapshot, listed, around.installation, around.mask, now_s)
