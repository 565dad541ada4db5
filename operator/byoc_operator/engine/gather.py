"""What is known of a number: LiveKit from the inventory, its Secret, who else names the phone number."""

from dataclasses import replace

from ..api.conditions import Reason, Verdict
from ..api.resource import Key, PhoneNumber
from ..api.schema import DeletionPolicy
from ..cluster.answers import Forbidden
from ..cluster.reading import Unreadable
from ..core.adoption import Adoption, judge
from ..core.assessment import Assessment, Situation, assess
from ..core.conflict import Trunk
from ..core.credentials import Credentials, SecretFacts, SecretUse, resolve
from ..core.orphans import numbers_of
from ..core.ownership import Owned
from ..core.trunk import DispatchRule
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
            for trunk, owner in ports.inventory.retained_in(namespace)
            if owner.installation in ports.installation.ids and not ports.looks_after(owner, trunk)
            for phone in numbers_of(ports.inventory.by_id[trunk])
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
    """Puts together the `Situation` that the core judges."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._retentions = Retentions(ports)

    def assess(self, situation: Situation) -> Assessment:
        """Judge it, at this moment."""
        return assess(situation, self._ports.installation, self._ports.mask, self._ports.wall())

    def remembered(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """What is known of a number, without asking anybody. `claimed`: why it is not this object's."""
        ports = self._ports
        owned, may_retain = ports.owned(number), self._retentions.allowed(number)
        if claimed is not None:
            return Situation(number, owned, claimed=claimed, may_retain=may_retain)
        adoption = self._adoption(number, owned)
        return Situation(
            number=number,
            owned=owned,
            foreign=self._foreign(number, owned),
            foreign_rules=ports.inventory.foreign_rules(number.phone_number, owned + adoption.taken),
            credentials=self._resolved(number, self._facts(number)),
            adoption=adoption,
            may_retain=may_retain,
        )

    async def gather(self, number: PhoneNumber, claimed: Verdict | None = None) -> Situation:
        """What is known of a number, after asking for what must not be believed from memory."""
        situation = self.remembered(number, claimed)
        if number.deleting or number.spec is None or claimed is not None:
            return situation
        return await self._with_facts(situation)

    async def opened(self, situation: Situation) -> Situation:
        """The same with the credentials' texts, out of the Secret as it is now."""
        use = self._use(situation.number)
        if use is None:
            return situation
        return replace(situation, credentials=await self._fetched(situation.number, use))

    def is_told_of_secret(self, number: PhoneNumber) -> bool:
        """Whether a change of the number's Secret arrives by itself."""
        facts = self._facts(number)
        return facts is not None and facts.watched

    async def _with_facts(self, situation: Situation) -> Situation:
        """Ask for the Secret where nothing, or nothing usable, is remembered of one that does not tell by itself.

        Also where no key opened it: there may be other keys by now, of which nobody tells.
        """
        use = self._use(situation.number)
        facts = self._facts(situation.number)
        usable = isinstance(situation.credentials, Credentials)
        told = facts is not None and (usable or (facts.watched and not facts.unopened))
        if use is None or told:
            return situation
        return replace(situation, credentials=await self._fetched(situation.number, use))

    async def _fetched(self, number: PhoneNumber, use: SecretUse) -> Credentials | Verdict | None:
        try:
            facts = await self._ports.secrets.fetch(use.namespace, use.name)
        except Forbidden:
            where = f"Secret {use.namespace}/{use.name}"
            return Verdict(Reason.SECRET_NOT_FOUND, f"The operator may not read {where} (HTTP 403).")
        except Unreadable as exc:
            where = f"Secret {use.namespace}/{use.name}"
            message = f"{where} cannot be read: {exc.message}. Put the credentials into another one."
            return Verdict(Reason.SECRET_INVALID, message)
        return self._resolved(number, facts)

    def _foreign(self, number: PhoneNumber, owned: Owned) -> tuple[Trunk, ...]:
        """Trunks with the number that are not this object's, as `Situation` has them."""
        inventory, installation = self._ports.inventory, self._ports.installation
        ids = inventory.inbound_with(number.phone_number) - {trunk.id for trunk in owned.inbound}
        for owner, marked in inventory.owners_with(number.phone_number).items():
            twin = owner.installation not in installation.ids and Key(owner.namespace, owner.name) == number.key
            ids = ids.union(marked) if twin else ids
        found = (inventory.by_id[each] for each in sorted(ids))
        return tuple(trunk for trunk in found if not isinstance(trunk, DispatchRule))

    def _adoption(self, number: PhoneNumber, owned: Owned) -> Adoption:
        """What becomes of what the user asks to take over; nothing, as long as nobody knows what LiveKit has."""
        ports = self._ports
        if not ports.inventory.loaded:
            return Adoption()
        return judge(
            number,
            owned,
            ports.inventory.by_id,
            ports.installation,
            lambda owner: ports.is_gone(Key(owner.namespace, owner.name)),
        )

    def _use(self, number: PhoneNumber) -> SecretUse | None:
        spec = number.spec
        if spec is None or spec.sip_password_secret_ref is None:
            return None
        ref = spec.sip_password_secret_ref
        username = self._ports.mask(spec.sip_username) if spec.sip_username else None
        return SecretUse(number.key.namespace, ref.name, ref.key, username)

    def _facts(self, number: PhoneNumber) -> SecretFacts | None:
        use = self._use(number)
        return self._ports.secrets.known(use.namespace, use.name) if use else None

    def _resolved(self, number: PhoneNumber, facts: SecretFacts | None) -> Credentials | Verdict | None:
        use = self._use(number)
        if use is None:
            return None
        return resolve(use, facts, self._ports.installation.secret_rules)
