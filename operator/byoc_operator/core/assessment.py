"""Assesses one `ByocPhoneNumber`: its verdict, the changes in LiveKit and the findings.

A run applies the changes. The sweep assesses every object to find those that need a run. Under Observe the changes are
only listed in the status.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..api.conditions import Reason, Verdict
from ..api.recorded_status import Finding, LeftBehind
from ..api.resource import PhoneNumber
from ..api.schema import PhoneNumberSpec
from . import checks
from .checks import Case, case_of
from .claims import NAMED
from .conflict import marked_elsewhere
from .credentials_in_use import CredentialsInUse
from .desired import Desired, Installation, RecreateValues
from .findings import Evidence, findings, left_behind
from .foreign_rules import Intrusion, intrusion
from .ownership import Owned, owner_of
from .plan import (
    Change,
    Create,
    Delete,
    Replace,
    Terms,
    kind_of_change,
    paths,
    plan,
    recreation,
    retention,
    teardown,
    verbs,
)
from .situation import Situation
from .trunk import CREATE_ORDER, Kind, Mask, kept_settings, kind_of


@dataclass(frozen=True, slots=True)
class Assessment:
    """What follows from a situation.

    `changes`: the changes that the run applies in LiveKit, in order. `pending`: paths that would change if the operator
    wrote. `verdict`: what stands in the way of Ready, None for nothing. `credentials`: see `Situation`. `left_behind`:
    see `findings.left_behind`. `needs_finalizer`: the object needs our finalizer before the first change. `lets_go`:
    the object is being deleted, and our finalizer goes after the changes. `retain_refused`: the changes delete LiveKit
    objects although deletionPolicy is Retain. `refreshes`: the changes do a refresh or recreate. `adopted`: the value
    for `lastHandledAdopt` after the changes, empty if there is none.
    """

    changes: tuple[Change, ...] = ()
    pending: tuple[str, ...] = ()
    verdict: Verdict | None = None
    credentials: CredentialsInUse = field(default_factory=CredentialsInUse)
    findings: tuple[Finding, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    needs_finalizer: bool = False
    lets_go: bool = False
    retain_refused: bool = False
    refreshes: bool = False
    adopted: str = ""

    @property
    def activity(self) -> Reason:
        """The reason of the condition `Reconciling`: what the operator is doing."""
        if self.lets_go:
            return Reason.DELETING
        if self.refreshes:
            return Reason.REFRESHING
        if any(isinstance(change, Create) for change in self.changes):
            return Reason.CREATING
        return Reason.UPDATING if self.changes else Reason.RETRYING


def assess(situation: Situation, installation: Installation, mask: Mask, now_s: float) -> Assessment:
    """Assess an object. `now_s`: epoch seconds. `mask`: the mask that the situation was made with."""
    if situation.number.deleting:
        return _deletion(situation)
    case = case_of(situation, installation, mask)
    for check in CHECKS:
        verdict = check.finds(case)
        if verdict is not None:
            return check.then(case, verdict) if check.then else _comparison(case, verdict, now_s)
    return _comparison(case, None, now_s)


def _deletion(situation: Situation) -> Assessment:
    """The assessment of an object that is being deleted. No check applies to it: an invalid spec can be deleted too."""
    number, owned = situation.number, situation.owned
    if number.observes:
        return Assessment(lets_go=True)
    if situation.retains:
        return Assessment(changes=retention(owned), lets_go=True)
    return Assessment(changes=teardown(owned), lets_go=True, retain_refused=situation.retain_refused)


def held_by_others(assessment: Assessment, owned: Owned | None) -> Assessment:
    """The assessment of an object without our finalizer that finalizers of others keep.

    `owned`: what stays in LiveKit, None if LiveKit does not answer.
    """
    message = "Finalizers of others in metadata.finalizers keep this object; this operator has let it go."
    if owned is not None:
        left = f"In LiveKit stays: {', '.join(owned.ids[:NAMED])}" if owned else "LiveKit has nothing of it any more"
        message = f"{message} {left}."
    return replace(assessment, verdict=Verdict(Reason.DELETING, message, stalled=False), lets_go=True)


def _no_changes(case: Case, verdict: Verdict) -> Assessment:
    """An assessment with this verdict and without changes."""
    return Assessment(verdict=verdict, credentials=case.situation.credentials)


def _without_refused_host(case: Case, verdict: Verdict) -> Assessment:
    """No changes for an invalid spec; a refused host deletes the outbound trunk if BYOC_REFUSED_HOSTS is Remove."""
    number = case.number
    if number.spec is None or number.observes or not case.installation.removes_refused:
        return Assessment(verdict=verdict)
    return Assessment(changes=teardown(Owned(outbound=case.situation.owned.outbound)), verdict=verdict)


def _without_number(case: Case, verdict: Verdict) -> Assessment:
    """A claimant's marked LiveKit objects are deleted, except under Observe or Retain: then the message names them."""
    left = case.situation.owned.marked
    if not left:
        return Assessment(verdict=verdict)
    if not (case.number.observes or case.situation.retains):
        return Assessment(changes=teardown(left), verdict=verdict)
    message = f"{verdict.message} In LiveKit stays of this object: {', '.join(left.ids[:NAMED])}."
    return Assessment(verdict=replace(verdict, message=message))


