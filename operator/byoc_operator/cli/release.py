"""Asks the operator to delete what nobody looks after in LiveKit, by an annotation on the Lease of its leader."""

from collections.abc import Sequence

from ..api import grammar
from ..api.names import RELEASE
from ..cluster.answers import Conflict, Forbidden, NotFound
from ..cluster.api import MERGE_PATCH
from ..cluster.port import JsonApi
from ..core.orphans import MAX_RELEASED, asked_to_release, is_livekit_id
from .sealer import NO_RIGHTS, USAGE, Naming, Refused

LEASE = Naming("the name of a Lease is made of lower case letters, digits, - and .", grammar.DNS_SUBDOMAIN, 253)

_ATTEMPTS = 10
"""The leader renews its Lease every few seconds; a change of ours that meets a renewal is tried again."""


async def ask_to_release(api: JsonApi, namespace: str, lease: str, ids: Sequence[str]) -> None:
    """Add LiveKit IDs to the annotation; the oldest are dropped where there are too many. Raises `Refused`."""
    wrong = [each for each in ids if not is_livekit_id(each)]
    if wrong:
        raise Refused(f"{wrong[0][:80]!r} is no LiveKit ID of a trunk or rule (ST_…, SDR_…)", exit_code=USAGE)
    if len(set(ids)) > MAX_RELEASED:
        raise Refused(f"at most {MAX_RELEASED} IDs at once", exit_code=USAGE)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{lease}"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await _added(api, path, ids)
        except NotFound as exc:
            message = f"there is no Lease {namespace}/{lease}: see --operator-namespace and --lease-name"
            raise Refused(message) from exc
        except Forbidden as exc:
            message = f"you may not read and change the Lease {namespace}/{lease}"
            raise Refused(message, exit_code=NO_RIGHTS) from exc
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
