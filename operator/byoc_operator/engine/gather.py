"""What is known of a number: LiveKit from the inventory, its Secret, who else names the phone number."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..cluster.api import ApiRefused
from ..cluster.events import Events
from ..cluster.numbers import NumberApi
from ..cluster.secrets import Secrets
from ..core.assessment import Assessment, Claimant, Situation, assess, claimed_by, holder
from ..core.conditions import Reason, Verdict
from ..core.credentials import Credentials, SecretFacts, SecretUse, resolve
from ..core.desired import Installation
from ..core.ownership import Owned, Owner
from ..core.resource import PhoneNumber
from ..core.trunk import Mask
from ..livekit_sip.inventory import Inventory
from ..telemetry.metrics import Metrics
from .cache import Cache


@dataclass(frozen=True, slots=True)
class Ports:
    """What the engine works with. `clock`: monotonic seconds; `wall`: epoch seconds."""

    cache: Cache
    inventory: Inventory
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


class Gatherer:
    """Puts together the `Situation` that the core judges."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def assess(self, situation: Situation) -> Assessment:
        """Judge it, at this moment."""
        return assess(situation, self._ports.installation, self._ports.mask, self._ports.wall())

    def remembered(self, number: PhoneNumber) -> Situation:
        """What is known without asking anybody."""
        ports = self._ports
        owned = ports.owned(number)
        ours = {trunk.id for trunk in owned.inbound}
        return Situation(
            number=number,
            owned=owned,
            foreign_inbound=tuple(sorted(ports.inventory.inbound_with(number.phone_number) - ours)),
            foreign_wildcards=ports.inventory.wildcard_rules,
            credentials=self._resolved(number, self._facts(number)),
            claimed=claimed_by(self._holder(number.phone_number), number),
        )

    async def gather(self, number: PhoneNumber) -> Situation:
        """What is known, after asking for what must not be believed from memory."""
        situation = self.remembered(number)
        if situation.claimed and await self._holder_vanished(number.phone_number):
            situation = self.remembered(number)
        if number.deleting or number.wishes.paused or number.spec is None:
            return situation
        return await self._with_facts(situation)

    async def opened(self, situation: Situation) -> Situation:
        """The same with the credentials' texts, out of the Secret as it is now."""
        use = self._use(situation.number)
        if use is None:
            return situation
        return replace(situation, credentials=await self._fetched(situation.number, use))

    async def _with_facts(self, situation: Situation) -> Situation:
        """Ask for the Secret where nothing, or nothing usable, is remembered of one that does not tell by itself."""
        use = self._use(situation.number)
        facts = self._facts(situation.number)
        told = facts is not None and (facts.watched or isinstance(situation.credentials, Credentials))
        if use is None or told:
            return situation
        return replace(situation, credentials=await self._fetched(situation.number, use))

    async def _fetched(self, number: PhoneNumber, use: SecretUse) -> Credentials | Verdict | None:
        try:
            facts = await self._ports.secrets.fetch(use.namespace, use.name)
        except ApiRefused as exc:
            where = f"Secret {use.namespace}/{use.name}"
            return Verdict(Reason.SECRET_NOT_FOUND, f"The operator may not read {where} (HTTP {exc.status}).")
        return self._resolved(number, facts)

    async def _holder_vanished(self, phone: str) -> bool:
        """The watch tells nothing of what vanished while a watch was broken: ask before believing in a holder."""
        ports = self._ports
        held = self._holder(phone)
        if held is None:
            return False
        raw = await ports.numbers.get(held.key)
        if raw is None or raw["metadata"]["uid"] != held.uid:
            ports.cache.gone(held.key, held.uid)
        if raw is not None:
            ports.cache.seen(raw)
        return ports.cache.get(held.key) is not held

    def _holder(self, phone: str) -> PhoneNumber | None:
        claimants = self._ports.cache.claimants(phone)
        if len(claimants) == 1:
            return None  # nobody to be told of a holder
        return holder([Claimant(each, bool(self._ports.owned(each))) for each in claimants], self._ports.installation)

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
        return resolve(use, facts, labelled_only=self._ports.installation.labelled_secrets_only)
