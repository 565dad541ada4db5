"""One function brings one number to its desired state, deletion included."""

from dataclasses import replace

from ..api.conditions import Reason, Verdict
from ..api.recorded_status import RecordedIds
from ..api.resource import Key, PhoneNumber
from ..api.schema import DeletionPolicy
from ..cluster.api import ApiRefused
from ..core.assessment import Assessment, held_by_others
from ..core.claims import Tenure
from ..core.credentials import Credentials
from ..core.ownership import Owner
from ..core.plan import needs_credentials
from ..core.status import Outcome
from ..errors import Conflict, Gone, NotLeading, OperatorError, Parked, Stalled, Unavailable, Waiting
from .apply import Applied, Applier
from .breath import unhurried
from .claims import Claims
from .gather import Gatherer, Moved
from .lookups import Lookups
from .per_object import PerObject
from .ports import Ports
from .repairs import is_anothers, is_repair, secret_is_newer
from .report import Refused, Reporter
from .told import Told

SECRET_RETRY_S = 30.0
"""The longest pause between two looks at a Secret that is missing or unusable and would not tell when it changes."""

OTHERS_S = 1.0
"""How long a run goes on with those who have not the number: their objects may be such that each write takes seconds,
and the holder's next change waits for the end of the run."""

SOON_S = 0.2
"""The pause before a contradiction (not found, conflict) is looked at again, with a new snapshot."""


