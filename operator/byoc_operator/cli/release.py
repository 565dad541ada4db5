"""Asks the operator to delete orphans and retained LiveKit objects, by an annotation on the operator's Lease."""

from collections.abc import Sequence

import click

from ..api.names import RELEASE
from ..cluster.answers import Conflict, Forbidden, NotFound
from ..cluster.port import MERGE_PATCH, JsonApi
from ..core.orphans import MAX_RELEASED, asked_to_release, is_livekit_id
from .exit_codes import ExitCode, Refused
from .naming import LEASE, named
from .options import Target, in_namespace, targeted
from .terminal import tell
from .unwatched import free_namespace

_ATTEMPTS = 10
"""How often the change is tried: the leader renews its Lease every few seconds, which may conflict with the change."""


async def ask_to_release(api: JsonApi, namespace: str, lease: str, ids: Sequence[str]) -> None:
    """Add LiveKit IDs to the annotation. Beyond `MAX_RELEASED`, the oldest IDs go. Raises `Refused`."""
    wrong = [each for each in ids if not is_livekit_id(each)]
    if wrong:
        raise Refused(f"{wrong[0][:80]!r} is no LiveKit ID of a trunk or rule (ST_…, SDR_…)", ExitCode.USAGE)
    if len(set(ids)) > MAX_RELEASED:
        raise Refused(f"at most {MAX_RELEASED} IDs at once", ExitCode.USAGE)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await _added(api, path, ids)
        except NotFound as exc:
            message = f"there is no Lease {namespace}/{lease}: see --operator-namespace and --lease-name"
            raise Refused(message) from exc
        except Forbidden as exc:
            message = f"you may not read and change the Lease {namespace}/{lease}"
            raise Refused(message, ExitCode.NO_RIGHTS) from exc
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return


async def _added(api: JsonApi, path: str, ids: Sequence[str]) -> None:
    metadata = (await api.request("GET", path, resource="leases"))["metadata"]
    before = asked_to_release((metadata.get("annotations") or {}).get(RELEASE, ""))
    wanted = [*(each for each in before if each not in ids), *dict.fromkeys(ids)][-MAX_RELEASED:]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": {RELEASE: ",".join(wanted)}}}
    await api.request("PATCH", path, resource="leases", body=patch, content_type=MERGE_PATCH)


@click.command(short_help="Free LiveKit objects, or a namespace, that nobody looks after any more.")
@click.argument("ids", nargs=-1)
@in_namespace
@click.option("--yes", is_flag=True, help="Do not ask before a namespace is freed.")
@click.option(
    "--lease-name", envvar="BYOC_LEASE_NAME", default="byoc-operator", show_default=True, help="Lease of the operator."
)
@targeted
async def release(target: Target, ids: tuple[str, ...], lease_name: str, *, yes: bool) -> int:
    """Free LiveKit objects (IDS) or the objects of a namespace (-n) that nobody looks after any more.

    With IDS the operator deletes these LiveKit objects, which deletionPolicy Retain or a lost finalizer left there.
    Their number is then free for everybody. What belongs to an existing ByocPhoneNumber is not touched. The operator's
    log names what it deletes, and what it leaves. The rule that leads to a trunk goes with the trunk. The Events
    RetainedFound and OrphansFound on the Lease, and the message of NumberClaimed, name IDs; commas between them do no
    harm.

    With -n and no IDS the command takes the operator's finalizer from all objects of a namespace that no operator
    watches any more; their deletion would wait for ever. It shows what stays in LiveKit, and asks first.

    \b
    Examples:
      kubectl byoc release ST_abc SDR_def
      kubectl byoc release -n old-team
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if bool(ids) == bool(target.namespace):
        raise Refused("give LiveKit IDs, or -n with a namespace that no operator watches; not both", ExitCode.USAGE)
    lease = named("--lease-name", lease_name, LEASE)
    wanted = [part for text in ids for part in text.strip(",").split(",")]  # as Events and messages list them
    async with target.reached() as cluster:
        if not ids:
            return await free_namespace(cluster, target.operator_namespace, yes=yes)
        await ask_to_release(cluster.api, target.operator_namespace, lease, wanted)
    tell(f"asked the operator to release {', '.join(wanted)}; its log names what it deletes, and what it leaves")
    return ExitCode.OK
