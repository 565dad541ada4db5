"""Collects what is known of an object: the snapshot of LiveKit, its Secrets, and whether it may have its number."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..api.conditions import Reason, Verdict
from ..api.resource import Key, PhoneNumber
from ..api.schema import DeletionPolicy
from ..api.secret_references import secret_names
from ..cluster.answers import Forbidden
from ..cluster.reading import Unreadable
from ..core.assessment import Assessment, assess
from ..core.credentials import SecretFacts
from ..core.credentials_in_use import SecretsByName
from ..core.orphans import numbers_of
from ..core.plan import with_texts
from ..core.situation import ClusterFacts, Situation, credentials_of, secret_uses, situation_of
from .ports import GatherPorts, RetentionPorts

RECOUNT_S = 1.0
"""For how many seconds the count of a namespace's retained numbers is reused."""


class ObjectChanged(Exception):
    """An object changed during its run. This is not an error: all objects of its phone number are reconciled again."""


class Retentions:
    """Compares the numbers that each namespace retains in LiveKit with the limit of `BYOC_RETAIN`."""

    def __init__(self, ports: RetentionPorts) -> None:
        self._ports = ports
        self._leaving: dict[str, tuple[str, str]] = {}
        self._counted: dict[str, tuple[float, frozenset[str]]] = {}
        ports.cache.forgotten.append(self._forget)

    def allowed(self, number: PhoneNumber) -> bool:
        """Whether this number may be retained. An object in deletion counts at once, not only when its mark says so."""
        limit = self._ports.installation.retained_at_most
        if limit is None or number.deletion_policy is not DeletionPolicy.RETAIN:
            return True
        if limit == 0:
            return False
        allowed = self._others(number) < limit
        if not allowed and number.deleting:  # a refusal deletes LiveKit objects, so it needs a fresh count
            self._counted.pop(number.key.namespace, None)
            allowed = self._others(number) < limit
        if allowed and number.deleting:
            self._leaving[number.uid] = (number.key.namespace, number.phone_number)
        return allowed

    def _others(self, number: PhoneNumber) -> int:
        """How many other numbers its namespace retains, or is about to retain."""
        namespace = number.key.namespace
        leaving = {phone for space, phone in self._leaving.values() if space == namespace}
        return len((self._left_in(namespace) | leaving) - {number.phone_number})

    def _left_in(self, namespace: str) -> frozenset[str]:
        """The numbers that a namespace retains, counted once for many calls: a count visits all its trunks."""
        ports, now = self._ports, self._ports.clock()
        at, known = self._counted.get(namespace, (float("-inf"), frozenset()))
        if now < at + RECOUNT_S:
            return known
        known = frozenset(
            phone
            for trunk, owner in ports.inventory.snapshot.retained_in(namespace)
            if owner.installation in ports.installation.ids and not ports.belongings.looks_after(owner, trunk)
            for phone in numbers_of(ports.inventory.snapshot.by_id[trunk])[:1]  # the others are aliases of it
        )
        self._counted = {name: each for name, each in self._counted.items() if now < each[0] + RECOUNT_S}
        self._counted[namespace] = (now, known)
        return known

    def _forget(self, uid: str) -> None:
        """Stop counting an object that is gone: the trunks that it left in LiveKit count from now on."""
        leaving = self._leaving.pop(uid, None)
        if leaving is not None:
            self._counted.pop(leaving[0], None)


