"""What a user asks to take over in LiveKit: each ID is ours already, taken, not there any more, or refused.

What is refused is told with its reason, and nothing is made beside it: `docs/decisions/0027-adoption-and-moves.md`.
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
"""How many phone numbers of a trunk, or kinds of its marks, a message shows at most."""

_MAX_SHOWN = 128
"""Characters of a text in a message: IDs of LiveKit have 15, and a few of them may stand between wrong separators."""

_EVERY = frozenset(Kind)
_ABSENT = "is not in LiveKit"
_MALFORMED = "is no LiveKit ID (they begin with ST_ or SDR_; commas separate them)"
_TOO_MANY = f"is one more than the {MAX_ADOPTED} IDs allowed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An ID that is not taken over, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """What becomes of a wish.

    `taken`: free objects, to be ours from now on. `refused`: what keeps the wish from being fulfilled. `absent`: IDs
    that LiveKit does not have, although the number has all that it needs: they may have been adopted and made anew
    since. `withheld`: kinds of which the number has none, and gets none while something is refused.
    """

    taken: Owned = field(default_factory=Owned)
    refused: tuple[Refusal, ...] = ()
    absent: tuple[str, ...] = ()
    withheld: frozenset[Kind] = frozenset()

    @property
    def verdict(self) -> Verdict | None:
        """What of the wish cannot be done, None if all can."""
        if not self.refused:
            return None
        told = "; ".join(f"{_shown(each.id)} {each.why}" for each in self.refused)
        names = [kind.label for kind in Kind if kind in self.withheld]
        until = f" Until then the operator makes no {', no '.join(names)} for this object." if names else ""
        message = f"Not all that the annotation {ADOPT} names can be taken over: {told}."
        return Verdict(Reason.ADOPTION_REFUSED, f"{message} Correct the annotation, or take it away.{until}")


def judge(
    number: PhoneNumber,
    owned: Owned,
    by_id: Mapping[str, SipObject],
    installation: Installation,
    is_gone: Callable[[Owner], bool],
) -> Adoption:
    """Judge the wish of a number with a valid spec. `is_gone`: whether no object of that namespace and name is there.

    Free is what carries nobody's mark, or that of a gone object of this installation and namespace, and exactly this
    number; a rule is free with its trunk. A wish that was fulfilled before asks for nothing more: its IDs may be gone.
    """
    ours = set(owned.ids)
    asked = [each for each in number.requested.adopt_ids if each not in ours]
    if not asked and not number.requested.adopt_over:
        return Adoption()
    candidates = _Candidates(number, owned, installation, is_gone)
    known = [by_id[each] for each in asked if each in by_id]
    for each in sorted(known, key=lambda each: isinstance(each, DispatchRule)):  # a rule goes with its trunk
        candidates.look_at(each)
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
    """The objects that one wish names; each is taken or refused, trunks first."""

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

    def look_at(self, each: SipObject) -> None:
        """Take it or refuse it."""
        why = self._refusal(each)
        if why:
            self.refused.append(Refusal(each.id, why))
        else:
            self.taken += _alone(each)

    def lacking(self) -> frozenset[Kind]:
        """Kinds that the number needs and has none of; one that LiveKit lost is made again all the same."""
        recorded = self._number.status.ids
        there = {kind_of(each) for each in (self._owned + self.taken).all}
        lost = {
            Kind.OUTBOUND_TRUNK: recorded.outbound,
            Kind.INBOUND_TRUNK: recorded.inbound,
            Kind.DISPATCH_RULE: recorded.rule,
        }
        needed = _EVERY if self._calls_in else frozenset({Kind.OUTBOUND_TRUNK})
        return needed - there - {kind for kind, before in lost.items() if before}

    def _refusal(self, each: SipObject) -> str:
        """Why it is not taken over, empty if it is."""
        if not self._installation.adoption_allowed:
            return "is not taken over, as this operator allows no adoption (BYOC_ADOPTION)"
        return self._of_somebody(owner_of(each)) or self._unfit(each) or self._superfluous(each)

    def _of_somebody(self, owner: Owner | None) -> str:
        """Names stay within their namespace; an installation's ID, within namespace and name."""
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
        if isinstance(each, InboundTrunk | OutboundTrunk):
            return other_numbers(each, self._number.phone_number)
        if len(each.trunk_ids) != 1:
            return "names several trunks" if each.trunk_ids else "names no trunk"
        trunks = {trunk.id for trunk in (*self._owned.inbound, *self.taken.inbound)}
        return "" if set(each.trunk_ids) <= trunks else "names a trunk that is not this object's"

    def _superfluous(self, each: SipObject) -> str:
        """Why the number has no use for it: it would be deleted.

        Duplicates that a former object left are taken all the same, and deleted.
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
    """What is said of a mark of another installation. Its ID is told only for this very namespace and name."""
    if (owner.namespace, owner.name) != (number.key.namespace, number.key.name):
        return "carries the mark of another installation of this operator"
    ids = ",".join((*installation.ids, owner.installation))
    return (
        f"carries the mark of this namespace and name of another installation, {owner.installation} (if that one has "
        f"stopped, run this operator with BYOC_INSTALLATION_ID={ids})"
    )


def other_numbers(trunk: InboundTrunk | OutboundTrunk, phone_number: str) -> str:
    """What is said of a trunk that does not carry exactly this number, empty if it does."""
    numbers = dict.fromkeys(map(normalised, trunk.numbers))
    others = [each for each in numbers if each != phone_number]
    if not others:
        return "" if numbers else "carries no number"
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    shown = ", ".join(map(_shown, others[:SHOWN])) + more
    if phone_number in numbers:
        return f"carries other numbers too ({shown}): take them out of it in LiveKit first"
    return f"carries another number ({shown})"


def lost(want: Desired, taken: Owned) -> tuple[str, ...]:
    """What taking objects over would erase."""
    wanted: Iterable[SipObject | None] = (want.outbound, want.inbound, want.rule)
    by_kind = {kind_of(each): each for each in wanted if each is not None}
    return tuple(
        path for each in taken.all if kind_of(each) in by_kind for path in losses(by_kind[kind_of(each)], each)
    )


def waits(lost: tuple[str, ...]) -> Verdict | None:
    """An adoption that would erase fields waits until the user agrees."""
    if not lost:
        return None
    message = (
        "Taking the objects over would erase fields that status.pendingChanges lists. Put them into the spec where it "
        f"has them, or add `,{FORCE}` to the annotation {ADOPT}."
    )
    return Verdict(Reason.CHANGES_PENDING, message, stalled=False)


def _kinds(id: str) -> frozenset[Kind]:
    """Which kinds of object may have this ID."""
    return frozenset(kind for kind in Kind if id.startswith(kind.id_prefix))


def _alone(each: SipObject) -> Owned:
    match each:
        case OutboundTrunk():
            return Owned(outbound=(each,))
        case InboundTrunk():
            return Owned(inbound=(each,))
        case DispatchRule():
            return Owned(rules=(each,))


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
