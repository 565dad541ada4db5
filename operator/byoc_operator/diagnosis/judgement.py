"""The judgement of one number as the operator would make it, of what was read of the cluster and of LiveKit.

It is made as if the operator wrote to LiveKit now: whoever pauses or observes a number still wants to know what drifts.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.recorded_status import Finding
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy, PhoneNumberSpec
from ..core.aliases import Unavailable
from ..core.assessment import Assessment
from ..core.assumed_secrets import assumed_secret
from ..core.credentials import Credentials, SecretFacts, SecretRules, SecretUse, resolve
from ..core.desired import Installation
from ..core.field_changes import credential_paths
from ..core.holders import Listed
from ..core.outside_view import World, judged_outside
from ..core.ownership import Owned
from ..core.plan import Change, Create, Delete, Remark, Replace, kind_of_change
from ..core.situation import secret_uses
from ..core.snapshot import Snapshot
from ..core.trunk import DispatchRule, InboundTrunk, Kind, Mask
from .facts import Facts, LiveKitSeen, SecretSeen, Unseen


@dataclass(frozen=True, slots=True)
class SecretView:
    """One use of a Secret by the number, and the Secret as it was read.

    `credentials`: those that the Secret gives, or why it gives none; None if it is not known.
    """

    use: SecretUse
    secret: SecretSeen | Unseen
    credentials: Credentials | Verdict | None

    @property
    def label(self) -> str:
        """Namespace and name of the Secret."""
        return f"{self.use.namespace}/{self.use.name}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows. `claimed`: why the number is another object's; `owned`: what is this object's in LiveKit.

    `assumed`: whether LiveKit's credentials were taken for right, as those of a Secret are not known. `aliases`: those
    that others have.
    """

    number: PhoneNumber
    spec: PhoneNumberSpec
    installation: Installation
    owned: Owned
    assessment: Assessment
    trunks: tuple[InboundTrunk, ...]
    rules: tuple[DispatchRule, ...]
    claimed: Verdict | None
    assumed: bool
    aliases: Unavailable

    def changes(self, kind: Kind) -> tuple[Change, ...]:
        """What the operator would change in the objects of one kind."""
        return tuple(each for each in self.assessment.changes if kind_of_change(each) is kind)

    def drift(self, kind: Kind) -> tuple[str, ...]:
        """Paths of the fields that are otherwise than they should be."""
        found = [path for each in self.changes(kind) if isinstance(each, Replace) for path in each.fields]
        found += [f"{kind}.metadata" for each in self.changes(kind) if isinstance(each, Remark)]
        return tuple(path for path in found if not (self.assumed and path in credential_paths()))

    def missing(self, kind: Kind) -> bool:
        """Whether LiveKit lacks an object that should be there."""
        return any(isinstance(each, Create) for each in self.changes(kind))

    def surplus(self, kind: Kind) -> tuple[str, ...]:
        """IDs of what should not be there."""
        return tuple(each.id for each in self.changes(kind) if isinstance(each, Delete))

    @property
    def conflict(self) -> Verdict | None:
        """What other people's trunks are in the way, None if none are."""
        verdict = self.assessment.verdict
        return verdict if verdict is not None and verdict.reason is Reason.NUMBER_CONFLICT else None

    def finding(self, *codes: str) -> tuple[Finding, ...]:
        """The findings with these codes."""
        return tuple(each for each in self.assessment.findings if each.code in codes)


def secret_views(facts: Facts, mask: Mask) -> tuple[SecretView, ...]:
    """The uses of Secrets by the number, in the order of the references; empty without a valid spec."""
    if facts.number is None:
        return ()
    installation = facts.installation
    rules = SecretRules() if isinstance(installation, Unseen) else installation.secret_rules
    uses = secret_uses(facts.number, mask)
    return tuple(_secret_view(use, facts.secrets.get(use.name, Unseen("nobody has read it")), rules) for use in uses)


def _secret_view(use: SecretUse, secret: SecretSeen | Unseen, rules: SecretRules) -> SecretView:
    if isinstance(secret, Unseen):
        return SecretView(use, secret, None)
    found = resolve(use, secret.facts, rules)
    unopened = isinstance(found, Verdict) and found.reason is Reason.SEALING_KEY_UNKNOWN
    return SecretView(use, secret, None if unopened and secret.sealed_unknown else found)


def judged(facts: Facts, mask: Mask) -> Judged | None:
    """The judgement, None if the object, its spec, the operator's settings or LiveKit's lists are not known."""
    number, installation, livekit = facts.number, facts.installation, facts.livekit
    if number is None or number.spec is None or isinstance(installation, Unseen):
        return None
    if not isinstance(livekit, LiveKitSeen) or livekit.problem is not None:
        return None
    listed = None if isinstance(facts.numbers, Unseen) else Listed.of(facts.numbers)
    world = World(Snapshot.holding(livekit.objects), listed, installation, mask, facts.now_s)
    views = secret_views(facts, mask)
    assumed = {each.use.name for each in views if not isinstance(each.credentials, Credentials)}
    found = judged_outside(
        number,
        _as_managed(number),
        world,
        lambda owned: _known(views) | _assumed(number, views, assumed, owned, facts.now_s),
    )
    situation = found.situation
    return Judged(
        number=number,
        spec=number.spec,
        installation=installation,
        owned=situation.owned + situation.adoption.taken,
        assessment=found.assessment,
        trunks=tuple(each for each in livekit.objects if isinstance(each, InboundTrunk)),
        rules=tuple(each for each in livekit.objects if isinstance(each, DispatchRule)),
        claimed=found.claimed,
        assumed=bool(assumed),
        aliases=situation.aliases,
    )


def _as_managed(number: PhoneNumber) -> PhoneNumber:
    requested = replace(number.requested, paused=False, refresh="", recreate="")
    return replace(number, deleting=False, management_policy=ManagementPolicy.MANAGE, requested=requested)


def _known(views: Collection[SecretView]) -> dict[str, SecretFacts | None]:
    """The Secrets that were read, by name."""
    return {each.use.name: each.secret.facts for each in views if isinstance(each.secret, SecretSeen)}


def _assumed(
    number: PhoneNumber, views: Collection[SecretView], names: Collection[str], owned: Owned, now_s: float
) -> dict[str, SecretFacts | None]:
    """The Secrets that give no credentials, by name: those that LiveKit has are taken for right."""
    uses = {name: [each.use for each in views if each.use.name == name] for name in names}
    return {name: assumed_secret(number, each, owned, now_s) for name, each in uses.items()}
