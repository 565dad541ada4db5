"""Makes the `Situation` of one `ByocPhoneNumber`: everything that `assessment.assess` takes into account.

`situation_of` needs a snapshot of LiveKit and some facts of the cluster, and makes no request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..api.schema import DeletionPolicy
from .adoption import Adoption, adoption_of
from .aliases import Unavailable, unavailable
from .conflict import marked_elsewhere
from .credentials import Credentials, SecretFacts, SecretUse, resolve
from .desired import Installation
from .foreign_rules import ForeignRules
from .ownership import Owned, Owner
from .snapshot import Snapshot
from .trunk import InboundTrunk, Mask, Trunk


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known of an object at one time. It has no text of a credential.

    `owned`: the object's own trunks and rules in LiveKit. `foreign`: foreign inbound trunks with the number, and each
    trunk with the number that another installation marked for an object of this namespace and name. `foreign_rules`:
    foreign rules that may get calls to the number. `credentials`: None if the spec names no Secret; a verdict says why
    they cannot be used. `claimed`: why another object gets the number, None if this object has it. `adoption`: what
    follows from the annotation `adopt`. `aliases`: the aliases that others have. `may_retain`: whether deletionPolicy
    Retain is allowed.
    """

    number: PhoneNumber
    owned: Owned
    foreign: tuple[Trunk, ...] = ()
    foreign_rules: ForeignRules = field(default_factory=ForeignRules)
    credentials: Credentials | Verdict | None = None
    claimed: Verdict | None = None
    adoption: Adoption = field(default_factory=Adoption)
    aliases: Unavailable = field(default_factory=Unavailable)
    may_retain: bool = True

    @property
    def retains(self) -> bool:
        """Whether the LiveKit objects stay when the object is deleted."""
        return self.may_retain and self.number.deletion_policy is DeletionPolicy.RETAIN

    @property
    def retain_refused(self) -> bool:
        """Whether a deletion deletes the LiveKit objects although deletionPolicy is Retain."""
        wants = self.number.deletion_policy is DeletionPolicy.RETAIN and not self.number.observes
        return wants and not self.may_retain


def no_object_is_gone(_: Owner) -> bool:
    """The default of `ClusterFacts.is_gone`, without which no trunk with another object's mark can be adopted."""
    return False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The facts of the cluster that are not in the object itself.

    `secret`: the Secret that the object names, None if it names none or the Secret does not exist; a verdict says why
    the Secret cannot be read. `claimed`: why another object gets the number (`claims.Allocation.verdict`), None if this
    object has it. `aliases`: why other objects have aliases of this one (`aliases.refusals`). `is_gone`: whether no
    object with an owner's namespace and name exists. `may_retain`: whether deletionPolicy Retain is allowed; the
    setting BYOC_RETAIN may limit it.
    """

    secret: SecretFacts | Verdict | None = None
    claimed: Verdict | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    is_gone: Callable[[Owner], bool] = no_object_is_gone
    may_retain: bool = True


def situation_of(
    number: PhoneNumber, snapshot: Snapshot | None, cluster: ClusterFacts, installation: Installation, mask: Mask
) -> Situation:
    """The situation of an object.

    `snapshot`: None if LiveKit was never listed. `mask`: the one that masked the credentials in the snapshot and in the
    Secret.
    """
    known = Snapshot() if snapshot is None else snapshot
    owned = owned_of(number, known, installation)
    if cluster.claimed is not None:  # nothing else matters to a claimant
        return Situation(number, owned, claimed=cluster.claimed, may_retain=cluster.may_retain)
    adoption = Adoption()
    if snapshot is not None:
        adoption = adoption_of(number, owned, known.by_id, installation, cluster.is_gone)
    aliases = unavailable(number, cluster.aliases, owned, adoption.taken, known) if number.aliases else Unavailable()
    credentials = credentials_of(number, cluster.secret, installation, mask)
    return Situation(
        number=number,
        owned=owned,
        foreign=_foreign(number, owned, known, installation),
        foreign_rules=known.foreign_rules((number.phone_number, *number.aliases), owned + adoption.taken),
        credentials=credentials.without_texts if isinstance(credentials, Credentials) else credentials,
        adoption=adoption,
        aliases=aliases,
        may_retain=cluster.may_retain,
    )


def owned_of(number: PhoneNumber, snapshot: Snapshot, installation: Installation) -> Owned:
    """The trunks and rules in LiveKit that belong to an object."""
    owners = installation.owners(number.key.namespace, number.key.name)
    return snapshot.owned(owners, number.phone_number, number.status.ids, (*number.aliases, *number.status.aliases))


def secret_use(number: PhoneNumber, mask: Mask) -> SecretUse | None:
    """How an object uses a Secret; None if its spec names no Secret."""
    spec = number.spec
    if spec is None or spec.sip_password_secret_ref is None:
        return None
    ref = spec.sip_password_secret_ref
    username = mask(spec.sip_username) if spec.sip_username else None
    return SecretUse(number.key.namespace, ref.name, ref.key, username)


def credentials_of(
    number: PhoneNumber, secret: SecretFacts | Verdict | None, installation: Installation, mask: Mask
) -> Credentials | Verdict | None:
    """The credentials of an object, or the verdict why they cannot be used; None if its spec names no Secret.

    The credentials have texts if the values of `secret` have texts.
    """
    use = secret_use(number, mask)
    if use is None:
        return None
    return secret if isinstance(secret, Verdict) else resolve(use, secret, installation.secret_rules)


def _foreign(number: PhoneNumber, owned: Owned, snapshot: Snapshot, installation: Installation) -> tuple[Trunk, ...]:
    """The trunks for `Situation.foreign`."""
    ours = {trunk.id for trunk in owned.inbound}
    return tuple(
        trunk
        for trunk in snapshot.trunks_with(number.phone_number)
        if trunk.id not in ours and (isinstance(trunk, InboundTrunk) or marked_elsewhere(trunk, number, installation))
    )
