"""`kubectl byoc import`: manifests of what LiveKit has and nobody owns. Nothing is written there or to the cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from ..api.resource import Key
from ..api.secret_references import INBOUND_CREDENTIALS, RECORDING_STORAGES, SIP_PASSWORD
from ..core.desired import Installation
from ..core.holders import Listed
from ..core.outside_view import World
from ..core.snapshot import Snapshot
from ..core.trunk import Mask, Masked, SipObject, normalised
from ..errors import OperatorError
from .cluster import Cluster
from .exit_codes import ExitCode, Refused
from .import_credentials import NotSaid, credentials_in
from .import_files import show_all, write_all
from .import_names import Names
from .import_proof import Imported, imported
from .import_sets import Left, import_sets
from .livekit_access import NoLiveKit, livekit_access
from .livekit_lists import livekit_objects
from .manifests import read_bytes
from .naming import PHONE, named
from .operator_finder import INSTALLATION, Operator
from .options import Target, in_namespace, targeted, with_livekit
from .surroundings import all_numbers, new_mask, operator_around
from .terminal import tell, working

_FOR = {
    SIP_PASSWORD: "sip",
    INBOUND_CREDENTIALS: "callers",
    **dict.fromkeys(RECORDING_STORAGES.values(), "recordings"),
}
"""What each Secret of an object is for: the end of its name."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is imported, and to where. `plain`: credentials may stand in the manifests in plain text."""

    numbers: tuple[str, ...]
    directory: str | None
    force: bool
    plain: bool
    files: tuple[str, ...]


@click.command("import", short_help="Make manifests of what nobody owns in LiveKit.")
@click.option("--all", "everything", is_flag=True, help="All phone numbers.")
@click.option("--number", "numbers", multiple=True, help="This phone number (+…); may be given more than once.")
@click.option("-o", "--output-dir", "directory", type=click.Path(), help="One file for each number. Else: stdout.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option(
    "--plain-secrets", "plain", is_flag=True, help="Write credentials in plain text where none can be sealed."
)
@click.option("--from-files", "files", multiple=True, type=click.Path(), help="Printed by `lk sip … list --json`.")
@in_namespace
@with_livekit
@targeted
async def import_(target: Target, *, everything: bool, **options: Any) -> int:
    """Make manifests of trunks and dispatch rules in LiveKit that nobody owns, one ByocPhoneNumber for each number.

    The operator takes them over when the manifests are applied and BYOC_ADOPTION is Allow: nothing changes but names
    and marks. That is proved for each number; what does not fit is listed on standard error, with the reason.
    Nothing is written to LiveKit or to the cluster.

    \b
    Examples:
      kubectl byoc import --all -n voice -o numbers/
      kubectl byoc import --number +19876543210 -n voice > main.yaml
      kubectl byoc import --all --from-files inbound.json --from-files outbound.json --from-files rules.json
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    from .import_secrets import with_secrets  # noqa: PLC0415 - its libraries take longer to load than a help text

    wish = Options(**options)
    if everything == bool(wish.numbers):
        raise Refused("say which numbers: --all, or --number +…", ExitCode.USAGE)
    for number in wish.numbers:
        named("--number", number, PHONE)
    async with target.reached() as cluster:
        operator = await operator_around(target, cluster)
        mask = _Keeping(new_mask())
        objects = await _objects(target, cluster, operator, wish, mask)
        numbers, blind = await all_numbers(target, cluster)
        if numbers is None:
            tell(f"the objects of the cluster: {blind}; whether one has a number already is not known", head="note:")
        listed = None if numbers is None else Listed.of(numbers)
        world = World(Snapshot.holding(objects), listed, _installation(operator), mask, target.outside.clock())
        made, left, owned = await _imported(cluster, objects, wish.numbers, world)
        written = await with_secrets(target, cluster, made, plain=wish.plain)
    if wish.directory is None:
        show_all(written)
    else:
        write_all(written, wish.directory, force=wish.force)
    for each in left:
        _tell_left(each)
    tell(f"imported {len(made)}, left {len(left)} objects; {owned} have an owner")
    return ExitCode.OK


class _Keeping:
    """A mask that keeps the texts of credentials that LiveKit lists: they go into a Secret."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def __call__(self, text: str) -> Masked:
        return self._mask(text)

    def bare(self, text: str) -> Masked:
        return self._mask(text)


async def _objects(
    target: Target, cluster: Cluster, operator: Operator, wish: Options, mask: Mask
) -> Sequence[SipObject]:
    if wish.files:
        from ..livekit_sip.list_files import objects_in  # noqa: PLC0415 - as above

        try:
            return objects_in(((path, read_bytes(path)) for path in wish.files), mask)
        except ValueError as exc:
            raise Refused(f"--from-files: {exc}", ExitCode.USAGE) from None
    access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        raise access.refused()
    with working("reading LiveKit's lists"):
        return await livekit_objects(target.outside.livekit, access, mask, target.access.timeout_s)


def _installation(operator: Operator) -> Installation:
    found = operator.installation()
    if found is not None:
        return found
    tell(
        f"the operator's settings are not known ({operator.why_unknown(INSTALLATION)}); the defaults are assumed",
        head="note:",
    )
    return Installation(("import",), "")


async def _imported(
    cluster: Cluster, objects: Sequence[SipObject], numbers: tuple[str, ...], world: World
) -> tuple[list[Imported], list[Left], int]:
    """What can be imported, what is left, and how many objects have an owner."""
    found = import_sets(objects)
    wanted = [each for each in found.sets if not numbers or each.phone_number in numbers]
    left = _asked(found.left, numbers)
    taken = world.numbers.by_key if world.numbers else ()
    names = Names([key.name for key in taken if key.namespace == cluster.namespace])
    made: list[Imported] = []
    for each in wanted:
        key = Key(cluster.namespace, names.of(each.outbound.name, each.phone_number))
        try:
            secrets = {path: await _free_secret(cluster, names, key.name, _FOR[path]) for path in credentials_in(each)}
            made.append(imported(each, key, secrets, world))
        except NotSaid as exc:
            left.extend(Left(one, str(exc)) for one in each.objects)
    _demand_all(
        numbers, [*(each.phone_number for each in wanted), *(one for each in left for one in each.found.numbers)]
    )
    return made, left, found.owned


def _asked(left: list[Left], numbers: tuple[str, ...]) -> list[Left]:
    """Those of the numbers that were asked for, with the rules of their trunks."""
    if not numbers:
        return list(left)
    trunks = {each.found.id for each in left if set(map(normalised, each.found.numbers)) & set(numbers)}
    return [each for each in left if each.found.id in trunks or trunks & set(each.found.trunk_ids)]


def _demand_all(numbers: tuple[str, ...], seen: list[str]) -> None:
    missing = [each for each in numbers if each not in seen]
    if missing:
        raise Refused(f"LiveKit has nothing without an owner for {', '.join(missing)}")


async def _free_secret(cluster: Cluster, names: Names, name: str, what: str) -> str:
    """A name that no Secret of the namespace has, as far as the user may see that. `what`: as in `Names`."""
    secret = names.secret_for(name, what)
    try:
        while await cluster.secret(cluster.namespace, secret) is not None:
            secret = names.secret_for(name, what)
    except OperatorError:
        return secret
    return secret


def _tell_left(left: Left) -> None:
    found = left.found
    what = f"{found.kind.label} {found.id or 'without ID'}" + (f" ({found.name})" if found.name else "")
    tell(f"{what}: {left.why}", head="not imported:")
