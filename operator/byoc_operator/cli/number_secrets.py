"""The Secrets of numbers, read and opened as the operator does it, as far as the user may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..cluster.answers import Forbidden
from ..core.credential_values import Field
from ..core.credentials import KEYS_SECRET, Reading, SecretFacts
from ..core.secret_facts import secret_facts
from ..core.situation import secret_uses
from ..core.trunk import Mask
from ..errors import OperatorError, Stalled
from ..sealing.sealed import KeyRing, open_with
from ..sealing.store import keys_in
from .cluster import Cluster
from .judging import SecretSeen
from .operator_finder import why_not


@dataclass(frozen=True, slots=True)
class SecretRead:
    """A Secret. `facts`: None if there is none. `unread`: why it is not known, empty if it is.

    `unopened`: why none of its sealed values could be opened, empty if there are keys. `keys_unread`: whether that is
    because the user cannot see the keys; the operator may have some.
    """

    facts: SecretFacts | None = None
    unread: str = ""
    unopened: str = ""
    keys_unread: bool = False


class SecretReader:
    """Reads Secrets, and the sealing keys once there is a Secret.

    `given`: Secrets of files by namespace and name, which come first. `labelled_only`: the operator's setting.
    """

    def __init__(
        self,
        cluster: Cluster,
        operator_namespace: str,
        mask: Mask,
        *,
        labelled_only: bool,
        given: Mapping[tuple[str, str], Mapping[str, Any]] | None = None,
    ) -> None:
        self._cluster = cluster
        self._operator_namespace = operator_namespace
        self._mask = mask
        self._labelled_only = labelled_only
        self._given = given or {}
        self._keys: _Keys | None = None

    async def read(self, namespace: str, name: str) -> SecretRead:
        """One Secret, as far as it can be read."""
        try:
            raw = self._given.get((namespace, name)) or await self._cluster.secret(namespace, name)
        except OperatorError as exc:
            return SecretRead(unread=why_not(exc))
        if raw is None:
            return SecretRead()
        if self._keys is None:
            self._keys = await _keys(self._cluster, self._operator_namespace)
        keys = self._keys
        facts = secret_facts(raw, Reading(self._mask, keys.open), labelled_only=self._labelled_only)
        return SecretRead(facts, unopened=keys.why, keys_unread=keys.unread)


async def secrets_of(number: PhoneNumber, reader: SecretReader, mask: Mask) -> dict[str, SecretSeen]:
    """The Secrets that a number uses, by name. One with sealed values that nobody could open is not known."""
    used: dict[str, set[str]] = {}
    for use in secret_uses(number, mask):
        used.setdefault(use.name, set()).update(each.key for each in use.keys)
    found: dict[str, SecretSeen] = {}
    for name, keys in used.items():
        where, read = f"Secret {number.key.namespace}/{name}", await reader.read(number.key.namespace, name)
        if read.unread:
            found[name] = SecretSeen(None, f"{where}: {read.unread}")
        elif read.unopened and read.facts is not None and read.facts.sealed.intersection(keys):
            found[name] = SecretSeen(None, f"{where}: its values are sealed, and {read.unopened}")
        else:
            found[name] = SecretSeen(read.facts)
    return found


@dataclass(frozen=True, slots=True)
class _Keys:
    """The sealing keys. `why`: why there are none, empty if there are; `unread`: whether nobody could look."""

    ring: KeyRing | None
    why: str = ""
    unread: bool = False

    def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
        """The value of a sealed text, or why it does not open."""
        try:
            return open_with(self.ring, self.why, text, namespace, field)
        except Stalled as exc:
            return Verdict(exc.reason, exc.message)


async def _keys(cluster: Cluster, namespace: str) -> _Keys:
    where = f"Secret {namespace}/{KEYS_SECRET}"
    try:
        raw = await cluster.secret(namespace, KEYS_SECRET)
    except Forbidden:
        return _Keys(None, f"you may not read {where}", unread=True)
    except OperatorError as exc:
        return _Keys(None, f"{where} cannot be read: {why_not(exc)}", unread=True)
    if raw is None:
        return _Keys(None, f"there is no {where}")
    try:
        return _Keys(keys_in(raw))
    except ValueError as exc:
        return _Keys(None, f"the sealing keys cannot be used: {exc}")
