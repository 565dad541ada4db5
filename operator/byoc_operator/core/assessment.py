"""The judgement of one number: what stands in its way, what is to be done, what is worth saying.

Used by the reconcile (to act), by the sweep (to see who needs a run) and by Observe (to say what would change).
"""

from dataclasses import dataclass, field, replace

from ..api.conditions import Reason, Verdict
from ..api.names import PAUSED
from ..api.resource import PhoneNumber, refused_host, trunk_of_refused_host
from ..api.schema import Authentication, DeletionPolicy, PhoneNumberSpec
from . import adoption as adopting
from .adoption import Adoption
from .claims import NAMED
from .conflict import Conflict, Trunk, is_twin
from .conflict import conflict as conflict_of
from .credentials import Credentials
from .desired import Desired, Installation, desired
from .findings import Evidence, Finding, findings, left_behind
from .foreign_rules import ForeignRules, Intrusion, intrusion
from .ownership import Owned, owner_of
from .plan import Change, Create, Terms, paths, plan, recreation, retention, teardown, verbs
from .trunk import Kind, Mask, kind_of


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known of a number at one moment.

    `owned`: what is ours in LiveKit; `foreign`: other people's inbound trunks with this number, and every trunk with it
    that another installation has for an object of this namespace and name; `foreign_rules`: other people's rules that
    its calls may get; `credentials`: None if none are referenced; `claimed`: why the number is another's; `adoption`:
    what becomes of the wish to take objects over; `may_retain`: deletionPolicy Retain is allowed.
    """

    number: PhoneNumber
    owned: Owned
    foreign: tuple[Trunk, ...] = ()
    foreign_rules: ForeignRules = field(default_factory=ForeignRules)
    credentials: Credentials | Verdict | None = None
    claimed: Verdict | None = None
    adoption: Adoption = field(default_factory=Adoption)
    may_retain: bool = True

    @property
    def retains(self) -> bool:
        """Whether what is in LiveKit stays there without the object."""
        return self.may_retain and self.number.deletion_policy is DeletionPolicy.RETAIN

    @property
    def retain_refused(self) -> bool:
        """Whether what is in LiveKit goes with the object, although it was to stay."""
        wants = self.number.deletion_policy is DeletionPolicy.RETAIN and not self.number.observes
        return wants and not self.may_retain


@dataclass(frozen=True, slots=True)
class Assessment:
    """What follows from a situation.

    `changes`: to be applied now, in order. `pending`: paths that would change, were we allowed to write.
    `verdict`: the first thing in the way, None if nothing is. `needs_finalizer`: it must be there before any change.
    `lets_go`: the number is being deleted, and once `changes` are applied nothing holds it; `retain_refused`: they
    delete what its deletionPolicy was to leave. `adopted`: the wish to adopt that is fulfilled once
    `changes` are applied.
    """

    changes: tuple[Change, ...] = ()
    pending: tuple[str, ...] = ()
    verdict: Verdict | None = None
    credentials: Credentials | Verdict | None = None
    findings: tuple[Finding, ...] = ()
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
    """Judge a number. Reasons come in a fixed order: the first that applies is the one that is told."""
    number = situation.number
    if number.deleting:
        return _farewell(situation)
    if number.wishes.paused:
        message = (
            f"Nothing is written to LiveKit while the annotation {PAUSED} is true; changes, refresh and "
            "recreate wait. Take the annotation away to go on."
        )
        return Assessment(verdict=Verdict(Reason.PAUSED, message, stalled=False), credentials=situation.credentials)
    invalid = invalidity(number, installation)
    if invalid or number.spec is None:
        return _unusable(situation, invalid, installation)
    if situation.claimed:
        return _without_claim(situation, situation.claimed)
    return _work(situation, number.spec, installation, mask, now_s)


def invalidity(number: PhoneNumber, installation: Installation) -> Verdict | None:
    """Why the spec cannot be used, by the rules of the CRD and of this installation."""
    if number.spec is None:
        return number.invalid
    refused = refused_host(number.spec, installation.termination_hosts)
    if refused is None:
        return None
    trunk = trunk_of_refused_host(number, removes=installation.removes_refused)
    return replace(refused, message=refused.message + trunk)


def _unusable(situation: Situation, invalid: Verdict | None, installation: Installation) -> Assessment:
    """A spec that cannot be used changes nothing, but a refused host may cost the outbound trunk that dials it."""
    number = situation.number
    if number.spec is None or number.observes or not installation.removes_refused:
        return Assessment(verdict=invalid)
    return Assessment(changes=teardown(Owned(outbound=situation.owned.outbound)), verdict=invalid)


def _farewell(situation: Situation) -> Assessment:
    """Deletion, whatever else the spec says; the first that applies."""
    number, owned = situation.number, situation.owned
    if number.observes:
        return Assessment(lets_go=True)
    if situation.retains:
        return Assessment(changes=retention(owned), lets_go=True)
    return Assessment(changes=teardown(owned), lets_go=True, retain_refused=situation.retain_refused)


def departed(assessment: Assessment, owned: Owned | None) -> Assessment:
    """The judgement of an object that we have let go, while somebody else's finalizer keeps it.

    `owned`: what stays in LiveKit, None if LiveKit could not be asked.
    """
    message = "Finalizers of others in metadata.finalizers keep this object; this operator has let it go."
    if owned is not None:
        left = f"In LiveKit stays: {', '.join(owned.ids[:NAMED])}" if owned else "LiveKit has nothing of it any more"
        message = f"{message} {left}."
    return replace(assessment, verdict=Verdict(Reason.DELETING, message, stalled=False), lets_go=True)


def _without_claim(situation: Situation, claimed: Verdict) -> Assessment:
    """The number is another's: what this object still has there goes, unless it may not write or is to keep it."""
    left = situation.owned.marked
    if not left:
        return Assessment(verdict=claimed)
    if not (situation.number.observes or situation.retains):
        return Assessment(changes=teardown(left), verdict=claimed)
    told = f"{claimed.message} In LiveKit stays of this object: {', '.join(left.ids[:NAMED])}."
    return Assessment(verdict=replace(claimed, message=told))