class Reconciler:
    """Runs phone numbers, one run per number at a time (the queue sees to that)."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.claims = Claims(ports)
        self._gatherer = Gatherer(ports)
        self._applier = Applier(ports.inventory, ports.metrics)
        self._reporter = Reporter(ports)
        self._lookups = Lookups(ports.cache, ports.inventory, ports.clock)
        self._told = Told(ports.cache)
        self._contradicted: PerObject[bool] = ports.cache.per_object()

    async def reconcile(self, phone: str) -> None:
        """Bring every object that names this phone number to its desired state, its holder first.

        Returns when nothing is left to do by itself: all is in step, or a person or the next sweep has to come first.
        Raises `Waiting` (look again after a delay) or `Unavailable` (back off).
        """
        unreachable = await self._picture(phone)
        failures: list[OperatorError] = []
        try:
            tenure = await self.claims.confirmed(phone)
            if tenure.holder is not None:
                failures += await self._guarded(tenure.holder, None, unreachable)
            failures += await self._others(phone, tenure, unreachable)
        except Moved:
            failures.append(Waiting(Reason.RETRYING, "An object changed while it was judged.", delay_s=0.0))
        _come_back(failures)

    async def _others(self, phone: str, tenure: Tenure, unreachable: OperatorError | None) -> list[OperatorError]:
        """Judge the objects that do not hold the number: a few in a run and not for long: none delays the holder."""
        reached = unreachable is None
        due = await self._told.due(phone, tenure, self._leaves, reached=reached)
        failures: list[OperatorError] = []
        until_s, more = self._ports.clock() + OTHERS_S, due.more
        async for number in unhurried(due.now):
            if self._ports.clock() > until_s:
                more = True
                break
            failed = await self._guarded(number, tenure, unreachable)
            if failed:
                self._told.failed(number.key)
            else:
                self._told.tell(number.key, tenure, reached=reached)
            failures += failed
        if more and not failures:  # else objects that fail for ever would be tried without a pause
            failures.append(Waiting(Reason.PENDING, "More objects are to be told who has the number.", delay_s=SOON_S))
        if due.waits and not tenure.blind:
            left_s = max(0.0, tenure.until_s - self._ports.clock())
            failures.append(Waiting(Reason.NUMBER_CLAIMED, "The number is reserved for a while.", delay_s=left_s))
        return failures

    def _leaves(self, number: PhoneNumber) -> bool:
        """Whether a deletion needs us; one that something else holds up does not, once its status says so."""
        if number.has_finalizer:
            return True
        named = number.status.ids != RecordedIds()
        marked = self._ports.inventory.snapshot.has_mark_of(self._ports.owners(number))
        if (named or marked) and self._ports.owned(number):
            return True
        return number.others_hold and (named or number.status.ready.reason != Reason.DELETING)

    async def _guarded(
        self, number: PhoneNumber, tenure: Tenure | None, unreachable: OperatorError | None
    ) -> list[OperatorError]:
        """Run one object as it is by now; the API server's faults are part of the result. Raises `Moved`.

        `tenure`: who has the number instead, None: this object.
        """
        now = self._ports.cache.get(number.key)
        if now is None or now.phone_number != number.phone_number:
            return []
        claimed = None if tenure is None else tenure.verdict(now)
        try:
            failure = await self._bring(now, claimed, unreachable)
        except OperatorError as exc:
            return [exc]
        if not isinstance(failure, Refused):
            self._reporter.through(now)
        return [failure] if failure else []

    async def _bring(
        self, number: PhoneNumber, claimed: Verdict | None, unreachable: OperatorError | None
    ) -> OperatorError | None:
        """Gather, desired, observe, plan, apply, report. What says when to come back, None if nothing does."""
        looked_up = None if number.deleting or claimed or unreachable else await self._looked_up(number)
        situation = await self._gatherer.gather(number, claimed)
        assessment = self._gatherer.assess(situation)
        if unreachable is None and needs_credentials(assessment.changes):
            assessment = await self._gatherer.with_texts(situation, assessment)
        if not self._ports.inventory.loaded:
            assessment = replace(assessment, changes=())  # planned against nothing
        await self._remember_left(number)
        if assessment.needs_finalizer and unreachable is None:
            try:
                number = await self._reporter.hold(number)
            except Refused as exc:
                await self._reporter.report(number, assessment, Applied(failure=exc), seen=True)
                return exc
        changes = assessment.changes if unreachable is None else ()
        applied = await self._applier.apply(changes, self._ports.owners(number)[0])
        if isinstance(applied.failure, NotLeading):
            return applied.failure
        applied = self._judged(number, applied, _in_the_way(number, assessment, unreachable))
        await self._reporter.tell_changes(number, applied, expected=not is_repair(number, assessment, applied))
        if number.deleting:
            return await self._part(number, assessment, applied, unreachable)
        if not isinstance(applied.failure, Waiting) and not (unreachable and _nothing_asked(number, assessment)):
            await self._reporter.report(number, assessment, applied, seen=unreachable is None)
        return applied.retry or applied.failure or self._back_for(number, assessment) or looked_up

    async def _part(
        self, number: PhoneNumber, assessment: Assessment, applied: Applied, unreachable: OperatorError | None
    ) -> OperatorError | None:
        """The end of a deletion: let go once nothing of ours is left, or once the user says that it may stay."""
        failure = applied.failure or (None if number.observes else self._late(number))
        if failure is not None and not number.wishes.force_orphan:
            await self._reporter.report(number, assessment, replace(applied, failure=failure), seen=unreachable is None)
            return applied.retry or failure
        if failure is not None:
            await self._reporter.orphan(number)
            if number.deletion_policy is DeletionPolicy.RETAIN and not assessment.retain_refused:
                await self._ports.left_alone.keep(self._left_by(number))  # its marks may not say so
        elif owned := self._ports.owned(number):
            self._reporter.tell_left(number, owned)
        if assessment.retain_refused and applied.done:
            await self._reporter.tell_not_retained(number)
        untold = await self._tell_departed(number, assessment, applied, seen=unreachable is None)
        try:
            await self._reporter.let_go(number)
        except Refused as exc:
            kept = Applied(failure=replace(exc, reason=Reason.DELETING))
            number = self._ports.cache.get(number.key) or number  # with the status that was written a moment ago
            await self._reporter.report(number, assessment, kept, seen=unreachable is None)
            return exc
        return untold

    async def _tell_departed(
        self, number: PhoneNumber, assessment: Assessment, applied: Applied, *, seen: bool
    ) -> OperatorError | None:
        """Have the status say that nothing is to be had of a number that others keep; an object that goes needs none.

        Before our finalizer goes, as who reads the status must not find dead IDs meanwhile. A status that is refused
        does not hold the deletion: it is what comes back.
        """
        if not number.others_hold:
            return None
        gone = held_by_others(assessment, self._ports.owned(number) if seen else None)
        try:
            await self._reporter.report(number, gone, replace(applied, failure=None), seen=seen)
        except Unavailable as exc:
            return exc
        return None

    async def _remember_left(self, number: PhoneNumber) -> None:
        """What an observing number has our mark on is left alone from now on, and when the number is gone."""
        if not number.observes:
            return
        try:
            await self._ports.left_alone.keep(self._left_by(number))
        except Unavailable:
            if number.deleting:  # later nobody could know
                raise

    def _left_by(self, number: PhoneNumber) -> tuple[str, ...]:
        """What stays in LiveKit when this number goes; where LiveKit was never listed, what its status names."""
        if self._ports.inventory.loaded:
            return self._ports.owned(number).marked.ids
        return number.status.ids.all

    def in_step(self, phone: str) -> bool:
        """Whether a run would find nothing to do, as far as is known; what a sweep asks of every phone number.

        Where several objects name it, whether the holder still exists is asked at each sweep.
        """
        if self._ports.cache.rivals(phone) > 1:
            return False
        tenure = self.claims.at_once(phone)
        numbers = self._ports.cache.claiming(phone)
        return not any(map(tenure.waits, numbers)) and all(self._is_in_step(each, tenure) for each in numbers)

    async def tidy(self) -> None:
        """Forget what is remembered of numbers that no object names any more."""
        await self.claims.tidy()

    def _is_in_step(self, number: PhoneNumber, tenure: Tenure) -> bool:
        assessment = self._gatherer.assess(self._gatherer.remembered(number, tenure.verdict(number)))
        if number.deleting:
            if number.has_finalizer or assessment.changes or not number.others_hold:
                return not number.has_finalizer and not assessment.changes
            assessment = held_by_others(assessment, self._ports.owned(number))
        if assessment.changes or assessment.needs_finalizer:
            return False
        wanted = self._reporter.wanted(number, assessment, Outcome(self._ports.owned(number)))
        return self._reporter.reads(number, wanted)

    async def _picture(self, phone: str) -> OperatorError | None:
        """Have a picture of LiveKit, or what went wrong. Lost creates are looked for once their time is over."""
        inventory = self._ports.inventory
        due = inventory.unsettled([owner for owner in inventory.late_owners() if self._names(owner, phone)])
        try:
            await inventory.ensure(due if 0 < due <= self._ports.clock() else float("-inf"))
        except OperatorError as exc:
            return exc
        return None

    def _names(self, owner: Owner, phone: str) -> bool:
        number = self._ports.cache.get(Key(owner.namespace, owner.name))
        return number is not None and number.phone_number == phone

    async def _looked_up(self, number: PhoneNumber) -> OperatorError | None:
        """Look for what a user asks to adopt and our picture lacks: it may have been made since."""
        pause_s = self._lookups.due(number) if self._ports.installation.adoption_allowed else None
        if pause_s:
            return Waiting(Reason.PENDING, "A new look at LiveKit is due soon.", delay_s=pause_s)
        try:
            await self._ports.inventory.ensure(float("-inf") if pause_s is None else self._ports.clock())
        except OperatorError as exc:
            return exc
        return None

    def _late(self, number: PhoneNumber) -> Waiting | None:
        """A create of this number that got no answer may still be applied: come back when that is over."""
        until = self._ports.inventory.unsettled(self._ports.owners(number))
        if not until:
            return None
        message = "A create without an answer may still be applied by LiveKit."
        return Waiting(Reason.DELETING, message, delay_s=max(0.0, until - self._ports.clock()))

    def _judged(self, number: PhoneNumber, applied: Applied, in_the_way: OperatorError | None) -> Applied:
        """A contradiction is looked at again at once; the second in a row is LiveKit's last word for now."""
        if in_the_way is not None:
            return replace(applied, failure=in_the_way, retry=in_the_way)
        if not isinstance(applied.retry, Conflict | Gone):
            self._contradicted.drop(number)
            return applied
        if number not in self._contradicted:
            self._contradicted.put(number, True)
            soon = replace(applied.retry, delay_s=SOON_S)
            return replace(applied, retry=soon, failure=soon if applied.failure is applied.retry else applied.failure)
        word: OperatorError = Unavailable(Reason.LIVEKIT_UNAVAILABLE, applied.retry.message)
        if isinstance(applied.retry, Conflict):
            word = Stalled(Reason.REJECTED_BY_LIVEKIT, applied.retry.message)
        return replace(applied, retry=word, failure=word if applied.failure is applied.retry else applied.failure)

    def _back_for(self, number: PhoneNumber, assessment: Assessment) -> OperatorError | None:
        """What may come by itself, although this run has done all it could."""
        return self._secret_to_watch(number, assessment) or self._late(number)

    def _secret_to_watch(self, number: PhoneNumber, assessment: Assessment) -> OperatorError | None:
        """A Secret that stands in the way and tells nothing when it changes is looked at again and again."""
        verdict = assessment.credentials
        if verdict is None or isinstance(verdict, Credentials) or self._gatherer.is_told_of_secret(number):
            return None
        return Unavailable(verdict.reason, verdict.message, longest_s=SECRET_RETRY_S)


