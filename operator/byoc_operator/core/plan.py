"""From what should be and what is to the ordered changes between them. Used by reconcile, sweep and Observe alike."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from .desired import Desired, RecreateValues
from .ownership import Owned, owner_of, parse_mark
from .trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject, kind_of


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object. A rule without trunk gets the number's inbound trunk, made just before it."""

    wanted: SipObject


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace `wanted.id` whole, in place. `fields`: paths that differ, empty for a mere refresh."""

    wanted: SipObject
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object that is ours. `duplicate`: the number keeps another of this kind."""

    kind: Kind
    id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Change nothing but a trunk's mark (its metadata)."""

    kind: Kind
    id: str
    metadata: str


Change = Create | Replace | Delete | Remark

CREATE_ORDER = (Kind.OUTBOUND_TRUNK, Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE)
"""A rule names its trunk, so the trunk comes first; deletion goes the other way, so that no rule dangles."""


@dataclass(frozen=True, slots=True)
class Recreation:
    """Which trunks the `recreate` annotation still asks to make anew, and what all marks should say."""

    due: frozenset[Kind]
    values: RecreateValues


def recreation(owned: Owned, asked: str, handled: str, *, now: bool) -> Recreation:
    """`asked`: the annotation's value; `handled`: the value in the status, believed only where a mark is lost.

    `now`: whether it can be done; else existing trunks keep the value they have, so that it is still asked for later.

    The value in the trunk's own mark decides, so that a crash, a restored status or a copied manifest repeats nothing.
    """
    due: set[Kind] = set()
    values = {Kind.OUTBOUND_TRUNK: asked, Kind.INBOUND_TRUNK: asked}
    kept: tuple[OutboundTrunk | InboundTrunk, ...] = (*owned.outbound[:1], *owned.inbound[:1])
    for trunk in kept:
        mark = parse_mark(trunk.metadata)
        done = mark.recreate if mark else handled
        if now and asked and asked != done:
            due.add(kind_of(trunk))
        else:
            values[kind_of(trunk)] = done
    return Recreation(frozenset(due), RecreateValues(values[Kind.OUTBOUND_TRUNK], values[Kind.INBOUND_TRUNK]))


@dataclass(frozen=True, slots=True)
class Terms:
    """How to plan.

    `blocked`: kinds to leave exactly as they are; `recreate`: kinds to make anew; `refresh`: replace all;
    `secret_changed`: whether the Secret changed since it was last written, for servers that list no passwords.
    """

    blocked: frozenset[Kind] = frozenset()
    recreate: frozenset[Kind] = frozenset()
    refresh: bool = False
    secret_changed: bool = False


def plan(want: Desired, have: Owned, terms: Terms) -> tuple[Change, ...]:
    """The changes in the order to apply them: deletions (rule, inbound, outbound), then the rest the other way round.

    Nothing that is not in `have` is ever touched, and nothing when `want` and `have` agree.
    """
    blocked = terms.blocked
    anew = terms.recreate - blocked
    if Kind.INBOUND_TRUNK in anew:
        anew |= {Kind.DISPATCH_RULE}
    kept = {
        Kind.OUTBOUND_TRUNK: _kept(have.outbound, anew),
        Kind.INBOUND_TRUNK: _kept(have.inbound, anew),
        Kind.DISPATCH_RULE: _kept(have.rules, anew),
    }
    trunk = kept[Kind.INBOUND_TRUNK]
    wanted: dict[Kind, SipObject | None] = {
        Kind.OUTBOUND_TRUNK: want.outbound,
        Kind.INBOUND_TRUNK: want.inbound,
        Kind.DISPATCH_RULE: replace(want.rule, trunk_ids=(trunk.id,)) if want.rule and trunk else want.rule,
    }
    if trunk is None and Kind.INBOUND_TRUNK in blocked:
        blocked |= {Kind.DISPATCH_RULE}  # there is no trunk to name
    changes: list[Change] = []
    for kind in reversed(CREATE_ORDER):
        if kind not in blocked:
            changes += _removals(kind, _all(have, kind), wanted[kind], kept[kind])
    for kind in CREATE_ORDER:
        if kind not in blocked:
            changes += _makings(wanted[kind], kept[kind], terms)
    return tuple(changes)


