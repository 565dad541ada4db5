"""Frees the objects of a namespace that no operator watches any more: their deletion would wait for ever."""

from collections.abc import Sequence

import click

from ..api.resource import Key, PhoneNumber
from ..cluster.answers import Invalid, NotFound
from ..cluster.numbers import NumberApi
from .cluster import Cluster
from .exit_codes import ExitCode, Refused, failure
from .operator_finder import SETTINGS, operator_of
from .terminal import interactive, show_table, tell

_ATTEMPTS = 5


async def free_namespace(cluster: Cluster, operator_namespace: str, *, yes: bool) -> int:
    """Take the operator's finalizer from each object of the namespace, once the user agrees.

    Raises `Refused` if the operator watches the namespace, or if that cannot be known.
    """
    await _must_be_unwatched(cluster, operator_namespace)
    numbers = [each async for each in cluster.numbers()]
    held = [each for each in numbers if each.has_finalizer]
    _show(numbers)
    if not held:
        tell(f"no object in {cluster.namespace} waits for the operator; there is nothing to free")
        return ExitCode.OK
    if not yes and not (interactive() and click.confirm(f"Free these {len(held)} objects?", err=True)):
        raise Refused("nothing is changed: answer yes at a terminal, or give --yes", ExitCode.USAGE)
    freed = [each for each in held if await _freed(cluster, each.key)]
    tell(
        f"freed {len(freed)} objects: they can be deleted now, and the operator does not delete their LiveKit objects; "
        "what is named above stays in LiveKit until somebody deletes it there"
    )
    return ExitCode.OK


async def _must_be_unwatched(cluster: Cluster, operator_namespace: str) -> None:
    operator = await operator_of(cluster, operator_namespace)
    watched = operator.watches(cluster.namespace)
    if watched:
        message = (
            f"the operator in {operator_namespace} watches {cluster.namespace}: delete the objects, and the operator "
            "deletes their LiveKit objects"
        )
        raise Refused(message)
    if operator.deployments == 0:
        hint = "if it is in another one, do not go on, and give --operator-namespace"
        tell(f"there is no operator in the namespace {operator_namespace}; {hint}", head="note:")
    elif watched is None:
        what = f"whether the operator in {operator_namespace} watches {cluster.namespace}"
        message = f"{what} cannot be read ({operator.why_unknown(SETTINGS)})"
        raise Refused(message, failure(lacks_a_right=operator.lacks_a_right(SETTINGS)))


async def _freed(cluster: Cluster, key: Key) -> bool:
    """Whether the object has lost the finalizer. The object may have changed or gone meanwhile: then look again."""
    for _ in range(_ATTEMPTS):
        number = await cluster.present(key)
        if number is None or not number.has_finalizer:
            return number is None
        try:
            await NumberApi(cluster.api, ()).remove_finalizer(number)
        except (NotFound, Invalid):
            continue
        return True
    raise Refused(f"the finalizers of {key.namespace}/{key.name} change all the time; try again")


def _show(numbers: Sequence[PhoneNumber]) -> None:
    rows = [
        (
            number.key.name,
            number.phone_number,
            "being deleted" if number.deleting else number.status.ready.reason,
            ", ".join(number.status.ids.all),
        )
        for number in numbers
    ]
    if rows:
        show_table(("NAME", "NUMBER", "STATE", "STAYS IN LIVEKIT"), rows)
