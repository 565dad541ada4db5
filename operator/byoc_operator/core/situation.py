"""Everything that a judgement of one number looks at, put together from values: what LiveKit holds, and the cluster.

Whoever has LiveKit's lists and a few objects of the cluster calls `situation_of`, and `assessment.assess` with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..api.schema import DeletionPolicy
from .adoption import Adoption, judge
from .conflict import is_twin
from .credentials import Credentials, SecretFacts, SecretUse, resolve
from .desired import Installation
from .foreign_rules import ForeignRules
from .ownership import Owned, Owner
from .snapshot import Snapshot
from .trunk import InboundTrunk, Mask, Trunk


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known of a number at one moment. It holds no text of a credential.

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


def no_object_is_gone(_: Owner) -> bool:
    """For who does not know the cluster's objects: trunks with the mark of another object are not adopted."""
    return False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the cluster says about a number, apart from its object.

    `secret`: the Secret that the number names, None if there is none (or the number names none); a verdict says why it
    cannot be read. `claimed`: why the number belongs to another object (`claims.Allocation.verdict`), None if it does
    not. `is_gone`: whether there is no object of an owner's namespace and name. `may_retain`: whether deletionPolicy
    Retain is allowed; the setting BYOC_RETAIN may limit it.
    """

    secret: SecretFacts | Verdict | None = None
    claimed: Verdict | None = None
    is_gone: Callable[[Owner], bool] = no_object_is_gone
    may_retain: bool = True


def situation_of(
    number: PhoneNumber, snapshot: Snapshot | None, cluster: ClusterFacts, installation: Installation, mask: Mask
) -> Situation:
    """The situation of a number. `snapshot` None: LiveKit was never listed.

    `mask` is the one with which the trunks of the snapshot and the values of the Secret were made.
    """
    known = Snapshot() if snapshot is None else snapshot
    owned = owned_of(number, known, installation)
    if cluster.claimed is not None:  # nothing else is asked
        return Situation(number, owned, claimed=cluster.claimed, may_retain=cluster.may_retain)
    adoption = Adoption()
    if snapshot is not None:
        adoption = judge(number, owned, known.by_id, installation, cluster.is_gone)
    credentials = credentials_of(number, cluster.secret, installation, mask)
    return Situation(
        number=number,
        owned=owned,
        foreign=_foreign(number, owned, known, installation),
        foreign_rules=known.foreign_rules(number.phone_number, owned + adoption.taken),
        credentials=credentials.without_texts if isinstance(credentials, Credentials) else credentials,
        adoption=adoption,
        may_retain=cluster.may_retain,
    )


def owned_of(number: PhoneNumber, snapshot: Snapshot, installation: Installation) -> Owned:
    """What belongs to a number in LiveKit."""
    owners = installation.owners(number.key.namespace, number.key.name)
    return snapshot.owned(owners, number.phone_number, number.status.ids)


def secret_use(number: PhoneNumber, mask: Mask) -> SecretUse | None:
    """Which Secret a number uses, and how; None if it names none."""
    spec = number.spec
    if spec is None or spec.sip_password_secret_ref is None:
        return None
    ref = spec.sip_password_secret_ref
    username = mask(spec.sip_username) if spec.sip_username else None
    return SecretUse(number.key.namespace, ref.name, ref.key, username)


def credentials_of(
    number: PhoneNumber, secret: SecretFacts | Verdict | None, installation: Installation, mask: Mask
) -> Credentials | Verdict | None:
    """The credentials of a number, or why it cannot have them; None if it names no Secret.

    They hold the texts that `secret` holds.
    """
    use = secret_use(number, mask)
    if use is None:
        return None
    return secret if isinstance(secret, Verdict) else resolve(use, secret, installation.secret_rules)


def _foreign(number: PhoneNumber, owned: Owned, snapshot: Snapshot, installation: Installation) -> tuple[Trunk, ...]:
    """Trunks with the number that are not this object's, as `Situation` has them."""
    ours = {trunk.id for trunk in owned.inbound}
    return tuple(
        trunk
        for trunk in snapshot.trunks_with(number.phone_number)
        if trunk.id not in ours and (isinstance(trunk, InboundTrunk) or is_twin(trunk, number, installation))
    )