class Gatherer:
    """Collects the facts that the core assesses: the snapshot of LiveKit, the Secrets, and who has the number.

    `aliases`: why other objects have aliases of an object, see `core.aliases.refusals`.
    """

    def __init__(self, ports: GatherPorts, aliases: Callable[[PhoneNumber], Mapping[str, str]]) -> None:
        self._ports = ports
        self._aliases = aliases
        self._retentions = Retentions(ports)

    def assess(self, situation: Situation) -> Assessment:
        """Assess the situation at the present time."""
        return assess(situation, self._ports.installation, self._ports.mask, self._ports.wall())

    def remembered(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """The situation of an object without any request. `claimed`: why the object does not get the number."""
        return self._situation(number, claimed, self._known(number))

    async def gather(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """The situation of an object, after reading its Secrets if memory is not enough. Raises `Failure`."""
        if number.deleting or number.spec is None or claimed is not None:
            return self.remembered(number, claimed)
        return self._situation(number, None, await self._secrets(number))

    async def with_texts(self, situation: Situation, assessment: Assessment) -> Assessment:
        """The assessment, with the credentials of the current Secrets in its changes.

        If a Secret has changed since, the object is assessed again.
        """
        number, ports = situation.number, self._ports
        secrets = {name: await self._asked(number, name) for name in _secret_names(number)}
        opened = credentials_of(number, secrets, ports.installation, ports.mask)
        if opened != situation.credentials:
            assessment = self.assess(replace(situation, credentials=opened.without_texts))
        return replace(assessment, changes=with_texts(assessment.changes, opened.masked))

    def is_told_of_secrets(self, number: PhoneNumber) -> bool:
        """Whether a watch reports changes of every Secret that the object uses."""
        return all(facts is not None and facts.watched for facts in self._known(number).values())

    def _situation(self, number: PhoneNumber, claimed: Verdict | None, secrets: SecretsByName) -> Situation:
        ports = self._ports
        cluster = ClusterFacts(
            secrets,
            claimed,
            aliases=self._aliases(number) if claimed is None and number.aliases else {},
            is_gone=lambda owner: ports.belongings.is_gone(Key(owner.namespace, owner.name)),
            may_retain=self._retentions.allowed(number),
        )
        snapshot = ports.inventory.snapshot if ports.inventory.loaded else None
        return situation_of(number, snapshot, cluster, ports.installation, ports.mask)

    async def _secrets(self, number: PhoneNumber) -> SecretsByName:
        """The facts of the Secrets: from memory if a watch reports the Secret or the facts are usable, else by a GET.

        A Secret that no sealing key opened is read again, too, because there may be other keys by now.
        """
        facts, ports = self._known(number), self._ports
        if all(map(_is_kept_current, facts.values())):
            return facts
        known = credentials_of(number, facts, ports.installation, ports.mask)
        unusable = {use.name for use in secret_uses(number, ports.mask) if known.at(use.path) is None}
        found: dict[str, SecretFacts | Verdict | None] = {}
        for name, each in facts.items():
            asks = name in unusable and not _is_kept_current(each)
            found[name] = await self._asked(number, name) if asks else each
        return found

    async def _asked(self, number: PhoneNumber, name: str) -> SecretFacts | Verdict | None:
        """A current Secret with the texts of its values; a verdict if it cannot be read."""
        namespace = number.key.namespace
        where = f"Secret {namespace}/{name}"
        try:
            return await self._ports.secrets.fetch(namespace, name)
        except Forbidden:
            return Verdict(Reason.SECRET_NOT_FOUND, f"The operator may not read {where} (HTTP 403).")
        except Unreadable as exc:
            message = f"{where} cannot be read: {exc.message}. Put the credentials into another one."
            return Verdict(Reason.SECRET_INVALID, message)

    def _known(self, number: PhoneNumber) -> Mapping[str, SecretFacts | None]:
        """The remembered facts of the Secrets that an object uses, by name."""
        known, namespace = self._ports.secrets.known, number.key.namespace
        return {name: known(namespace, name) for name in _secret_names(number)}


def _is_kept_current(facts: SecretFacts | None) -> bool:
    """Whether a watch keeps the facts of a Secret up to date, and no other sealing key could change them."""
    return facts is not None and facts.watched and not facts.unopened


def _secret_names(number: PhoneNumber) -> tuple[str, ...]:
    return () if number.spec is None else secret_names(number.spec)
