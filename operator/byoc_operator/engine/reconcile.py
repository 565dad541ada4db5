"""One run: brings every object that names a phone number to its desired state, deletion included."""

from ..api.resource import Key, PhoneNumber
from ..core.assessment import held_by_others
from ..core.claims import Allocation
from ..core.ownership import Owner
from ..core.run_outcome import Again, Done, RunOutcome, outcome_of, soonest, with_livekit
from ..core.status import Outcome
from ..errors import Failure, OperatorError
from .claimants import Claimants
from .claims import Claims
from .contradictions import SOON_S
from .deletion import Deletions
from .gather import Gatherer, ObjectChanged
from .in_steps import in_steps
from .object_reconciler import ObjectReconciler
from .object_run import ObjectRun
from .ports import RunPorts
from .report import Reporter

OTHERS_S = 1.0
"""For how many seconds one run reconciles claimants.

A write to the object of a claimant may take seconds, and the next change of the holder waits for the end of the run.
"""


class Reconciler:
    """Reconciles phone numbers. The queue ensures that a number has one run at a time."""

    def __init__(self, ports: RunPorts) -> None:
        self._ports = ports
        self.claims = Claims(ports)
        self._gatherer = Gatherer(ports, self.claims.refused_aliases)
        self._reporter = Reporter(ports)
        self._deletions = Deletions(ports, self._reporter)
        self._objects = ObjectReconciler(ports, self._gatherer, self._reporter, self._deletions)
        self._claimants = Claimants(ports.cache, self._deletions.needs_run)

    async def reconcile(self, phone: str) -> RunOutcome:
        """Bring every object that names this phone number to its desired state, its holder first."""
        outage = await self._outage(phone)
        outcomes: list[RunOutcome] = []
        try:
            allocation = await self.claims.confirmed(phone)
            if allocation.holder is not None and allocation.holder.phone_number == phone:
                outcomes.append(await self._one(allocation.holder, None, outage))
            outcomes += await self._others(phone, allocation, outage)
        except ObjectChanged:
            outcomes.append(Again(0.0))
        except OperatorError as exc:
            outcomes.append(outcome_of(exc))
        trouble = self._ports.guard.trouble
        return with_livekit(soonest(outcomes), None if trouble is None else trouble.reason)

    async def _outage(self, phone: str) -> Failure | None:
        """Ensure that there is a snapshot; returns why there is none, else None.

        A create request that timed out may be applied late. A new snapshot is taken when that time is over.
        """
        inventory = self._ports.inventory
        due = inventory.unsettled([owner for owner in inventory.late_owners() if self._names(owner, phone)])
        try:
            await inventory.ensure(due if 0 < due <= self._ports.clock() else float("-inf"))
        except Failure as exc:
            return exc
        return None

    def _names(self, owner: Owner, phone: str) -> bool:
        number = self._ports.cache.get(Key(owner.namespace, owner.name))
        return number is not None and number.phone_number == phone

    async def _others(self, phone: str, allocation: Allocation, outage: Failure | None) -> list[RunOutcome]:
        """Reconcile a few claimants, for `OTHERS_S` at most, so that the next run of the holder does not wait long."""
        reached = outage is None
        due = await self._claimants.due(phone, allocation, reached=reached)
        outcomes: list[RunOutcome] = []
        until_s, more = self._ports.clock() + OTHERS_S, due.more
        async for number in in_steps(due.now):
            if self._ports.clock() > until_s:
                more = True
                break
            outcome = await self._one(number, allocation, outage)
            self._claimants.note(number.key, allocation, reached=reached, done=outcome == Done())
            outcomes.append(outcome)
        if more and all(outcome == Done() for outcome in outcomes):  # if one failed, its back-off counts
            outcomes.append(Again(SOON_S))
        if due.waits and not allocation.blind:
            outcomes.append(Again(max(0.0, allocation.until_s - self._ports.clock())))
        return outcomes

    async def _one(self, number: PhoneNumber, allocation: Allocation | None, outage: Failure | None) -> RunOutcome:
        """Reconcile the current version of one object. Raises `ObjectChanged`.

        `allocation`: None if this object holds the number.
        """
        now = self._ports.cache.get(number.key)
        if now is None or now.phone_number != number.phone_number:
            return Done()
        claimed = None if allocation is None else allocation.verdict(now)
        try:
            outcome = await self._objects.bring_in_step(ObjectRun(now, claimed, outage))
        except OperatorError as exc:
            return outcome_of(exc)
        self._reporter.written(now)
        wait_s = self.claims.alias_wait_s(now) if claimed is None else None
        return outcome if wait_s is None else soonest([outcome, Again(wait_s)])

    def in_step(self, phone: str) -> bool:
        """Whether a run would change nothing, as far as the cache and the snapshot tell; each sweep asks this.

        False if several objects name the number: a run then confirms that the holder exists.
        """
        if self._ports.cache.count_naming(phone) > 1:
            return False
        allocation = self.claims.at_once(phone)
        numbers = self._ports.cache.naming(phone)
        return not any(map(allocation.waits, numbers)) and all(self._is_in_step(each, allocation) for each in numbers)

    async def tidy(self) -> None:
        """Forget the past of numbers that no object names any more."""
        await self.claims.tidy()

    def _is_in_step(self, number: PhoneNumber, allocation: Allocation) -> bool:
        assessment = self._gatherer.assess(self._gatherer.remembered(number, allocation.verdict(number)))
        if number.deleting:
            if number.has_finalizer or assessment.changes or not number.others_hold:
                return not number.has_finalizer and not assessment.changes
            assessment = held_by_others(assessment, self._ports.belongings.owned(number))
        if assessment.changes or assessment.needs_finalizer:
            return False
        wanted = self._reporter.wanted(number, assessment, Outcome(self._ports.belongings.owned(number)))
        return self._reporter.reads(number, wanted)
