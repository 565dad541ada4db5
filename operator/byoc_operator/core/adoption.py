"""The annotation `adopt`: which LiveKit objects a `ByocPhoneNumber` takes over, and why others are refused.

Each ID of the annotation belongs to the object already, is taken over, is absent from LiveKit, or is refused. While an
ID is refused, no missing LiveKit object is created: `docs/decisions/0027-adoption-and-moves.md`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..api.conditions import Reason, Verdict
from ..api.names import ADOPT
from ..api.resource import FORCE, MAX_ADOPTED, PhoneNumber
from .desired import Desired, Installation
from .orphans import is_livekit_id
from .ownership import Owned, Owner, owner_of
from .plan import losses
from .trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, kind_of, normalised

SHOWN = 3
"""How many phone numbers, IDs or remedies a message shows at most."""

_MAX_SHOWN = 128
"""Characters of a quoted text in a message. An ID of LiveKit has 15; wrong separators join several to one text."""

_ALL_KINDS = frozenset(Kind)
_ABSENT = "is not in LiveKit"
_MALFORMED = "is no LiveKit ID (they begin with ST_ or SDR_; commas separate them)"
_TOO_MANY = f"is one more than the {MAX_ADOPTED} IDs allowed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ID of the annotation that is not taken over. `why`: a sentence about the ID, without its subject."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """What follows from the annotation `adopt` of an object.

    `taken`: the free LiveKit objects that it takes over. `refused`: the IDs that it does not take over. `absent`: IDs
    that LiveKit does not have and that the object does not need, because it has a LiveKit object of that kind; perhaps
    they were adopted and recreated later. `withheld`: the kinds that the object lacks and that are not created while
    an ID is refused.
    """

    taken: Owned = field(default_factory=Owned)
    refused: tuple[Refusal, ...] = ()
    absent: tuple[str, ...] = ()
    withheld: frozenset[Kind] = frozenset()

    @property
    def verdict(self) -> Verdict | None:
        """The verdict AdoptionRefused with every refused ID; None if no ID is refused."""
        if not self.refused:
            return None
        told = "; ".join(f"{_shown(each.id)} {each.why}" for each in self.refused)
        names = [kind.label for kind in Kind if kind in self.withheld]
        until = f" Until then the operator makes no {', no '.join(names)} for this object." if names else ""
        message = f"Not all that the annotation {ADOPT} names can be taken over: {told}."
        return Verdict(Reason.ADOPTION_REFUSED, f"{message} Correct the annotation, or take it away.{until}")


def adoption_of(
    number: PhoneNumber,
    owned: Owned,
    by_id: Mapping[str, SipObject],
    installation: Installation,
    is_gone: Callable[[Owner], bool],
) -> Adoption:
    """The adoption of an object with a valid spec. `is_gone`: whether an owner's object does not exist.

    A trunk is free if it has exactly this number and no mark, or the mark of a deleted object of this installation and
    namespace; an inbound trunk may have aliases of the object too. A rule is free if the same holds for its mark and
    its trunk is this object's. If the annotation was fulfilled before, nothing is refused or absent.
    """
    ours = set(owned.ids)
    asked = [each for each in number.requested.adopt_ids if each not in ours]
    if not asked and not number.requested.adopt_over:
        return Adoption()
    candidates = _Candidates(number, owned, installation, is_gone)
    known = [by_id[each] for each in asked if each in by_id]
    for each in sorted(
        known, key=lambda each: isinstance(each, DispatchRule)
    ):  # whether a rule is free depends on its trunk
        candidates.take_or_refuse(each)
    if number.requested.adopted_as == number.status.last_handled_adopt:
        return Adoption(taken=candidates.taken)
    lacking = candidates.lacking()
    absent = [each for each in asked if each not in by_id and is_livekit_id(each)]
    refused = [
        *candidates.refused,
        *(Refusal(each, _MALFORMED) for each in asked if each not in by_id and not is_livekit_id(each)),
        *(Refusal(each, _ABSENT) for each in absent if _kinds(each) & lacking),
        *(Refusal(each, _TOO_MANY) for each in number.requested.adopt_over),
    ]
    return Adoption(
        taken=candidates.taken,
        refused=tuple(refused),
        absent=tuple(each for each in absent if not _kinds(each) & lacking),
        withheld=lacking if refused else frozenset(),
    )


class _Candidates:
    """The LiveKit objects that one annotation names. Trunks must be offered before rules."""

    def __init__(
        self, number: PhoneNumber, owned: Owned, installation: Installation, is_gone: Callable[[Owner], bool]
    ) -> None:
        self._number = number
        self._owned = owned
        self._installation = installation
        self._is_gone = is_gone
        self._calls_in = bool(number.spec and number.spec.inbound_agent_id)
        self.taken = Owned()
        self.refused: list[Refusal] = []

    def take_or_refuse(self, each: SipObject) -> None:
        """Add one LiveKit object to `taken` or to `refused`."""
        why = self._refusal(each)
        if why:
            self.refused.append(Refusal(each.id, why))
        else:
            self.taken += _alone(each)

    def lacking(self) -> frozenset[Kind]:
        """The kinds that the object needs and does not have.

        A kind that the status names is left out: the object had one, and it is recreated.
        """
        recorded = self._number.status.ids
        there = {kind_of(each) for each in (self._owned + self.taken).all}
        lost = {
            Kind.OUTBOUND_TRUNK: recorded.outbound,
            Kind.INBOUND_TRUNK: recorded.inbound,
            Kind.DISPATCH_RULE: recorded.rule,
        }
        needed = _ALL_KINDS if self._calls_in else frozenset({Kind.OUTBOUND_TRUNK})
        return needed - there - {kind for kind, before in lost.items() if before}

    def _refusal(self, each: SipObject) -> str:
        """Why a LiveKit object is not taken over, empty if it is."""
        if not self._installation.adoption_allowed:
            return "is not taken over, as this operator allows no adoption (BYOC_ADOPTION)"
        return self._other_owner(owner_of(each)) or self._unfit(each) or self._superfluous(each)

    def _other_owner(self, owner: Owner | None) -> str:
        """Why the mark forbids an adoption, empty if it does not.

        The text names no object of another namespace, and another installation only for the same namespace and name.
        """
        key = self._number.key
        if owner is None:
            return ""
        if owner.installation not in self._installation.ids:
            return of_another_installation(owner, self._number, self._installation)
        if owner.namespace != key.namespace:
            return "belongs to an object in another namespace"
        if owner.name == key.name or self._is_gone(owner):
            return ""
        return f"belongs to ByocPhoneNumber {owner.name}"

    def _unfit(self, each: SipObject) -> str:
        """Why the number of a trunk, or the trunk of a rule, forbids an adoption; empty if it does not."""
        if isinstance(each, InboundTrunk | OutboundTrunk):
            return other_numbers(each, self._number)
        if len(each.trunk_ids) != 1:
            return "names several trunks" if each.trunk_ids else "names no trunk"
        trunks = {trunk.id for trunk in (*self._owned.inbound, *self.taken.inbound)}
        return "" if set(each.trunk_ids) <= trunks else "names a trunk that is not this object's"

    def _superfluous(self, each: SipObject) -> str:
        """Why the object does not need a LiveKit object, empty if it does. An unneeded one would be deleted.

        Duplicates with the mark of a deleted object are taken over and deleted.
        """
        kind = kind_of(each)
        another = f"is not needed: the object has another {kind.label}"
        if kind in {kind_of(other) for other in self._owned.all}:
            return another
        if owner_of(each) is not None:
            return ""
        if kind is not Kind.OUTBOUND_TRUNK and not self._calls_in:
            return "takes calls in, and spec.inboundAgentId is not set"
        return another if kind in {kind_of(other) for other in self.taken.all} else ""


def of_another_installation(owner: Owner, number: PhoneNumber, installation: Installation) -> str:
    """The part of a message about a mark of another installation, with its ID only for the same namespace and name."""
    if (owner.namespace, owner.name) != (number.key.namespace, number.key.name):
        return "carries the mark of another installation of this operator"
    ids = ",".join((*installation.ids, owner.installation))
    return (
        f"carries the mark of this namespace and name of another installation, {owner.installation} (if that one has "
        f"stopped, run this operator with BYOC_INSTALLATION_ID={ids})"
    )


def other_numbers(trunk: InboundTrunk | OutboundTrunk, number: PhoneNumber) -> str:
    """The part of a message about a trunk that does not have exactly the object's number, empty if it does.

    An inbound trunk may have aliases of the object too.
    """
    phone_number = number.phone_number
    numbers = dict.fromkeys(map(normalised, trunk.numbers))
    ours = {phone_number, *number.aliases} if isinstance(trunk, InboundTrunk) else {phone_number}
    others = [each for each in numbers if each not in ours]
    if not others:
        return "" if phone_number in numbers else "carries no number" if not numbers else "carries aliases only"
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    shown = ", ".join(map(_shown, others[:SHOWN])) + more
    if phone_number in numbers:
        return f"carries other numbers too ({shown}): take them out of it in LiveKit first"
    return f"carries another number ({shown})"


def erased_by(want: Desired, taken: Owned, *, keeps: bool) -> tuple[str, ...]:
    """The paths of the fields that an adoption would erase, because the desired objects do not have them.

    `keeps`: as in `plan.Terms`.
    """
    wanted: Iterable[SipObject | None] = (want.outbound, want.inbound, want.rule)
    by_kind = {kind_of(each): each for each in wanted if each is not None}
    return tuple(
        path
        for each in taken.all
        if kind_of(each) in by_kind
        for path in losses(by_kind[kind_of(each)], each, keeps=keeps)
    )


def erasure(paths: tuple[str, ...]) -> Verdict | None:
    """The verdict on an adoption that would erase these fields: it waits until the user agrees. None for no fields."""
    if not paths:
        return None
    message = (
        "Taking the objects over would erase fields that status.pendingChanges lists. Put them into the spec where it "
        f"has them, or add `,{FORCE}` to the annotation {ADOPT}."
    )
    return Verdict(Reason.CHANGES_PENDING, message, stalled=False)


def _kinds(id: str) -> frozenset[Kind]:
    """The kinds of LiveKit object that may have this ID, by its prefix."""
    return frozenset(kind for kind in Kind if id.startswith(kind.id_prefix))


def _alone(each: SipObject) -> Owned:
    """An `Owned` with this one object."""
    match each:
        case OutboundTrunk():
            return Owned(outbound=(each,))
        case InboundTrunk():
            return Owned(inbound=(each,))
        case DispatchRule():
            return Owned(rules=(each,))


def _shown(text: str) -> str:
    """A text, cut to the length that a message may have of it."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
