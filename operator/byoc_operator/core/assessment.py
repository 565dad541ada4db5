"""The judgement of one number: what stands in its way, what is to be done, what is worth saying.

Used by the reconcile (to act), by the sweep (to see who needs a run) and by Observe (to say what would change).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.recorded_status import Finding, LeftBehind
from ..api.resource import PhoneNumber
from ..api.schema import PhoneNumberSpec
from . import checks
from .checks import Case, case_of
from .claims import NAMED
from .conflict import is_twin
from .credentials import Credentials
from .desired import Desired, Installation
from .findings import Evidence, findings, left_behind
from .foreign_rules import Intrusion, intrusion
from .ownership import Owned, owner_of
from .plan import Change, Create, Terms, paths, plan, recreation, retention, teardown, verbs
from .situation import Situation
from .trunk import Mask, kind_of


@dataclass(frozen=True, slots=True)
class Assessment:
    """What follows from a situation.

    `changes`: to be applied now, in order. `pending`: paths that would change, were we allowed to write.
    `verdict`: the first thing in the way, None if nothing is. `needs_finalizer`: it must be there before any change.
    `lets_go`: the number is being deleted, and once `changes` are applied nothing holds it; `retain_refused`: they
    delete what its deletionPolicy was to leave. `adopted`: the wish to adopt that is fulfilled once
    `changes` are applied. `left_behind`: see `findings.left_behind`.
    """

    changes: tuple[Change, ...] = ()
    pending: tuple[str, ...] = ()
    verdict: Verdict | None = None
    credentials: Credentials | Verdict | None = None
    findings: tuple[Finding, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    needs_finalizer: bool = False
    lets_go: bool = False
    retain_refused: bool = False
    refreshes: bool = False
    adopted: str = ""

    @property
    def activity(self) -> Reason:
        """What the operator is on, for `Reconciling`."""
        if self.lets_go:
            return Reason.DELETING
        if self.refreshes:
            return Reason.REFRESHING
        if any(isinstance(change, Create) for change in self.changes):
            return Reason.CREATING
        return Reason.UPDATING if self.changes else Reason.RETRYING


def assess(situation: Situation, installation: Installation, mask: Mask, now_s: float) -> Assessment:
    """Judge a number. `now_s`: epoch seconds; `mask`: the one that the situation was made with."""
    if situation.number.deleting:  # whatever else is the case
        return _deletion(situation)
    case = case_of(situation, installation, mask)
    for check in CHECKS:
        verdict = check.finds(case)
        if verdict is not None:
            return check.then(case, verdict) if check.then else _comparison(case, verdict, now_s)
    return _comparison(case, None, now_s)


def _deletion(situation: Situation) -> Assessment:
    """Deletion, whatever else the spec says; the first that applies."""
    number, owned = situation.number, situation.owned
    if number.observes:
        return Assessment(lets_go=True)
    if situation.retains:
        return Assessment(changes=retention(owned), lets_go=True)
    return Assessment(changes=teardown(owned), lets_go=True, retain_refused=situation.retain_refused)


def held_by_others(assessment: Assessment, owned: Owned | None) -> Assessment:
    """The judgement of an object that we have let go, while somebody else's finalizer keeps it.

    `owned`: what stays in LiveKit, None if LiveKit could not be asked.
    """
    message = "Finalizers of others in metadata.finalizers keep this object; this operator has let it go."
    if owned is not None:
        left = f"In LiveKit stays: {', '.join(owned.ids[:NAMED])}" if owned else "LiveKit has nothing of it any more"
        message = f"{message} {left}."
    return replace(assessment, verdict=Verdict(Reason.DELETING, message, stalled=False), lets_go=True)


def _nothing(case: Case, verdict: Verdict) -> Assessment:
    """Nothing is compared and nothing changes."""
    return Assessment(verdict=verdict, credentials=case.situation.credentials)


def _removal_of_refused(case: Case, verdict: Verdict) -> Assessment:
    """A spec that cannot be used changes nothing, but a refused host may cost the outbound trunk that dials it."""
    number = case.number
    if number.spec is None or number.observes or not case.installation.removes_refused:
        return Assessment(verdict=verdict)
    return Assessment(changes=teardown(Owned(outbound=case.situation.owned.outbound)), verdict=verdict)


def _surrender(case: Case, verdict: Verdict) -> Assessment:
    """What this object still has of another's number goes, unless the object may not write or is to keep it."""
    left = case.situation.owned.marked
    if not left:
        return Assessment(verdict=verdict)
    if not (case.number.observes or case.situation.retains):
        return Assessment(changes=teardown(left), verdict=verdict)
    told = f"{verdict.message} In LiveKit stays of this object: {', '.join(left.ids[:NAMED])}."
    return Assessment(verdict=replace(verdict, message=told))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that may stand in the way. `finds`: what is said of it, None if it is not the case.

    `then`: what is done with the number instead of comparing it with LiveKit; None: it is compared, and what the thing
    blocks stays as it is (`Case.blocked`).
    """

    finds: Callable[[Case], Verdict | None]
    then: Callable[[Case, Verdict], Assessment] | None = None


CHECKS: tuple[Check, ...] = (
    # The user has stopped all writes, so nothing else matters yet.
    Check(checks.paused, then=_nothing),
    # A spec that cannot be used says nothing that could be compared.
    Check(checks.invalid_spec, then=_removal_of_refused),
    # A number belongs to one object; whatever else is wrong with the others, they have to give way first.
    Check(checks.number_claimed, then=_surrender),
    # From here on a part of the number is blocked, and the other parts go on.
    # The user can mend a Secret alone, without LiveKit's administrator.
    Check(checks.credentials_missing),
    # Somebody else's trunk gets the calls, whatever is taken over beside it; the message names a refused adoption too.
    Check(checks.number_conflict),
    # What is asked for cannot be done.
    Check(checks.adoption_refused),
    # What is asked for can be done, and waits for a word.
    Check(checks.adoption_erases_fields),
    # Two more come once changes are planned: what LiveKit answers (`status`), and that Observe has changes pending.
)
"""Everything that may stand in the way of Ready, the first that applies is told."""


def _comparison(case: Case, verdict: Verdict | None, now_s: float) -> Assessment:
    """Compare what should be with what is. `verdict`: the first thing in the way, None if nothing is."""
    situation, number, spec = case.situation, case.number, case.number.spec
    if spec is None:  # a check has said so
        return Assessment(verdict=verdict)
    taken, credentials = situation.adoption.taken, case.credentials
    owned = situation.owned if case.lost else situation.owned + taken
    handled = number.status.last_handled_recreate
    anew = recreation(situation.owned + taken, number.requested.recreate, handled, now=verdict is None and not taken)
    want = case.wanted(spec, anew.values)
    early = outbound_before_conflict(situation.owned, number) if case.conflict else Owned()
    terms = Terms(
        blocked=case.blocked | {kind_of(each) for each in early.outbound},
        recreate=anew.due,
        refresh=number.refresh_due and verdict is None,
        secret_changed=credentials is not None and _may_be_new(number, credentials),
    )
    changes = (*plan(want, owned, terms), *teardown(early))
    behind = left_behind(number, owned.ids, case.installation)
    evidence = Evidence(
        credentials,
        _intrusion(situation, spec, want),
        behind,
        number.requested.unclear,
        situation.retain_refused,
        situation.adoption.absent,
        () if case.conflict else _other_installations(situation, case.installation),
    )
    noted = findings(spec, case.installation, evidence, now_s)
    if number.observes:
        pending = tuple(dict.fromkeys((*case.lost, *paths(changes))))
        waits, known = verdict or _changes_pending(changes), situation.credentials
        return Assessment(pending=pending, verdict=waits, credentials=known, findings=noted, left_behind=behind)
    return Assessment(
        changes=changes,
        pending=case.lost,
        verdict=verdict,
        credentials=situation.credentials,
        findings=noted,
        left_behind=behind,
        needs_finalizer=not number.has_finalizer and bool(changes or owned),
        refreshes=terms.refresh or bool(terms.recreate),
        adopted="" if situation.adoption.absent else number.requested.adopted_as,
    )


def outbound_before_conflict(owned: Owned, number: PhoneNumber) -> Owned:
    """With somebody else's inbound trunk in LiveKit: an outbound trunk that was made before that was known.

    What the status names, and what has an inbound trunk beside it, was in step once and stays.
    """
    recorded = number.status.ids.outbound
    if owned.inbound or any(trunk.id == recorded for trunk in owned.outbound):
        return Owned()
    return Owned(outbound=owned.outbound).marked


def _intrusion(situation: Situation, spec: PhoneNumberSpec, want: Desired) -> Intrusion:
    if want.inbound is None or want.rule is None:
        return Intrusion()
    kept = (situation.owned + situation.adoption.taken).rules
    ours = replace(want.rule, id=kept[0].id) if kept else want.rule
    return intrusion(spec.phone_number, want.inbound, ours, situation.foreign_rules)


def _may_be_new(number: PhoneNumber, credentials: Credentials) -> bool:
    """Whether the credentials may not be the ones that were last written to LiveKit."""
    written = number.status.credentials
    return written is None or written.resource_version != credentials.resource_version or not number.is_current


def _other_installations(situation: Situation, installation: Installation) -> tuple[str, ...]:
    """`ID: trunk` of what another installation has for an object of this namespace and name."""
    twins = (trunk for trunk in situation.foreign if is_twin(trunk, situation.number, installation))
    return tuple(sorted(f"{owner.installation}: {trunk.id}" for trunk in twins if (owner := owner_of(trunk))))


def _changes_pending(changes: tuple[Change, ...]) -> Verdict | None:
    if not changes:
        return None
    message = "managementPolicy is Observe; with Manage the operator would " + "; ".join(verbs(changes)) + "."
    return Verdict(Reason.CHANGES_PENDING, message, stalled=False)
