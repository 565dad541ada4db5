"""What stands around a number and decides what becomes of it: the operator's settings, LiveKit, the other numbers."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..cluster.answers import Forbidden
from ..core.credentials import KEYS_SECRET, Field, Reading
from ..core.desired import Installation
from ..core.masking import make_mask
from ..core.secret_facts import secret_facts
from ..core.situation import secret_uses
from ..core.snapshot import Snapshot
from ..core.trunk import Mask
from ..errors import OperatorError, Stalled
from ..sealing.sealed import open_with
from ..sealing.store import keys_in
from .cluster import Cluster, Scope
from .exit_codes import Refused
from .judging import SecretSeen
from .livekit_access import NoLiveKit, livekit_access
from .livekit_lists import livekit_objects
from .operator_finder import Operator, operator_of, why_not
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
    found = await operator_of(cluster, target.operator_namespace)
    url = target.outside.environ.get("LIVEKIT_URL", "")
    if not url or found.settings is None or found.settings.get("LIVEKIT_URL"):
        return found
    return replace(found, settings={**found.settings, "LIVEKIT_URL": url})


def installation_of(operator: Operator) -> Installation:
    """What the operator adds to every number. Raises `Refused` if its settings are not known."""
    found = operator.installation()
    if found is not None:
        return found
    why = "; ".join(f"{what}: {reason}" for what, reason in operator.unknown.items())
    message = f"the operator's settings are not known ({why}); see --operator-namespace"
    raise Refused(message)


async def surroundings(target: Target, cluster: Cluster) -> Surroundings:
    """Read what stands around the numbers. Raises OperatorError if the settings or LiveKit cannot be read."""
    operator = await operator_around(target, cluster)
    installation = installation_of(operator)
    access = await livekit_access(cluster, operator, target.livekit_key_file, target.outside.environ)
    if isinstance(access, NoLiveKit):
        raise Refused(f"LiveKit cannot be read: {access.why}")
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


class Secrets:
    """The Secrets that numbers name, read as the operator reads them. `given`: Secrets of files, which come first."""

    def __init__(
        self, cluster: Cluster, operator_namespace: str, given: Mapping[tuple[str, str], Mapping[str, Any]]
    ) -> None:
        self._cluster = cluster
        self._operator_namespace = operator_namespace
        self._given = given
        self._opener: _Opener | None = None

    async def of(self, number: PhoneNumber, around: Surroundings) -> dict[str, SecretSeen]:
        """The Secrets that a number uses, as far as they can be read, by name."""
        used: dict[str, set[str]] = {}
        for use in secret_uses(number, around.mask):
            used.setdefault(use.name, set()).update(each.key for each in use.keys)
        namespace = number.key.namespace
        return {name: await self._seen(namespace, name, keys, around) for name, keys in used.items()}

    async def _seen(self, namespace: str, name: str, used: Collection[str], around: Surroundings) -> SecretSeen:
        """A Secret as far as it can be read. `used`: the keys that the number uses."""
        where = f"Secret {namespace}/{name}"
        try:
            raw = self._given.get((namespace, name)) or await self._cluster.secret(namespace, name)
        except OperatorError as exc:
            return SecretSeen(None, f"{where}: {why_not(exc)}")
        if raw is None:
            return SecretSeen(None)
        opener = await self._opened_by()
        rules = around.installation.secret_rules
        facts = secret_facts(raw, Reading(around.mask, opener.open), labelled_only=rules.labelled_only)
        if opener.why and facts.sealed.intersection(used):
            return SecretSeen(None, f"{where}: its values are sealed, and {opener.why}")
        return SecretSeen(facts)

    async def _opened_by(self) -> "_Opener":
        if self._opener is None:
            self._opener = await _opener(self._cluster, self._operator_namespace)
        return self._opener


class _Opener:
    """Opens sealed values. `why`: why it cannot, empty if it can."""

    def __init__(self, raw: Mapping[str, Any] | None, why: str) -> None:
        self.why = why
        try:
            self._ring = keys_in(raw) if raw is not None else None
        except ValueError as exc:
            self._ring, self.why = None, f"the sealing keys cannot be used: {exc}"

    def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
        try:
            return open_with(self._ring, self.why, text, namespace, field)
        except Stalled as exc:
            return Verdict(exc.reason, exc.message)


async def _opener(cluster: Cluster, namespace: str) -> _Opener:
    where = f"Secret {namespace}/{KEYS_SECRET}"
    try:
        raw = await cluster.secret(namespace, KEYS_SECRET)
    except Forbidden:
        return _Opener(None, f"you may not read {where}")
    except OperatorError as exc:
        return _Opener(None, f"{where} cannot be read: {why_not(exc)}")
    return _Opener(raw, "" if raw is not None else f"there is no {where}")
