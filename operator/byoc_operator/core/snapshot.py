"""All trunks and dispatch rules in LiveKit at one time, ours and foreign ones, with indexes for look-ups."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from ..api.recorded_status import RecordedIds
from .foreign_rules import ForeignRules, Wildcards
from .ownership import Owned, Owner, claim, owner_of, parse_mark
from .trunk import DispatchRule, InboundTrunk, SipObject, Trunk, normalised


class Snapshot:
    """Trunks and dispatch rules, indexed by ID, owner, phone number and trunk.

    `Snapshot.holding(objects)` makes a snapshot of LiveKit's lists. `livekit_sip.inventory` calls `put` and `drop`
    after each write, so that the snapshot stays current. All other code only reads.
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
        """Every object by its ID."""
        return MappingProxyType(self._by_id)

    def owned(
        self, owners: Iterable[Owner], phone_number: str, recorded: RecordedIds, aliases: Collection[str] = ()
    ) -> Owned:
        """The objects that belong to one `ByocPhoneNumber`; see `ownership.claim`. `recorded`: IDs of its status."""
        marked = [self._by_id[known] for owner in owners for known in self._by_owner.get(owner, ())]
        return claim(phone_number, recorded, marked, self._by_id, aliases)

    def owner(self, id: str) -> Owner | None:
        """The owner in an object's mark, None if there is no mark or no such object."""
        return self._owners.get(id)

    def owners(self) -> list[tuple[str, Owner]]:
        """The ID of every object with a mark, and the owner in the mark."""
        return list(self._owners.items())

    def marked_by(self, owner: Owner) -> list[SipObject]:
        """Every object with the mark of this owner."""
        return [self._by_id[each] for each in self._by_owner.get(owner, ())]

    def has_mark_of(self, owners: Iterable[Owner]) -> bool:
        """Whether an object has the mark of one of these owners."""
        return any(owner in self._by_owner for owner in owners)

    def lacks_id_of(self, owner: Owner) -> bool:
        """Whether LiveKit listed an object with the mark of this owner and without a usable ID."""
        return owner in self._without_id

    def owners_with(self, phone_number: str) -> dict[Owner, list[str]]:
        """The trunks with this number that have a mark: their IDs, by owner."""
        found: dict[Owner, list[str]] = {}
        for each in self._by_number.get(phone_number, ()):
            owner = self._owners.get(each)
            if owner is not None:
                found.setdefault(owner, []).append(each)
        return found

    def trunks_with(self, phone_number: str) -> list[Trunk]:
        """Every trunk with this number, ours or foreign, in the order of the IDs."""
        found = (self._by_id[each] for each in sorted(self._by_number.get(phone_number, ())))
        return [each for each in found if not isinstance(each, DispatchRule)]

    def retained_in(self, namespace: str) -> list[tuple[str, Owner]]:
        """The trunks whose mark names this namespace and says Retain: their IDs, with the owner in the mark."""
        return [(each, self._owners[each]) for each in self._retained.get(namespace, ())]

    def foreign_rules(self, phones: Iterable[str], owned: Owned) -> ForeignRules:
        """The foreign rules that may get calls to a number or its aliases. `owned`: the number's own objects.

        The rules without trunks are sorted once for all numbers.
        """
        ours = {rule.id for rule in owned.rules}
        trunk = owned.inbound[0].id if owned.inbound else ""
        catch_alls = [each for _, each in sorted(self._catch_alls.items()) if each.id not in owned.ids]
        if self._sorted is None:
            self._sorted = Wildcards.of(self._wildcards)
        wildcards = self._sorted
        return ForeignRules(
            on_trunk=tuple(rule for rule in self._rules_of([trunk]) if rule.id not in ours),
            wildcards=tuple(rule for rule in wildcards.for_numbers(phones) if rule.id not in ours),
            catch_alls=tuple(catch_alls),
            on_catch_alls=self._rules_of([each.id for each in catch_alls]),
            contradicting=wildcards.contradicting,
        )

    def _rules_of(self, trunks: Iterable[str]) -> tuple[DispatchRule, ...]:
        """The rules that name one of these trunks, in the order of the IDs."""
        named = sorted({rule for trunk in trunks for rule in self._rules_by_trunk.get(trunk, ())})
        return tuple(rule for each in named if isinstance(rule := self._by_id[each], DispatchRule))

    # Keeping current

    def put(self, sip_object: SipObject) -> None:
        """Add an object, or replace the object with its ID."""
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
        """Remove an object. Nothing happens if there is no such object."""
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
    """Remove an ID from an index, and the entry of the index if it is empty then."""
    found = index[key]
    found.discard(id)
    if not found:
        del index[key]


def _marked(sip_object: SipObject) -> tuple[Owner | None, bool]:
    """The owner in an object's mark, None for no mark; and whether the mark of a trunk says Retain."""
    if isinstance(sip_object, DispatchRule):
        return owner_of(sip_object), False
    mark = parse_mark(sip_object.metadata)
    return (mark.owner, mark.deletion_policy == "Retain") if mark else (None, False)


def _numbers(sip_object: SipObject) -> frozenset[str]:
    """The phone numbers of a trunk as LiveKit compares them."""
    return frozenset(map(normalised, sip_object.numbers))