@dataclass(frozen=True, slots=True)
class Check:
    """One check of an object.

    `finds`: returns the verdict, None if nothing stands in the way. `then`: makes the assessment instead of the
    comparison with LiveKit. Without `then` the object is compared, and the kinds of `Case.blocked` stay as they are.
    """

    finds: Callable[[Case], Verdict | None]
    then: Callable[[Case, Verdict], Assessment] | None = None


CHECKS: tuple[Check, ...] = (
    # The user has stopped all writes, so no other verdict matters yet.
    Check(checks.paused, then=_no_changes),
    # An invalid spec has nothing that could be compared.
    Check(checks.invalid_spec, then=_without_refused_host),
    # The file of carriers may have changed since the object was in step, so its LiveKit objects stay as they are.
    Check(checks.challenge_unanswered, then=_no_changes),
    # Only one object has a number. A claimant gets this verdict even if its Secret is missing too.
    Check(checks.number_claimed, then=_without_number),
    # The checks below block only some kinds of LiveKit object; the other kinds are compared and changed.
    # The user can correct a Secret without LiveKit's administrator, so the Secret comes first.
    Check(checks.credentials_missing),
    # The foreign trunk gets the calls, so an adoption would not help. The message names a refused adoption too.
    Check(checks.number_conflict),
    # The annotation must be corrected.
    Check(checks.adoption_refused),
    # The adoption is possible, and waits for the word `force`.
    Check(checks.adoption_erases_fields),
)
"""All checks in order: the first verdict is the one of the assessment.

Three verdicts come later: `_comparison` adds ChangesPending under Observe, and AliasUnavailable, which holds nothing
up: a refresh, for example, is carried out all the same. `core.status` adds a failure of LiveKit.
"""


def _comparison(case: Case, verdict: Verdict | None, now_s: float) -> Assessment:
    """Compare the desired LiveKit objects with the present ones. `verdict`: that of the checks, None for none."""
    situation, number, spec = case.situation, case.number, case.number.spec
    if spec is None:  # `invalid_spec` has the verdict
        return Assessment(verdict=verdict)
    taken, credentials = situation.adoption.taken, case.credentials
    owned = situation.owned if case.erased else situation.owned + taken
    handled = number.status.last_handled_recreate
    anew = recreation(situation.owned + taken, number.requested.recreate, handled, now=verdict is None and not taken)
    early = outbound_before_conflict(situation.owned, number) if case.conflict else Owned()
    terms = Terms(
        blocked=case.blocked | {kind_of(each) for each in early.outbound},
        recreate=anew.due,
        refresh=number.refresh_due and verdict is None,
        secret_changed=_may_be_new(number, credentials),
        keeps=case.installation.keeps_unknown_fields,
    )
    want, planned = _planned(case, spec, anew.values, owned, terms)
    changes = (*planned, *teardown(early))
    behind = left_behind(number, owned.ids, case.installation)
    evidence = Evidence(
        tuple(credentials.usable.values()),
        _intrusion(situation, spec, want),
        behind,
        number.requested.unclear,
        situation.retain_refused,
        situation.adoption.absent,
        () if case.conflict else _other_installations(situation, case.installation),
        _kept(owned, want, changes) if case.installation.keeps_unknown_fields else (),
    )
    noted = findings(spec, case.installation, evidence, now_s)
    partly = situation.aliases.verdict(number)
    if number.observes:
        pending = tuple(dict.fromkeys((*case.erased, *paths(changes))))
        waits, known = verdict or _changes_pending(changes) or partly, situation.credentials
        return Assessment(pending=pending, verdict=waits, credentials=known, findings=noted, left_behind=behind)
    return Assessment(
        changes=changes,
        pending=case.erased,
        verdict=verdict or partly,
        credentials=situation.credentials,
        findings=noted,
        left_behind=behind,
        needs_finalizer=not number.has_finalizer and bool(changes or owned),
        refreshes=terms.refresh or bool(terms.recreate),
        adopted="" if situation.adoption.absent else number.requested.adopted_as,
    )


