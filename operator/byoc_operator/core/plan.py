"""Plans the changes that turn the present LiveKit objects into the wanted ones, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from .desired import Desired, RecreateValues
from .fields import FIELDS, Shape, filled
from .ownership import Owned, owner_of, parse_mark
from .trunk import CREATE_ORDER, DELETE_ORDER, DEPENDENTS, Kind, Masked, SipObject, Trunk, contradicting, kind_of


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object. A rule without a trunk gets the inbound trunk that was created just before it."""

    wanted: SipObject


@dataclass(frozen=True, slots=True)
class Replace:
    """Replace the whole object `wanted.id` in place. `fields`: the paths that differ, empty for a mere refresh."""

    wanted: SipObject
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object of ours. `duplicate`: whether another object of this kind stays."""

    kind: Kind
    id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """Change only the mark of a trunk, its metadata."""

    kind: Kind
    id: str
    metadata: str


Change = Create | Replace | Delete | Remark


def kind_of_change(change: Change) -> Kind:
    """The kind of the object that a change is about."""
    match change:
        case Create(wanted) | Replace(wanted):
            return kind_of(wanted)
        case Delete(kind) | Remark(kind):
            return kind
        case _:
            assert_never(change)


@dataclass(frozen=True, slots=True)
class Recreation:
    """`due`: the trunks that the annotation `recreate` asks to create anew. `values`: what the marks should say."""

    due: frozenset[Kind]
    values: RecreateValues


def recreation(owned: Owned, asked: str, handled: str, *, now: bool) -> Recreation:
    """The recreation that the annotation asks for and that the trunks have not had.

    The value in the mark of each trunk decides, so that a crash, a restored status or a copied manifest does not repeat
    a recreation. `asked`: the value of the annotation. `handled`: the value in the status, which counts only for a
    trunk without a mark. `now`: whether a recreation is possible; if not, the marks keep their values and the
    recreation is still due later.
    """
    due: set[Kind] = set()
    values = {Kind.OUTBOUND_TRUNK: asked, Kind.INBOUND_TRUNK: asked}
    kept: tuple[Trunk, ...] = (*owned.outbound[:1], *owned.inbound[:1])
    for trunk in kept:
        mark = parse_mark(trunk.metadata)
        done = mark.recreate if mark else handled
        if now and asked and asked != done:
            due.add(trunk.kind)
        else:
            values[trunk.kind] = done
    return Recreation(frozenset(due), RecreateValues(values[Kind.OUTBOUND_TRUNK], values[Kind.INBOUND_TRUNK]))


@dataclass(frozen=True, slots=True)
class Terms:
    """The conditions of a plan.

    `blocked`: kinds that must not be changed. `recreate`: kinds to create anew. `refresh`: whether to replace every
    object. `secret_changed`: whether the Secret changed since it was last written; it decides where LiveKit lists no
    passwords. `keeps`: whether a replace carries over the settings that the API has no word for.
    """

    blocked: frozenset[Kind] = frozenset()
    recreate: frozenset[Kind] = frozenset()
    refresh: bool = False
    secret_changed: bool = False
    keeps: bool = False


def plan(want: Desired, have: Owned, terms: Terms) -> tuple[Change, ...]:
    """The changes in the order in which to apply them, empty if `want` and `have` are equal.

    Deletions come first (rule, inbound trunk, outbound trunk), then creations and replacements in the reverse order.
    The changes touch only objects in `have`.
    """
    blocked = terms.blocked
    anew = terms.recreate - blocked
    if Kind.INBOUND_TRUNK in anew:
        anew |= DEPENDENTS[Kind.INBOUND_TRUNK]
    kept = {kind: None if kind in anew else next(iter(have.of(kind)), None) for kind in CREATE_ORDER}
    wanted = {kind: want.of(kind) for kind in CREATE_ORDER}
    trunk = kept[Kind.INBOUND_TRUNK]
    if want.rule and trunk:
        wanted[Kind.DISPATCH_RULE] = replace(want.rule, trunk_ids=(trunk.id,))
    if trunk is None and Kind.INBOUND_TRUNK in blocked:
        blocked |= DEPENDENTS[Kind.INBOUND_TRUNK]  # the rule has no trunk that it could name
    changes: list[Change] = []
    for kind in DELETE_ORDER:
        if kind not in blocked:
            changes += _removals(kind, have.of(kind), wanted[kind], kept[kind])
    for kind in CREATE_ORDER:
        if kind not in blocked:
            changes += _writes(wanted[kind], kept[kind], terms)
    return tuple(changes)


def _removals(
    kind: Kind, found: tuple[SipObject, ...], wanted: SipObject | None, kept: SipObject | None
) -> Iterable[Change]:
    keep = kept.id if wanted and kept else None
    for sip_object in found:
        if sip_object.id != keep and (sip_object is found[0] or owner_of(sip_object)):
            yield Delete(kind, sip_object.id, duplicate=sip_object is not found[0])


def _writes(wanted: SipObject | None, kept: SipObject | None, terms: Terms) -> Iterable[Change]:
    if wanted is None:
        return
    if kept is None:
        yield Create(wanted)
        return
    paths = differences(wanted, kept, secret_changed=terms.secret_changed, keeps=terms.keeps)
    if paths or terms.refresh:
        yield Replace(replace(wanted, id=kept.id), paths)


def differences(
    wanted: SipObject, kept: SipObject, *, secret_changed: bool = False, keeps: bool = False
) -> tuple[str, ...]:
    """Paths of the fields in which two objects of one kind differ, such as `outboundTrunk.address`; never a value.

    `secret_changed`, `keeps`: as in `Terms`.
    """
    if wanted == kept:
        return ()
    paths: list[str] = []
    for field in FIELDS[wanted.kind]:
        if getattr(wanted, field.attribute) == getattr(kept, field.attribute):
            continue
        if not field.withheld or kept.password_listed or secret_changed:
            paths.append(field.path)
    if wanted.extra != kept.extra:
        paths += _beyond_ours(kept, keeps=keeps)
    return tuple(paths)


def losses(wanted: SipObject, kept: SipObject, *, keeps: bool = False) -> tuple[str, ...]:
    """Paths of the fields that `kept` sets and a replacement would erase. An adoption needs `force` to do so.

    `keeps`: as in `Terms`.
    """
    lost = _beyond_ours(kept, keeps=keeps)
    lost += [
        field.path
        for field in FIELDS[wanted.kind]
        if not field.always_set and getattr(kept, field.attribute) and not getattr(wanted, field.attribute)
    ]
    return tuple(lost)


def _beyond_ours(kept: SipObject, *, keeps: bool) -> list[str]:
    """Paths of the fields that the operator never sets and a replacement would erase."""
    return [f"{kept.kind}.{name}" for name in (contradicting(kept) if keeps else kept.extra)]


def teardown(have: Owned) -> tuple[Delete, ...]:
    """The deletions of all objects of a number, in order."""
    return tuple(Delete(kind_of(sip_object), sip_object.id) for sip_object in have.all)


def retention(have: Owned) -> tuple[Remark, ...]:
    """The changes that write `Retain` into the marks of a number's trunks, so that the trunks do not become orphans."""
    changes: list[Remark] = []
    for trunk in have.trunks:
        mark = parse_mark(trunk.metadata)
        if mark and mark.deletion_policy != "Retain":
            changes.append(Remark(kind_of(trunk), trunk.id, replace(mark, deletion_policy="Retain").dump()))
    return tuple(changes)


