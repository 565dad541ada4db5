"""Makes the `Situation` of one `ByocPhoneNumber`: everything that `assessment.assess` takes into account.

`situation_of` needs a snapshot of LiveKit and some facts of the cluster, and makes no request.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..api import secret_keys
from ..api.conditions import Verdict
from ..api.resource import PhoneNumber
from ..api.schema import DeletionPolicy, PhoneNumberSpec
from ..api.schema_types import SecretKeyRef
from ..api.secret_references import INBOUND_CREDENTIALS, RECORDING_STORAGES, SIP_PASSWORD, Reference, references
from .adoption import Adoption, adoption_of
from .aliases import Unavailable, unavailable
from .conflict import marked_elsewhere
from .credential_values import Field, field_of
from .credentials import SecretUse, UsedKey
from .credentials_in_use import CredentialsInUse, SecretsByName, resolved
from .desired import Installation, asks_with
from .foreign_rules import ForeignRules
from .ownership import Owned, Owner
from .snapshot import Snapshot
from .trunk import InboundTrunk, Kind, Mask, Masked, Trunk


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known of an object at one time. It has no text of a credential.

    `owned`: the object's own trunks and rules in LiveKit. `foreign`: foreign inbound trunks with the number, and each
    trunk with the number that another installation marked for an object of this namespace and name. `foreign_rules`:
    foreign rules that may get calls to the number. `credentials`: those of every Secret that the spec uses. `claimed`:
    why another object gets the number, None if this object has it. `adoption`: what follows from the annotation
    `adopt`. `aliases`: the aliases that others have. `may_retain`: whether deletionPolicy Retain is allowed.
    """

    number: PhoneNumber
    owned: Owned
    foreign: tuple[Trunk, ...] = ()
    foreign_rules: ForeignRules = field(default_factory=ForeignRules)
    credentials: CredentialsInUse = field(default_factory=CredentialsInUse)
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

    `secrets`: the Secrets that the object uses. `claimed`: why another object gets the number
    (`claims.Allocation.verdict`), None if this object has it. `aliases`: why other objects have aliases of this one
    (`aliases.refusals`). `is_gone`: whether no object with an owner's namespace and name exists. `may_retain`: whether
    deletionPolicy Retain is allowed; the setting BYOC_RETAIN may limit it.
    """

    secrets: SecretsByName = field(default_factory=dict)
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
    credentials = credentials_of(number, cluster.secrets, installation, mask)
    return Situation(
        number=number,
        owned=owned,
        foreign=_foreign(number, owned, known, installation),
        foreign_rules=known.foreign_rules((number.phone_number, *number.aliases), owned + adoption.taken),
        credentials=credentials.without_texts,
        adoption=adoption,
        aliases=aliases,
        may_retain=cluster.may_retain,
    )


def owned_of(number: PhoneNumber, snapshot: Snapshot, installation: Installation) -> Owned:
    """The trunks and rules in LiveKit that belong to an object."""
    owners = installation.owners(number.key.namespace, number.key.name)
    return snapshot.owned(owners, number.phone_number, number.status.ids, (*number.aliases, *number.status.aliases))


def secret_uses(number: PhoneNumber, mask: Mask) -> tuple[SecretUse, ...]:
    """How an object uses Secrets, one entry for each reference of its spec; empty if the spec is invalid."""
    spec = number.spec
    return () if spec is None else tuple(_use(each, spec, number.key.namespace, mask) for each in references(spec))


def _use(reference: Reference, spec: PhoneNumberSpec, namespace: str, mask: Mask) -> SecretUse:
    path, to = reference.path, reference.to
    keys = [UsedKey(field_of(key), key) for key in to.keys]
    given: dict[Field, Masked] = {}
    if isinstance(to, SecretKeyRef):
        keys.append(UsedKey(Field.PASSWORD, to.key, f"name the right key in {path}.key"))
        if path == SIP_PASSWORD and spec.sip_username:
            given[Field.USERNAME] = mask(spec.sip_username)
        else:
            remedy = "set spec.sipUsername" if path == SIP_PASSWORD else ""
            keys.append(UsedKey(Field.USERNAME, secret_keys.USERNAME, remedy))
    return SecretUse(path, namespace, to.name, tuple(keys), given, _kinds(path, spec))


def _kinds(path: str, spec: PhoneNumberSpec) -> frozenset[Kind]:
    """The kinds of LiveKit object that need the values of a reference."""
    if path == INBOUND_CREDENTIALS:
        return frozenset({Kind.INBOUND_TRUNK})
    if path in RECORDING_STORAGES.values():
        return frozenset({Kind.DISPATCH_RULE})
    return frozenset({Kind.OUTBOUND_TRUNK, *((Kind.INBOUND_TRUNK,) if asks_with(spec) == path else ())})


def credentials_of(
    number: PhoneNumber, secrets: SecretsByName, installation: Installation, mask: Mask
) -> CredentialsInUse:
    """The credentials of an object. They have texts if the values of `secrets` have texts."""
    return resolved(secret_uses(number, mask), secrets, installation.secret_rules)


def _foreign(number: PhoneNumber, owned: Owned, snapshot: Snapshot, installation: Installation) -> tuple[Trunk, ...]:
    """The trunks for `Situation.foreign`."""
    ours = {trunk.id for trunk in owned.inbound}
    return tuple(
        trunk
        for trunk in snapshot.trunks_with(number.phone_number)
        if trunk.id not in ours and (isinstance(trunk, InboundTrunk) or marked_elsewhere(trunk, number, installation))
    )
