"""LiveKit objects with our mark that belong to no number: what a lost finalizer or an old backup leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .ownership import Owner, owner_of, parse_mark
from .trunk import DispatchRule, Kind, SipObject, kind_of


@dataclass(frozen=True, slots=True)
class Orphan:
    """One object that nobody looks after."""

    kind: Kind
    id: str
    owner: Owner


def orphans(by_id: Mapping[str, SipObject], is_ours: Callable[[Owner], bool]) -> tuple[Orphan, ...]:
    """All orphans, rules before inbound trunks before outbound trunks, as they would have to be deleted.

    `is_ours`: whether an owner is of this installation, in a namespace that is watched, and without an object. What was
    retained on purpose is none: trunks say so in their mark, and a rule is judged by the trunk that it names.
    """
    found = [
        Orphan(kind_of(each), each.id, owner)
        for each in by_id.values()
        if (owner := owner_of(each)) is not None and is_ours(owner) and not _retained(each, by_id)
    ]
    order = (Kind.DISPATCH_RULE, Kind.INBOUND_TRUNK, Kind.OUTBOUND_TRUNK)
    return tuple(sorted(found, key=lambda orphan: (order.index(orphan.kind), orphan.id)))


def _retained(each: SipObject, by_id: Mapping[str, SipObject]) -> bool:
    if isinstance(each, DispatchRule):
        trunks = [by_id[trunk] for trunk in each.trunk_ids if trunk in by_id]
        return any(_retained(trunk, by_id) for trunk in trunks if not isinstance(trunk, DispatchRule))
    mark = parse_mark(each.metadata)
    return mark is not None and mark.deletion_policy == "Retain"
