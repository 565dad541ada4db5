"""The checks of an assessment: each returns a verdict if it stands in the way of Ready, else None.

`assessment.CHECKS` has their order.
"""

from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.names import PAUSED
from ..api.resource import PhoneNumber
from ..api.schema import PhoneNumberSpec
from ..api.termination_hosts import refused_host, trunk_of_refused_host
from ..api.unanswered_challenge import unanswered_challenge
from .adoption import erased_by, erasure
from .aliases import Unavailable
from .conflict import NumberConflict, conflict
from .credentials_in_use import CredentialsInUse
from .desired import Desired, Installation, RecreateValues, desired
from .situation import Situation, secret_uses
from .trunk import Kind, Mask, kind_of


@dataclass(frozen=True, slots=True)
class Case:
    """What the checks and the plan of one assessment use: the situation, and values that several of them need.

    `conflict`: the conflict with foreign trunks, None if there is none. `erased`: paths of the fields that an adoption
    would erase without the word `force`.
    """

    situation: Situation
    installation: Installation
    mask: Mask
    conflict: NumberConflict | None = None
    erased: tuple[str, ...] = ()

    @property
    def number(self) -> PhoneNumber:
        """The object that is assessed."""
        return self.situation.number

    @property
    def credentials(self) -> CredentialsInUse:
        """The credentials of the Secrets that the spec uses."""
        return self.situation.credentials

    def wanted(self, spec: PhoneNumberSpec, recreate: RecreateValues, aliases: Unavailable) -> Desired:
        """The desired LiveKit objects, without the aliases that others have.

        `recreate`: the values for the marks of the trunks. `aliases`: those that others have.
        """
        owner = self.installation.owners(self.number.key.namespace, self.number.key.name)[0]
        want = desired(spec, owner, self.installation, self.credentials, recreate, self.mask)
        if want.inbound is None or not aliases.why:
            return want
        numbers = aliases.granted(want.inbound.numbers)
        return replace(want, inbound=replace(want.inbound, numbers=numbers))

    @property
    def blocked(self) -> frozenset[Kind]:
        """The kinds of LiveKit object that this run neither creates nor changes."""
        adoption = self.situation.adoption
        blocked = adoption.withheld | _without_credentials(self.situation, self.mask)
        if self.conflict:
            blocked |= self.conflict.blocked
        return blocked | {kind_of(each) for each in adoption.taken.all if self.erased}


def case_of(situation: Situation, installation: Installation, mask: Mask) -> Case:
    """The case of a situation. `mask`: the mask that the situation was made with."""
    number, adoption = situation.number, situation.adoption
    found = conflict(number, situation.owned, situation.foreign, adoption, installation)
    case = Case(situation, installation, mask, found)
    if number.spec is None or not adoption.taken or number.requested.adopt_by_force:
        return case
    want = case.wanted(number.spec, RecreateValues(), situation.aliases)  # a mark is never counted as erased
    return replace(case, erased=erased_by(want, adoption.taken, keeps=case.installation.keeps_unknown_fields))


def paused(case: Case) -> Verdict | None:
    """The annotation `paused` stops all writes to LiveKit."""
    if not case.number.requested.paused:
        return None
    message = (
        f"Nothing is written to LiveKit while the annotation {PAUSED} is true; changes, refresh and recreate wait. "
        "Take the annotation away to go on."
    )
    return Verdict(Reason.PAUSED, message, stalled=False)


def invalid_spec(case: Case) -> Verdict | None:
    """The spec breaks a rule of the CRD, or names a refused host."""
    number, installation = case.number, case.installation
    if number.spec is None:
        return number.invalid
    refused = refused_host(number.spec, installation.termination_hosts)
    if refused is None:
        return None
    trunk = trunk_of_refused_host(number, removes=installation.removes_refused)
    return replace(refused, message=refused.message + trunk)


def challenge_unanswered(case: Case) -> Verdict | None:
    """The spec challenges calls of a carrier that cannot answer, as the operator's file of carriers says."""
    spec = case.number.spec
    return None if spec is None else unanswered_challenge(spec, case.installation.carriers)


def number_claimed(case: Case) -> Verdict | None:
    """Another object has the number."""
    return case.situation.claimed


def credentials_missing(case: Case) -> Verdict | None:
    """A Secret gives no usable credentials."""
    return case.credentials.verdict


def number_conflict(case: Case) -> Verdict | None:
    """LiveKit has a foreign trunk with the number."""
    return case.conflict.verdict if case.conflict else None


def adoption_refused(case: Case) -> Verdict | None:
    """The annotation `adopt` names LiveKit objects that cannot be taken over."""
    return case.situation.adoption.verdict


def adoption_erases_fields(case: Case) -> Verdict | None:
    """An adoption would erase fields, and the annotation does not have the word `force`."""
    return erasure(case.erased)


def _without_credentials(situation: Situation, mask: Mask) -> frozenset[Kind]:
    """The kinds of LiveKit object that need credentials which cannot be used."""
    if situation.credentials.verdict is None:
        return frozenset()
    unusable = [use for use in secret_uses(situation.number, mask) if situation.credentials.at(use.path) is None]
    return frozenset(kind for use in unusable for kind in use.kinds)
