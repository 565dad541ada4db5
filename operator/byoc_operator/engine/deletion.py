"""The end of a deletion: the operator removes its finalizer.

That happens when LiveKit has nothing of the object any more, or when the user allows that LiveKit objects stay.
"""

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
from .ports import DeletionPorts
from .report import Reporter, WriteRefused


class Deletions:
    """Ends deletions, and remembers the LiveKit objects that stay on purpose."""

    def __init__(self, ports: DeletionPorts, reporter: Reporter) -> None:
        self._ports = ports
        self._reporter = reporter

    def needs_run(self, number: PhoneNumber) -> bool:
        """Whether an object in deletion needs a run.

        It needs none if only other finalizers hold the object and its status says so already.
        """
        if number.has_finalizer:
            return True
        named = number.status.ids != RecordedIds()
        marked = self._ports.inventory.snapshot.has_mark_of(self._ports.belongings.owners(number))
        if (named or marked) and self._ports.belongings.owned(number):
            return True
        return number.others_hold and (named or number.status.ready.reason != Reason.DELETING)

    def late_create(self, number: PhoneNumber) -> Waiting | None:
        """Why a deletion has to wait after a create request of this number that timed out; None: it need not wait.

        LiveKit may still carry the request out. Deletion therefore waits up to a minute, so that no trunk is left
        behind.
        """
        until = self._ports.inventory.unsettled(self._ports.belongings.owners(number))
        if not until:
            return None
        message = "A create without an answer may still be applied by LiveKit."
        return Waiting(Reason.DELETING, message, delay_s=max(0.0, until - self._ports.clock()))

    async def remember_left(self, number: PhoneNumber) -> None:
        """Record the LiveKit objects of an Observe object: they stay in LiveKit after the object is deleted."""
        if not number.observes:
            return
        try:
            await self._ports.retained.keep(self._left_by(number))
        except Unavailable:
            if number.deleting:  # later, no record would show that the LiveKit objects stay on purpose
                raise

    async def end(self, run: ObjectRun, assessment: Assessment, applied: Applied) -> RunOutcome:
        """Remove the finalizer, or write into the status what prevents it. Raises `Unavailable` if a write fails."""
        applied = self._with_late_create(run.number, applied)
        if applied.failures and not run.number.requested.force_orphan:
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
            self._reporter.orphan(number)
            if number.deletion_policy is DeletionPolicy.RETAIN and not assessment.retain_refused:
                await self._ports.retained.keep(self._left_by(number))  # Retain may not be in the marks yet
        elif owned := self._ports.belongings.owned(number):
            self._reporter.tell_left(number, owned)
        if assessment.retain_refused and applied.done:
            self._reporter.tell_not_retained(number)

    async def _tell_departed(self, run: ObjectRun, assessment: Assessment, applied: Applied) -> None:
        """If other finalizers keep the object, write into its status that LiveKit has nothing of the number any more.

        This happens before the operator removes its finalizer, so that the status never shows IDs of deleted objects.
        """
        if not run.number.others_hold:
            return
        gone = held_by_others(assessment, self._ports.belongings.owned(run.number) if run.reached else None)
        await self._reporter.report(run.number, gone, replace(applied, failures=()), seen=run.reached)

    async def _let_go(self, run: ObjectRun, assessment: Assessment) -> None:
        try:
            await self._reporter.let_go(run.number)
        except WriteRefused as exc:
            kept = Applied(failures=(replace(exc, reason=Reason.DELETING),))
            number = self._ports.cache.get(run.number.key) or run.number  # with the status just written
            await self._reporter.report(number, assessment, kept, seen=run.reached)
            raise

    def _left_by(self, number: PhoneNumber) -> tuple[str, ...]:
        """IDs of the LiveKit objects that stay when the object goes; before the first snapshot, those in its status."""
        if self._ports.inventory.loaded:
            return self._ports.belongings.owned(number).marked.ids
        return number.status.ids.all