def _planned(
    case: Case, spec: PhoneNumberSpec, recreate: RecreateValues, owned: Owned, terms: Terms
) -> tuple[Desired, tuple[Change, ...]]:
    """The desired LiveKit objects, and the changes.

    LiveKit refuses to write an alias that a foreign trunk got later, so the alias stays only on a trunk that stays.
    """
    aliases = case.situation.aliases
    want = case.wanted(spec, recreate, aliases)
    changes = plan(want, owned, terms)
    if not aliases.kept or not any(map(_writes_inbound_trunk, changes)):
        return want, changes
    want = case.wanted(spec, recreate, aliases.for_a_write)
    return want, plan(want, owned, terms)


def _writes_inbound_trunk(change: Change) -> bool:
    return isinstance(change, Create | Replace) and kind_of_change(change) is Kind.INBOUND_TRUNK


def outbound_before_conflict(owned: Owned, number: PhoneNumber) -> Owned:
    """The marked outbound trunks that were created before a conflict appeared. With a conflict they are deleted.

    Empty if the object has an inbound trunk, or if the status names its outbound trunk: the object was in step before.
    """
    recorded = number.status.ids.outbound
    if owned.inbound or any(trunk.id == recorded for trunk in owned.outbound):
        return Owned()
    return Owned(outbound=owned.outbound).marked


def _intrusion(situation: Situation, spec: PhoneNumberSpec, want: Desired) -> Intrusion:
    """What foreign rules do with calls to the number; nothing if the object takes no calls."""
    if want.inbound is None or want.rule is None:
        return Intrusion()
    present = (situation.owned + situation.adoption.taken).rules
    ours = replace(want.rule, id=present[0].id) if present else want.rule
    return intrusion(spec.phone_number, want.inbound, ours, situation.foreign_rules)


def _may_be_new(number: PhoneNumber, credentials: CredentialsInUse) -> bool:
    """Whether some credentials may differ from those that were last written to LiveKit."""
    usable, written = credentials.usable, number.status.written
    if not number.is_current:
        return bool(usable)
    return any(
        path not in written or written[path].resource_version != each.resource_version for path, each in usable.items()
    )


def _other_installations(situation: Situation, installation: Installation) -> tuple[str, ...]:
    """The trunks that other installations marked for an object of this namespace and name: `INSTALLATION: TRUNK`."""
    trunks = (each for each in situation.foreign if marked_elsewhere(each, situation.number, installation))
    return tuple(sorted(f"{owner.installation}: {each.id}" for each in trunks if (owner := owner_of(each))))


def _kept(owned: Owned, want: Desired, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """The paths of the settings that the operator keeps in the LiveKit objects that stay."""
    gone = {change.id for change in changes if isinstance(change, Delete)}
    stay = (each for kind in CREATE_ORDER if want.of(kind) for each in owned.of(kind)[:1] if each.id not in gone)
    return tuple(f"{each.kind}.{path}" for each in stay for path in kept_settings(each))


def _changes_pending(changes: tuple[Change, ...]) -> Verdict | None:
    """The verdict ChangesPending of an object under Observe, None without changes."""
    if not changes:
        return None
    message = "managementPolicy is Observe; with Manage the operator would " + "; ".join(verbs(changes)) + "."
    return Verdict(Reason.CHANGES_PENDING, message, stalled=False)
