"""The end of a deletion: our finalizer goes once nothing of the object is left, or once the user says it may stay."""

from dataclasses import replace

from ..api.conditions import Reason
from ..api.recorded_status import RecordedIds
from ..api.resource import PhoneNumber
from ..api.schema import DeletionPolicy
from ..core.assessment import Assessment, held_by_others
from ..core.run_outcome import Done, RunOutcome
from ..errors import Unavailable, Waiting
from .apply import Applied
from .object_run import ObjectRun
from .ports import Ports
from .report import Reporter, WriteRefused


class Deletions:
    """Ends deletions, and remembers what an object leaves in LiveKit on purpose."""

    def __init__(self, ports: Ports, reporter: Reporter) -> None:
        self._ports = ports
        self._reporter = reporter

    def needs_run(self, number: PhoneNumber) -> bool:
        """Whether a deletion needs a run. One that only other finalizers hold up needs none once its status says so."""
        if number.has_finalizer:
            return True
        named = number.status.ids != RecordedIds()
        marked = self._ports.inventory.snapshot.has_mark_of(self._ports.owners(number))
        if (named or marked) and self._ports.owned(number):
            return True
        return number.others_hold and (named or number.status.ready.reason != Reason.DELETING)

    def late_create(self, number: PhoneNumber) -> Waiting | None:
        """A create of this number that got no answer may still be applied: look again when that time is over."""
        until = self._ports.inventory.unsettled(self._ports.owners(number))
        if not until:
            return None
        message = "A create without an answer may still be applied by LiveKit."
        return Waiting(Reason.DELETING, message, delay_s=max(0.0, until - self._ports.clock()))

    async def remember_left(self, number: PhoneNumber) -> None:
        """What carries the mark of an observing object stays in LiveKit, from now on and when the object is gone."""
        if not number.observes:
            return
        try:
            await self._ports.left_alone.keep(self._left_by(number))
        except Unavailable:
            if number.deleting:  # nobody could know it later
                raise

    async def end(self, run: ObjectRun, assessment: Assessment, applied: Applied) -> RunOutcome:
        """Let the object go, or say what keeps it. Raises `Unavailable` if that cannot be written."""
        applied = self._with_late_create(run.number, applied)
        if applied.failures and not run.number.wishes.force_orphan:
            await self._reporter.report(run.number, assessment, applied, seen=run.reached)
            return applied.outcome
        await self._tell_what_stays(run.number, assessment, applied)
        try:
            await self._tell_departed(run, assessment, applied)
        except Unavailable:  # a status that cannot be written does not hold up the deletion
            await self._let_go(run, assessment)
            raise
        await self._let_go(run, assessment)
        return Done()

    def _with_late_create(self, number: PhoneNumber, applied: Applied) -> Applied:
        late = None if applied.failures or number.observes else self.late_create(number)
        return applied if late is None else replace(applied, failures=(late,))

    async def _tell_what_stays(self, number: PhoneNumber, assessment: Assessment, applied: Applied) -> None:
        if applied.failures:
            await self._reporter.orphan(number)
            if number.deletion_policy is DeletionPolicy.RETAIN and not assessment.retain_refused:
                await self._ports.left_alone.keep(self._left_by(number))  # the marks may not say so
        elif owned := self._ports.owned(number):
            self._reporter.tell_left(number, owned)
        if assessment.retain_refused and applied.done:
            await self._reporter.tell_not_retained(number)

    async def _tell_departed(self, run: ObjectRun, assessment: Assessment, applied: Applied) -> None:
        """Where other finalizers keep the object, have its status say that nothing of the number is left.

        This comes before our finalizer goes: nobody must read IDs of deleted objects in the status meanwhile.
        """
        if not run.number.others_hold:
            return
        gone = held_by_others(assessment, self._ports.owned(run.number) if run.reached else None)
        await self._reporter.report(run.number, gone, replace(applied, failures=()), seen=run.reached)

    async def _let_go(self, run: ObjectRun, assessment: Assessment) -> None:
        try:
            await self._reporter.let_go(run.number)
        except WriteRefused as exc:
            kept = Applied(failures=(replace(exc, reason=Reason.DELETING),))
            number = self._ports.cache.get(run.number.key) or run.number  # its status was written a moment ago
            await self._reporter.report(number, assessment, kept, seen=run.reached)
            raise

    def _left_by(self, number: PhoneNumber) -> tuple[str, ...]:
        """What stays in LiveKit when the object goes. Before the first snapshot: what its status names."""
        if self._ports.inventory.loaded:
            return self._ports.owned(number).marked.ids
        return number.status.ids.all
