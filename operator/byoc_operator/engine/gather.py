"""What is known of a number: LiveKit's snapshot from the inventory, its Secret, who else names the phone number."""

from dataclasses import replace

from ..api.conditions import Reason, Verdict
from ..api.resource import Key, PhoneNumber
from ..api.schema import DeletionPolicy
from ..cluster.answers import Forbidden
from ..cluster.reading import Unreadable
from ..core.assessment import Assessment, assess
from ..core.credentials import Credentials, SecretFacts
from ..core.orphans import numbers_of
from ..core.plan import with_texts
from ..core.situation import ClusterFacts, Situation, credentials_of, situation_of
from .ports import Ports

RECOUNT_S = 1.0
"""How long a count of what a namespace has left in LiveKit is believed."""


class ObjectChanged(Exception):
    """Not an error: an object changed during its run. All objects of its phone number are run again."""


class Retentions:
    """How many numbers each namespace has left in LiveKit by deletionPolicy Retain, against the limit there is."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._leaving: dict[str, tuple[str, str]] = {}
        self._counted: dict[str, tuple[float, frozenset[str]]] = {}
        ports.cache.forgotten.append(self._forget)

    def allowed(self, number: PhoneNumber) -> bool:
        """Whether this number may be left, or already is. One that leaves counts from now on, not once it is marked."""
        limit = self._ports.installation.retained_at_most
        if limit is None or number.deletion_policy is not DeletionPolicy.RETAIN:
            return True
        if limit == 0:
            return False
        allowed = self._others(number) < limit
        if not allowed and number.deleting:  # what is refused now is deleted: no old count decides that
            self._counted.pop(number.key.namespace, None)
            allowed = self._others(number) < limit
        if allowed and number.deleting:
            self._leaving[number.uid] = (number.key.namespace, number.phone_number)
        return allowed

    def _others(self, number: PhoneNumber) -> int:
        """How many other numbers its namespace has left, or is about to leave."""
        namespace = number.key.namespace
        leaving = {phone for space, phone in self._leaving.values() if space == namespace}
        return len((self._left_in(namespace) | leaving) - {number.phone_number})

    def _left_in(self, namespace: str) -> frozenset[str]:
        """Counted once for many: a sweep asks for each number, and each count looks at all trunks of the namespace."""
        ports, now = self._ports, self._ports.clock()
        at, known = self._counted.get(namespace, (float("-inf"), frozenset()))
        if now < at + RECOUNT_S:
            return known
        known = frozenset(
            phone
            for trunk, owner in ports.inventory.snapshot.retained_in(namespace)
            if owner.installation in ports.installation.ids and not ports.looks_after(owner, trunk)
            for phone in numbers_of(ports.inventory.snapshot.by_id[trunk])
        )
        self._counted = {name: each for name, each in self._counted.items() if now < each[0] + RECOUNT_S}
        self._counted[namespace] = (now, known)
        return known

    def _forget(self, uid: str) -> None:
        """The object is gone: what it left is in LiveKit from now on."""
        leaving = self._leaving.pop(uid, None)
        if leaving is not None:
            self._counted.pop(leaving[0], None)


class Gatherer:
    """Asks for what the core judges: LiveKit's snapshot, the Secret, and whose the number is."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._retentions = Retentions(ports)

    def assess(self, situation: Situation) -> Assessment:
        """Judge it, at this moment."""
        return assess(situation, self._ports.installation, self._ports.mask, self._ports.wall())

    def remembered(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """What is known of a number, without asking anybody. `claimed`: why it is not this object's."""
        return self._situation(number, claimed, self._known_secret(number))

    async def gather(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """What is known of a number, after asking for what must not be believed from memory."""
        if number.deleting or number.spec is None or claimed is not None:
            return self.remembered(number, claimed)
        return self._situation(number, None, await self._secret(number))

    async def with_texts(self, situation: Situation, assessment: Assessment) -> Assessment:
        """The same assessment, its changes with the texts of the credentials out of the Secret as it is now.

        A Secret that has changed since is judged anew.
        """
        number, ports = situation.number, self._ports
        opened = credentials_of(number, await self._asked(number), ports.installation, ports.mask)
        if opened != situation.credentials:
            bare = opened.without_texts if isinstance(opened, Credentials) else opened
            assessment = self.assess(replace(situation, credentials=bare))
        if not isinstance(opened, Credentials):
            return assessment
        return replace(assessment, changes=with_texts(assessment.changes, opened))

    def is_told_of_secret(self, number: PhoneNumber) -> bool:
        """Whether a change of the number's Secret arrives by itself."""
        facts = self._known_secret(number)
        return facts is not None and facts.watched

    def _situation(
        self, number: PhoneNumber, claimed: Verdict | None, secret: SecretFacts | Verdict | None
    ) -> Situation:
        ports = self._ports
        cluster = ClusterFacts(
            secret,
            claimed,
            is_gone=lambda owner: ports.is_gone(Key(owner.namespace, owner.name)),
            may_retain=self._retentions.allowed(number),
        )
        snapshot = ports.inventory.snapshot if ports.inventory.loaded else None
        return situation_of(number, snapshot, cluster, ports.installation, ports.mask)

    async def _secret(self, number: PhoneNumber) -> SecretFacts | Verdict | None:
        """The Secret; asked for where nothing, or nothing usable, is remembered of one that does not tell by itself.

        Also where no key opened it: there may be other keys by now, of which nobody tells.
        """
        facts = self._known_secret(number)
        if facts is not None and facts.watched and not facts.unopened:
            return facts
        known = credentials_of(number, facts, self._ports.installation, self._ports.mask)
        return facts if known is None or isinstance(known, Credentials) else await self._asked(number)

    async def _asked(self, number: PhoneNumber) -> SecretFacts | Verdict | None:
        """The Secret as it is now, with the texts of its values; a verdict if it cannot be read."""
        name = _secret_name(number)
        if name is None:
            return None
        where = f"Secret {name[0]}/{name[1]}"
        try:
            return await self._ports.secrets.fetch(*name)
        except Forbidden:
            return Verdict(Reason.SECRET_NOT_FOUND, f"The operator may not read {where} (HTTP 403).")
        except Unreadable as exc:
            message = f"{where} cannot be read: {exc.message}. Put the credentials into another one."
            return Verdict(Reason.SECRET_INVALID, message)

    def _known_secret(self, number: PhoneNumber) -> SecretFacts | None:
        name = _secret_name(number)
        return self._ports.secrets.known(*name) if name else None


def _secret_name(number: PhoneNumber) -> tuple[str, str] | None:
    """Namespace and name of the Secret that a number names, None if it names none."""
    spec = number.spec
    if spec is None or spec.sip_password_secret_ref is None:
        return None
    return number.key.namespace, spec.sip_password_secret_ref.name