def _work(
    situation: Situation, spec: PhoneNumberSpec, installation: Installation, mask: Mask, now_s: float
) -> Assessment:
    number, state, adoption = situation.number, situation.credentials, situation.adoption
    credentials = state if isinstance(state, Credentials) else None
    conflict = conflict_of(number, situation.owned, situation.foreign, adoption, installation)
    verdict = state if isinstance(state, Verdict) else conflict.verdict if conflict else adoption.verdict
    owned = situation.owned + adoption.taken
    handled = number.answered("lastHandledRecreate")
    anew = recreation(owned, number.wishes.recreate, handled, now=verdict is None and not adoption.taken)
    owner = installation.owners(number.key.namespace, number.key.name)[0]
    want = desired(spec, owner, installation, credentials, anew.values, mask)
    lost = () if number.wishes.adopt_by_force else adopting.lost(want, adoption.taken)
    if lost:
        owned = situation.owned
    verdict = verdict or adopting.waits(lost)
    refreshes = number.refresh_due and verdict is None
    early = made_too_early(situation.owned, number) if conflict else Owned()
    blocked = _blocked(spec, state, conflict) | adoption.withheld
    blocked |= {kind_of(each) for each in adoption.taken.all if lost}
    terms = Terms(
        blocked=blocked | {kind_of(each) for each in early.outbound},
        recreate=anew.due,
        refresh=refreshes,
        secret_changed=credentials is not None and _may_be_new(number, credentials),
    )
    changes = (*plan(want, owned, terms), *teardown(early))
    behind = left_behind(number, owned.ids, installation)
    evidence = Evidence(
        credentials,
        _intrusion(situation, spec, want),
        behind,
        number.wishes.unclear,
        situation.retain_refused,
        adoption.absent,
        () if conflict else _other_installations(situation, installation),
    )
    noted = findings(spec, installation, evidence, now_s)
    if number.observes:
        pending = tuple(dict.fromkeys((*lost, *paths(changes))))
        return Assessment(pending=pending, verdict=verdict or _pending(changes), credentials=state, findings=noted)
    return Assessment(
        changes=changes,
        pending=lost,
        verdict=verdict,
        credentials=state,
        findings=noted,
        needs_finalizer=not number.has_finalizer and bool(changes or owned),
        refreshes=refreshes or bool(terms.recreate),
        adopted="" if adoption.absent else number.wishes.adopted_as,
    )


def _intrusion(situation: Situation, spec: PhoneNumberSpec, want: Desired) -> Intrusion:
    if want.inbound is None or want.rule is None:
        return Intrusion()
    kept = (situation.owned + situation.adoption.taken).rules
    ours = replace(want.rule, id=kept[0].id) if kept else want.rule
    return intrusion(spec.phone_number, want.inbound, ours, situation.foreign_rules)


def _may_be_new(number: PhoneNumber, credentials: Credentials) -> bool:
    """Whether the credentials may not be the ones that were last written to LiveKit."""
    same = number.written_secret_version == credentials.resource_version
    return not same or number.status.get("observedGeneration") != number.generation


def _blocked(
    spec: PhoneNumberSpec, credentials: Credentials | Verdict | None, conflict: Conflict | None
) -> frozenset[Kind]:
    """Kinds that must stay exactly as they are; the others go on."""
    blocked = set(conflict.blocked) if conflict else set()
    if isinstance(credentials, Verdict):
        blocked.add(Kind.OUTBOUND_TRUNK)
        if spec.inbound_agent_id and spec.inbound.authentication is Authentication.DIGEST:
            blocked.add(Kind.INBOUND_TRUNK)
    return frozenset(blocked)


def _other_installations(situation: Situation, installation: Installation) -> tuple[str, ...]:
    """`ID: trunk` of what another installation has for an object of this namespace and name."""
    twins = (trunk for trunk in situation.foreign if is_twin(trunk, situation.number, installation))
    return tuple(sorted(f"{owner.installation}: {trunk.id}" for trunk in twins if (owner := owner_of(trunk))))


def made_too_early(owned: Owned, number: PhoneNumber) -> Owned:
    """With somebody else's inbound trunk in LiveKit: an outbound trunk that was made before that was known.

    What the status names, and what has an inbound trunk beside it, was in step once and stays.
    """
    recorded = number.recorded.outbound
    if owned.inbound or any(trunk.id == recorded for trunk in owned.outbound):
        return Owned()
    return Owned(outbound=owned.outbound).marked


def _pending(changes: tuple[Change, ...]) -> Verdict | None:
    if not changes:
        return None
    message = "managementPolicy is Observe; with Manage the operator would " + "; ".join(verbs(changes)) + "."
    return Verdict(Reason.CHANGES_PENDING, message, stalled=False)
