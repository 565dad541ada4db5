"""What LiveKit holds at one time, whoever's, indexed by ID, by owner and by phone number."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from ..api.recorded_status import RecordedIds
from .foreign_rules import ForeignRules, Wildcards
from .ownership import Owned, Owner, claim, owner_of, parse_mark
from .trunk import DispatchRule, InboundTrunk, SipObject, Trunk, normalised


class Snapshot:
    """Trunks and dispatch rules, by what is asked of them. `Snapshot.holding(objects)` makes one of LiveKit's lists.

    The operator keeps its snapshot current with `put` and `drop` as it writes; everybody else reads.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, SipObject] = {}
        self._by_owner: dict[Owner, set[str]] = {}
        self._owners: dict[str, Owner] = {}
        self._by_number: dict[str, set[str]] = {}
        self._retained: dict[str, set[str]] = {}
        self._rules_by_trunk: dict[str, set[str]] = {}
        self._wildcards: dict[str, DispatchRule] = {}
        self._catch_alls: dict[str, InboundTrunk] = {}
        self._without_id: set[Owner] = set()
        self._sorted: Wildcards | None = None

    @classmethod
    def holding(cls, objects: Iterable[SipObject]) -> "Snapshot":
        """A snapshot of these objects."""
        made = cls()
        for each in objects:
            made.put(each)
        return made

    def __len__(self) -> int:
        return len(self._by_id)

    # Reading

    @property
    def by_id(self) -> Mapping[str, SipObject]:
        """Every object."""
        return MappingProxyType(self._by_id)

    def owned(self, owners: Iterable[Owner], phone_number: str, recorded: RecordedIds) -> Owned:
        """What belongs to one number; see `ownership.claim`."""
        marked = [self._by_id[known] for owner in owners for known in self._by_owner.get(owner, ())]
        return claim(phone_number, recorded, marked, self._by_id)

    def owner(self, id: str) -> Owner | None:
        """Whose mark an object carries, None if it carries none or is not there."""
        return self._owners.get(id)

    def owners(self) -> list[tuple[str, Owner]]:
        """The ID of every object with a mark, and whose mark it is."""
        return list(self._owners.items())

    def marked_by(self, owner: Owner) -> list[SipObject]:
        """Every object with the mark of this owner."""
        return [self._by_id[each] for each in self._by_owner.get(owner, ())]

    def has_mark_of(self, owners: Iterable[Owner]) -> bool:
        """Whether an object has the mark of one of these owners."""
        return any(owner in self._by_owner for owner in owners)

    def lacks_id_of(self, owner: Owner) -> bool:
        """Whether an object with the mark of this owner has no ID that could be read."""
        return owner in self._without_id

    def owners_with(self, phone_number: str) -> dict[Owner, list[str]]:
        """Whose marks the trunks with this number carry, and the IDs of these trunks."""
        found: dict[Owner, list[str]] = {}
        for each in self._by_number.get(phone_number, ()):
            owner = self._owners.get(each)
            if owner is not None:
                found.setdefault(owner, []).append(each)
        return found

    def trunks_with(self, phone_number: str) -> list[Trunk]:
        """Every trunk with this number, whoever's, by ID."""
        found = (self._by_id[each] for each in sorted(self._by_number.get(phone_number, ())))
        return [each for each in found if not isinstance(each, DispatchRule)]

    def retained_in(self, namespace: str) -> list[tuple[str, Owner]]:
        """The ID of every trunk of this namespace whose mark says Retain, and whose mark it is."""
        return [(each, self._owners[each]) for each in self._retained.get(namespace, ())]

    def foreign_rules(self, phone_number: str, owned: Owned) -> ForeignRules:
        """Rules that are not the number's own and that calls to it may get; the work for all numbers is done once."""
        ours = {rule.id for rule in owned.rules}
        trunk = owned.inbound[0].id if owned.inbound else ""
        catch_alls = [each for _, each in sorted(self._catch_alls.items()) if each.id not in owned.ids]
        if self._sorted is None:
            self._sorted = Wildcards.of(self._wildcards)
        wildcards = self._sorted
        return ForeignRules(
            on_trunk=tuple(rule for rule in self._rules_of([trunk]) if rule.id not in ours),
            wildcards=tuple(rule for rule in wildcards.for_number(phone_number) if rule.id not in ours),
            catch_alls=tuple(catch_alls),
            on_catch_alls=self._rules_of([each.id for each in catch_alls]),
            contradicting=wildcards.contradicting,
        )

    def _rules_of(self, trunks: Iterable[str]) -> tuple[DispatchRule, ...]:
        """The rules that name one of these trunks, by ID."""
        named = sorted({rule for trunk in trunks for rule in self._rules_by_trunk.get(trunk, ())})
        return tuple(rule for each in named if isinstance(rule := self._by_id[each], DispatchRule))

    # Keeping current

    def put(self, sip_object: SipObject) -> None:
        """Take in an object, in place of the one with its ID."""
        if not sip_object.id:
            owner = owner_of(sip_object)
            if owner:
                self._without_id.add(owner)
            return
        self.drop(sip_object.id)
        self._by_id[sip_object.id] = sip_object
        owner, retained = _marked(sip_object)
        if owner:
            self._by_owner.setdefault(owner, set()).add(sip_object.id)
            self._owners[sip_object.id] = owner
        if owner and retained:
            self._retained.setdefault(owner.namespace, set()).add(sip_object.id)
        for number in _numbers(sip_object):
            self._by_number.setdefault(number, set()).add(sip_object.id)
        if isinstance(sip_object, InboundTrunk) and not sip_object.numbers:
            self._catch_alls[sip_object.id] = sip_object
        for trunk in frozenset(sip_object.trunk_ids):
            self._rules_by_trunk.setdefault(trunk, set()).add(sip_object.id)
        if isinstance(sip_object, DispatchRule) and not sip_object.trunk_ids:
            self._wildcards[sip_object.id] = sip_object
            self._sorted = None

    def drop(self, id: str) -> None:
        """Forget an object; nothing happens if it is not there."""
        known = self._by_id.pop(id, None)
        if known is None:
            return
        owner = self._owners.pop(id, None)
        if owner:
            _discard(self._by_owner, owner, id)
            if id in self._retained.get(owner.namespace, ()):
                _discard(self._retained, owner.namespace, id)
        for number in _numbers(known):
            _discard(self._by_number, number, id)
        self._catch_alls.pop(id, None)
        for trunk in frozenset(known.trunk_ids):
            _discard(self._rules_by_trunk, trunk, id)
        if self._wildcards.pop(id, None):
            self._sorted = None


_Index = TypeVar("_Index", Owner, str)


def _discard(index: dict[_Index, set[str]], key: _Index, id: str) -> None:
    found = index[key]
    found.discard(id)
    if not found:
        del index[key]


def _marked(sip_object: SipObject) -> tuple[Owner | None, bool]:
    """Whose mark an object carries, and whether the mark of a trunk says that it stays without its number."""
    if isinstance(sip_object, DispatchRule):
        return owner_of(sip_object), False
    mark = parse_mark(sip_object.metadata)
    return (mark.owner, mark.deletion_policy == "Retain") if mark else (None, False)


def _numbers(sip_object: SipObject) -> frozenset[str]:
    return frozenset(map(normalised, sip_object.numbers))
