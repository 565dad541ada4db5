"""What stands around a number and decides what becomes of it: the operator's settings, LiveKit, the other numbers."""

import os
from dataclasses import dataclass, replace

from ..api.resource import PhoneNumber
from ..core.desired import Installation
from ..core.masking import make_mask
from ..core.snapshot import Snapshot
from ..core.trunk import Mask
from ..errors import OperatorError
from .cluster import Cluster, Scope
from .exit_codes import Refused, failure
from .livekit_access import NoLiveKit, livekit_access
from .livekit_lists import livekit_objects
from .operator_finder import INSTALLATION, SETTINGS, Operator, operator_of, why_not
from .options import Target
from .terminal import working

_MASK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`numbers`: all objects of the cluster, None if they cannot be listed, and `blind` says why.

    `mask`: the one with which `snapshot` was made.
    """

    installation: Installation
    snapshot: Snapshot
    mask: Mask
    numbers: tuple[PhoneNumber, ...] | None
    blind: str = ""


def new_mask() -> Mask:
    """A mask with a key of this process."""
    return make_mask(os.urandom(_MASK_BYTES))


async def operator_around(target: Target, cluster: Cluster) -> Operator:
    """The operator. LIVEKIT_URL of the user's environment stands in where its settings name none."""
    return with_users_url(await operator_of(cluster, target.operator_namespace), target)


def with_users_url(found: Operator, target: Target) -> Operator:
    """The operator with the user's LIVEKIT_URL, where its settings name none."""
    url = target.outside.environ.get("LIVEKIT_URL", "")
    if not url or found.settings is None or found.settings.get("LIVEKIT_URL"):
        return found
    unknown = {what: why for what, why in found.unknown.items() if what != "LIVEKIT_URL"}
    return replace(found, settings={**found.settings, "LIVEKIT_URL": url}, unknown=unknown)


def installation_of(operator: Operator) -> Installation:
    """What the operator adds to every number. Raises `Refused` if its settings are not known."""
    found = operator.installation()
    if found is not None:
        return found
    parts = SETTINGS if operator.settings is None else INSTALLATION
    message = f"the operator's settings are not known ({operator.why_unknown(parts)}); see --operator-namespace"
    raise Refused(message, failure(lacks_a_right=operator.lacks_a_right(parts)))


async def surroundings(target: Target, cluster: Cluster) -> Surroundings:
    """Read what stands around the numbers. Raises OperatorError if the settings or LiveKit cannot be read."""
    operator = await operator_around(target, cluster)
    installation = installation_of(operator)
    access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        raise access.refused()
    mask = new_mask()
    with working("reading LiveKit's lists"):
        objects = await livekit_objects(target.outside.livekit, access, mask, target.access.timeout_s)
    numbers, blind = await all_numbers(target, cluster)
    return Surroundings(installation, Snapshot.holding(objects), mask, numbers, blind)


async def all_numbers(target: Target, cluster: Cluster) -> tuple[tuple[PhoneNumber, ...] | None, str]:
    """Every object of the cluster; None and why not, if they cannot be listed."""
    everywhere = Cluster(cluster.api, Scope(cluster.namespace, everywhere=True), target.access.timeout_s)
    try:
        return tuple([each async for each in everywhere.numbers()]), ""
    except OperatorError as exc:
        return None, why_not(exc)