def _in_the_way(number: PhoneNumber, assessment: Assessment, unreachable: OperatorError | None) -> OperatorError | None:
    """A fault of LiveKit matters only to who wants something of it: not to an observer that leaves, say."""
    leaves = number.deleting and number.observes
    return None if leaves or (is_anothers(assessment) and not assessment.changes) else unreachable


def _nothing_asked(number: PhoneNumber, assessment: Assessment) -> bool:
    """Whether the last status says all there is to say: an outage of LiveKit is no news about such a number."""
    if not number.was_in_step or number.refresh_due or number.recreate_due:
        return False
    return assessment.verdict is None and not secret_is_newer(number, assessment)


def _come_back(failures: list[OperatorError]) -> None:
    """Raise the failure that brings us back first; what only a person or a sweep can change brings nobody back."""
    parked = [failure for failure in failures if isinstance(failure, Parked)]
    if parked:
        raise parked[0]
    waiting = [failure for failure in failures if isinstance(failure, Waiting)]
    if waiting:
        raise min(waiting, key=lambda failure: failure.delay_s)
    unavailable = [failure for failure in failures if isinstance(failure, Unavailable)]
    if unavailable:
        raise min(unavailable, key=lambda failure: failure.longest_s)
    refused = [failure for failure in failures if isinstance(failure, ApiRefused)]
    if refused:
        raise Unavailable(refused[0].reason, refused[0].message)
