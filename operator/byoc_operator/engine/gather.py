"""What is known of a number: LiveKit from the inventory, its Secret, who else names the phone number."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..cluster.api import ApiRefused
from ..cluster.events import Events
from ..cluster.numbers import NumberApi
from ..cluster.secrets import Secrets
from ..core.assessment import Assessment, Claimant, Situation, assess, holder
from ..core.conditions import Reason, Verdict
from ..core.credentials import Credentials, SecretFacts, SecretUse, resolve
from ..core.desired import Installation
from ..core.ownership import Owned, Owner, adoptable
from ..core.resource import Key, PhoneNumber
from ..core.trunk import Mask, normalised
from ..livekit_sip.guard import Guard
from ..livekit_sip.inventory import Inventory
from ..telemetry.metrics import Metrics
from .cache import Cache


@dataclass(frozen=True, slots=True)
class Ports:
    """What the engine works with. `clock`: monotonic seconds; `wall`: epoch seconds."""

    cache: Cache
    inventory: Inventory
    guard: Guard
    secrets: Secrets
    numbers: NumberApi
    events: Events
    installation: Installation
    mask: Mask
    metrics: Metrics
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def owners(self, number: PhoneNumber) -> tuple[Owner, ...]:
        """Every owner whose mark makes a LiveKit object this number's; the first is the one we write."""
        return self.installation.owners(number.key.namespace, number.key.name)

    def owned(self, number: PhoneNumber) -> Owned:
        """What is this number's in LiveKit, as far as the inventory knows."""
        return self.inventory.owned(self.owners(number), number.phone_number, number.recorded)


FORBIDDEN = 403


class Moved(Exception):
    """Not an error: an object is no longer the one that is being judged, and all is judged anew."""


class Gatherer:
    """Puts together the `Situation` that the core judges."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def assess(self, situation: Situation) -> Assessment:
        """Judge it, at this moment."""
        return assess(situation, self._ports.installation, self._ports.mask, self._ports.wall())

    def remembered(self, number: PhoneNumber) -> Situation:
        """What is known of a number that nobody else holds, without asking anybody."""
        ports = self._ports
        owned, adoptable = ports.owned(number), self._adoptable(number)
        ours = {trunk.id for trunk in owned.inbound}
        return Situation(
            number=number,
            owned=owned,
            foreign_inbound=tuple(sorted(ports.inventory.inbound_with(number.phone_number) - ours)),
            foreign_rules=ports.inventory.foreign_rules(number.phone_number, owned + adoptable),
            credentials=self._resolved(number, self._facts(number)),
            adoptable=adoptable,
        )

    async def gather(self, number: PhoneNumber) -> Situation:
        """What is known of a number that nobody else holds, after asking for what must not be believed from memory."""
        situation = self.remembered(number)
        if number.deleting or number.spec is None:
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
        except ApiRefused as exc:
            if exc.status != FORBIDDEN:
                raise
            where = f"Secret {use.namespace}/{use.name}"
            return Verdict(Reason.SECRET_NOT_FOUND, f"The operator may not read {where} (HTTP 403).")
        return self._resolved(number, facts)

    def holder(self, phone: str) -> PhoneNumber | None:
        """Who has the phone number, if several objects name it; None if there is nobody to be told."""
        claimants = self._ports.cache.claimants(phone)
        if len(claimants) == 1:
            return None
        return holder([Claimant(each, self._holds(each)) for each in claimants], self._ports.installation)

    async def confirmed_holder(self, phone: str) -> PhoneNumber | None:
        """The holder, asked whether it is still there: a watch tells nothing of what vanished while it was broken.

        Raises `Moved` if it is gone, or another one than we knew.
        """
        cache, held = self._ports.cache, self.holder(phone)
        if held is None:
            return None
        raw = await self._ports.numbers.get(held.key)
        if raw is None or raw["metadata"]["uid"] != held.uid:
            cache.gone(held.key, held.uid)
        if raw is not None:
            cache.seen(raw)
        if cache.get(held.key) is not held:
            raise Moved
        return held

    def _holds(self, number: PhoneNumber) -> bool:
        """Whether LiveKit has a trunk of this object with this very number: an old mark of it claims nothing."""
        if not self._ports.inventory.loaded:
            return bool(number.recorded.outbound or number.recorded.inbound)
        return any(number.phone_number in map(normalised, trunk.numbers) for trunk in self._ports.owned(number).trunks)

    def _adoptable(self, number: PhoneNumber) -> Owned:
        """What the user asks to take over, if this installation allows it at all."""
        asked = number.wishes.adopt
        if not asked or not self._ports.installation.adoption_allowed:
            return Owned()
        return adoptable(
            number.phone_number, asked, self._ports.inventory.by_id, lambda owner: self._free(number, owner)
        )

    def _free(self, number: PhoneNumber, owner: Owner) -> bool:
        """Whether the owner in a mark was one of ours in this namespace, and its object is gone."""
        ours = owner.installation in self._ports.installation.ids and owner.namespace == number.key.namespace
        return ours and self._ports.cache.get(Key(owner.namespace, owner.name)) is None

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