def needs_credentials(changes: Iterable[Change]) -> bool:
    """Whether these changes write a credential of the Secret.

    A header with a credential does not count: without a Secret its value comes from the spec.
    """
    return any(isinstance(change, Create | Replace) and _carries_credential(change.wanted) for change in changes)


def with_texts(changes: Iterable[Change], known: Mapping[str, Masked]) -> tuple[Change, ...]:
    """The changes with the texts of credentials in place of their digests. `known`: the credentials by digest."""
    return tuple(
        replace(change, wanted=filled(change.wanted, known)) if isinstance(change, Create | Replace) else change
        for change in changes
    )


def _carries_credential(wanted: SipObject) -> bool:
    table = FIELDS[wanted.kind]
    return any(each.shape is Shape.CREDENTIAL and getattr(wanted, each.attribute) is not None for each in table)


def verbs(changes: Iterable[Change]) -> list[str]:
    """The changes in words, such as `create the outboundTrunk` or `replace the inboundTrunk (inboundTrunk.name)`."""
    told: list[str] = []
    for change in changes:
        match change:
            case Create(wanted):
                told.append(f"create the {kind_of(wanted)}")
            case Replace(wanted, fields):
                told.append(f"replace the {kind_of(wanted)}" + (f" ({', '.join(fields)})" if fields else ""))
            case Delete(kind, id):
                told.append(f"delete the {kind} {id}")
            case Remark(kind, id):
                told.append(f"mark the {kind} {id}")
            case _:
                assert_never(change)
    return told


def paths(changes: Iterable[Change]) -> tuple[str, ...]:
    """The paths that the changes touch, such as `outboundTrunk.address`; the kind for a whole object. Never a value."""
    found: list[str] = []
    for change in changes:
        match change:
            case Create(wanted):
                found.append(str(kind_of(wanted)))
            case Replace(wanted, fields):
                found += fields or (str(kind_of(wanted)),)
            case Delete(kind, _):
                found.append(str(kind))
            case Remark(kind, _):
                found.append(f"{kind}.metadata")
            case _:
                assert_never(change)
    return tuple(dict.fromkeys(found))
