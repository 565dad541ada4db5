"""The Secrets of numbers, read and opened as the operator does it, as far as the user may see them."""

from collections.abc import Collection, Mapping
from typing import Any

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..cluster.answers import Forbidden
from ..core.credential_values import Field
from ..core.credentials import KEYS_SECRET, Reading
from ..core.secret_facts import secret_facts
from ..core.situation import secret_uses
from ..errors import OperatorError, Stalled
from ..sealing.sealed import open_with
from ..sealing.store import keys_in
from .cluster import Cluster
from .judging import SecretSeen
from .operator_finder import why_not
from .surroundings import Surroundings


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
