"""One state of LiveKit, indexed by ID, by owner and by number."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from ..core.foreign_rules import Wildcards
from ..core.ownership import Owner, owner_of, parse_mark
from ..core.trunk import DispatchRule, InboundTrunk, SipObject, normalised


@dataclass(slots=True)
class Picture:
    """Rebuilt by a snapshot, edited by our writes. IDs by owner and by number, and the owner of each marked ID.

    `retained`: by namespace the trunks whose mark says Retain; `wildcards`: rules that name no trunk; `catch_alls`:
    inbound trunks without numbers; `nameless`: whose mark is on an object without ID.
    """

    by_id: dict[str, SipObject] = field(default_factory=dict)
    by_owner: dict[Owner, set[str]] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    by_number: dict[str, set[str]] = field(default_factory=dict)
    retained: dict[str, set[str]] = field(default_factory=dict)
    rules_by_trunk: dict[str, set[str]] = field(default_factory=dict)
    wildcards: dict[str, DispatchRule] = field(default_factory=dict)
    catch_alls: dict[str, InboundTrunk] = field(default_factory=dict)
    nameless: set[Owner] = field(default_factory=set)
    _sorted: Wildcards | None = None

    def put(self, sip_object: SipObject) -> None:
        """Take in an object, in place of the one with its ID."""
        if not sip_object.id:
            owner = owner_of(sip_object)
            if owner:
                self.nameless.add(owner)
            return
        self.drop(sip_object.id)
        self.by_id[sip_object.id] = sip_object
        owner, retained = _marked(sip_object)
        if owner:
            self.by_owner.setdefault(owner, set()).add(sip_object.id)
            self.owners[sip_object.id] = owner
        if owner and retained:
            self.retained.setdefault(owner.namespace, set()).add(sip_object.id)
        for number in _numbers(sip_object):
            self.by_number.setdefault(number, set()).add(sip_object.id)
        if isinstance(sip_object, InboundTrunk) and not sip_object.numbers:
            self.catch_alls[sip_object.id] = sip_object
        for trunk in _trunks(sip_object):
            self.rules_by_trunk.setdefault(trunk, set()).add(sip_object.id)
        if isinstance(sip_object, DispatchRule) and not sip_object.trunk_ids:
            self.wildcards[sip_object.id] = sip_object
            self._sorted = None

    def drop(self, id: str) -> None:
        """Forget an object; nothing if it is not there."""
        known = self.by_id.pop(id, None)
        if known is None:
            return
        owner = self.owners.pop(id, None)
        if owner:
            _discard(self.by_owner, owner, id)
            if id in self.retained.get(owner.namespace, ()):
                _discard(self.retained, owner.namespace, id)
        for number in _numbers(known):
            _discard(self.by_number, number, id)
        self.catch_alls.pop(id, None)
        for trunk in _trunks(known):
            _discard(self.rules_by_trunk, trunk, id)
        if self.wildcards.pop(id, None):
            self._sorted = None

    def rules_of(self, trunks: Iterable[str]) -> tuple[DispatchRule, ...]:
        """The rules that name one of these trunks, by ID."""
        named = sorted({rule for trunk in trunks for rule in self.rules_by_trunk.get(trunk, ())})
        return tuple(rule for each in named if isinstance(rule := self.by_id[each], DispatchRule))

    def sorted_wildcards(self) -> Wildcards:
        """The rules without a trunk, put in order once for all numbers."""
        if self._sorted is None:
            self._sorted = Wildcards.of(self.wildcards)
        return self._sorted


_Index = TypeVar("_Index", Owner, str)


def _discard(index: dict[_Index, set[str]], key: _Index, id: str) -> None:
    found = index[key]
    found.discard(id)
    if not found:
        del index[key]


def _marked(sip_object: SipObject) -> tuple[Owner | None, bool]:
    """Whose mark it carries, and whether a trunk's says that it stays without its number."""
    if isinstance(sip_object, DispatchRule):
        return owner_of(sip_object), False
    mark = parse_mark(sip_object.metadata)
    return (mark.owner, mark.deletion_policy == "Retain") if mark else (None, False)


def _numbers(sip_object: SipObject) -> frozenset[str]:
    if isinstance(sip_object, DispatchRule):
        return frozenset()
    return frozenset(normalised(number) for number in sip_object.numbers)


def _trunks(sip_object: SipObject) -> frozenset[str]:
    return frozenset(sip_object.trunk_ids) if isinstance(sip_object, DispatchRule) else frozenset()
