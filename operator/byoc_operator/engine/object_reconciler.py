"""Brings one object to its desired state, deletion included."""

from dataclasses import replace

from ..api.resource import PhoneNumber
from ..core.assessment import Assessment
from ..core.plan import needs_credentials
from ..core.run_outcome import Again, BackOff, Done, RunOutcome, first_open, outcome_of
from ..errors import Failure, Waiting
from .adoption_lookups import AdoptionLookups
from .apply import Applied, Applier
from .contradictions import Contradictions
from .deletion import Deletions
from .gather import Gatherer
from .object_run import ObjectRun
from .ports import ObjectPorts
from .repairs import is_claimed_by_another, is_repair, secret_is_newer
from .report import Reporter, WriteRefused

SECRET_RETRY_S = 30.0
"""The longest pause between two reads of a Secret that is missing or unusable and that no watch reports."""


class ObjectReconciler:
    """Reconciles one object at a time."""

    def __init__(self, ports: ObjectPorts, gatherer: Gatherer, reporter: Reporter, deletions: Deletions) -> None:
        self._ports = ports
        self._gatherer = gatherer
        self._reporter = reporter
        self._deletions = deletions
        self._applier = Applier(ports.inventory, ports.metrics)
        self._lookups = AdoptionLookups(ports.cache, ports.inventory, ports.clock)
        self._contradictions = Contradictions(ports.cache)

    async def bring_in_step(self, run: ObjectRun) -> RunOutcome:
        """Gather, assess, apply, report; returns when the object is due again.

        Raises `OperatorError` if a step fails, and `ObjectChanged` if the object changed meanwhile.
        """
        looked_up = await self._look_up_adopted(run)
        assessment = await self._assess(run)
        await self._deletions.remember_left(run.number)
        run = await self._hold(run, assessment)
        applied = await self._apply(run, assessment)
        if run.number.deleting:
            return await self._deletions.end(run, assessment, applied)
        await self._report(run, assessment, applied)
        return first_open(applied.outcome, self._look_at_secrets(run.number, assessment), self._late(run), looked_up)

    async def _look_up_adopted(self, run: ObjectRun) -> RunOutcome:
        """Take a new snapshot if the object asks to adopt IDs that the present snapshot does not have."""
        number, installation = run.number, self._ports.installation
        if number.deleting or run.claimed or not run.reached:
            return Done()
        pause_s = self._lookups.due(number) if installation.adoption_allowed else None
        if pause_s:
            return Again(pause_s)
        try:
            await self._ports.inventory.ensure(float("-inf") if pause_s is None else self._ports.clock())
        except Failure as exc:
            return outcome_of(exc)
        return Done()

    async def _assess(self, run: ObjectRun) -> Assessment:
        """Gather what is known of the object and assess it. The Secrets are read if a change needs credentials."""
        situation = await self._gatherer.gather(run.number, run.claimed)
        assessment = self._gatherer.assess(situation)
        if run.reached and needs_credentials(assessment.changes):
            assessment = await self._gatherer.with_texts(situation, assessment)
        if not self._ports.inventory.loaded:
            return replace(assessment, changes=())  # without a snapshot the plan means nothing
        return assessment

    async def _hold(self, run: ObjectRun, assessment: Assessment) -> ObjectRun:
        """Put our finalizer on the object before the first change in LiveKit."""
        if not assessment.needs_finalizer or not run.reached:
            return run
        try:
            return replace(run, number=await self._reporter.hold(run.number))
        except WriteRefused as exc:
            await self._reporter.report(run.number, assessment, Applied(failures=(exc,)), seen=True)
            raise

    async def _apply(self, run: ObjectRun, assessment: Assessment) -> Applied:
        """Apply the changes and log them. During an outage: the outage as a failure, if the object needs LiveKit."""
        if run.outage is not None:
            return Applied(failures=(run.outage,)) if _needs_livekit(run.number, assessment) else Applied()
        number = run.number
        applied = await self._applier.apply(assessment.changes, self._ports.belongings.owners(number)[0])
        applied = replace(applied, failures=self._contradictions.judged(number, applied.failures))
        self._reporter.tell_changes(number, applied, expected=not is_repair(number, assessment, applied))
        return applied

    async def _report(self, run: ObjectRun, assessment: Assessment, applied: Applied) -> None:
        """Write the status, unless the next try comes soon, or LiveKit is down and the object stays Ready."""
        if isinstance(applied.failure, Waiting) or (run.outage and _stays_ready(run.number, assessment)):
            return
        await self._reporter.report(run.number, assessment, applied, seen=run.reached)

    def _look_at_secrets(self, number: PhoneNumber, assessment: Assessment) -> RunOutcome:
        """When to read the Secrets again: with a back-off if one is unusable and no watch reports its changes."""
        usable = assessment.credentials.verdict is None
        return Done() if usable or self._gatherer.is_told_of_secrets(number) else BackOff(SECRET_RETRY_S)

    def _late(self, run: ObjectRun) -> RunOutcome:
        late = self._deletions.late_create(run.number)
        return Done() if late is None else outcome_of(late)


def _needs_livekit(number: PhoneNumber, assessment: Assessment) -> bool:
    """Whether the object needs LiveKit.

    The deletion of an Observe object does not, nor does a claimant without LiveKit objects of its own.
    """
    leaves = number.deleting and number.observes
    return not leaves and (bool(assessment.changes) or not is_claimed_by_another(assessment))


def _stays_ready(number: PhoneNumber, assessment: Assessment) -> bool:
    """Whether the status stays as it is during a LiveKit outage: Ready numbers stay Ready, as nothing has changed."""
    if not number.was_in_step or number.refresh_due or number.recreate_due:
        return False
    return assessment.verdict is None and not secret_is_newer(number, assessment)