def _all(have: Owned, kind: Kind) -> tuple[SipObject, ...]:
    match kind:
        case Kind.OUTBOUND_TRUNK:
            return have.outbound
        case Kind.INBOUND_TRUNK:
            return have.inbound
        case Kind.DISPATCH_RULE:
            return have.rules


def _kept(found: tuple[SipObject, ...], anew: frozenset[Kind]) -> SipObject | None:
    return found[0] if found and kind_of(found[0]) not in anew else None


def _removals(
    kind: Kind, found: tuple[SipObject, ...], wanted: SipObject | None, kept: SipObject | None
) -> Iterable[Change]:
    keep = kept.id if wanted and kept else None
    for sip_object in found:
        if sip_object.id != keep and (sip_object is found[0] or owner_of(sip_object)):
            yield Delete(kind, sip_object.id, duplicate=sip_object is not found[0])


def _makings(wanted: SipObject | None, kept: SipObject | None, terms: Terms) -> Iterable[Change]:
    if wanted is None:
        return
    if kept is None:
        yield Create(wanted)
        return
    paths = differences(wanted, kept, secret_changed=terms.secret_changed)
    if paths or terms.refresh:
        yield Replace(replace(wanted, id=kept.id), paths)


def differences(wanted: SipObject, kept: SipObject, *, secret_changed: bool = False) -> tuple[str, ...]:
    """Paths of the fields in which two objects of one kind differ, like `outboundTrunk.address`; never a value."""
    kind = kind_of(wanted)
    paths: list[str] = []
    for field in fields(wanted):
        if not field.compare or getattr(wanted, field.name) == getattr(kept, field.name):
            continue
        if field.name == "extra":
            paths += [f"{kind}.{name}" for name in getattr(kept, field.name)]
        elif field.name != "password" or not _unlisted(kept) or secret_changed:
            paths.append(f"{kind}.{_camel(field.name)}")
    return tuple(paths)


def losses(wanted: SipObject, kept: SipObject) -> tuple[str, ...]:
    """Paths of what is set in `kept` and would be erased by a full replace: what an adoption must not do unasked."""
    kind = kind_of(wanted)
    lost = [f"{kind}.{name}" for name in kept.extra]
    for field in fields(wanted):
        # A rule's trunk is filled in by `plan`.
        if not field.compare or field.name in ("extra", "metadata", "name", "trunk_ids"):
            continue
        if getattr(kept, field.name) and not getattr(wanted, field.name):
            lost.append(f"{kind}.{_camel(field.name)}")
    return tuple(lost)


def _unlisted(kept: SipObject) -> bool:
    return isinstance(kept, OutboundTrunk | InboundTrunk) and not kept.password_listed


def _camel(name: str) -> str:
    first, *rest = name.removesuffix("_s").split("_")
    return first + "".join(word.capitalize() for word in rest)


def teardown(have: Owned) -> tuple[Delete, ...]:
    """What removes all of a number from LiveKit, in order."""
    return tuple(Delete(kind_of(sip_object), sip_object.id) for sip_object in have.all)


def retention(have: Owned) -> tuple[Remark, ...]:
    """What makes the marks of a number's trunks say `Retain`, so that nobody takes them for left behind."""
    changes: list[Remark] = []
    for trunk in have.trunks:
        mark = parse_mark(trunk.metadata)
        if mark and mark.deletion_policy != "Retain":
            changes.append(Remark(kind_of(trunk), trunk.id, replace(mark, deletion_policy="Retain").dump()))
    return tuple(changes)


def needs_credentials(changes: Iterable[Change]) -> bool:
    """Whether applying these changes needs the text of a credential."""
    return any(isinstance(change, Create | Replace) and _carries_credential(change.wanted) for change in changes)


def _carries_credential(wanted: SipObject) -> bool:
    match wanted:
        case OutboundTrunk() | InboundTrunk():
            return wanted.username is not None or wanted.password is not None
        case DispatchRule():
            return False
