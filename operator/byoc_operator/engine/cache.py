"""The objects as last read from the API server.

Only `Cache.seen` adds objects. It keeps the newest resourceVersion, whether that comes from a watch, a LIST, a GET or
the answer to a PATCH.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from ..api.recorded_status import RecordedStatus
from ..api.resource import Key, PhoneNumber, parse
from ..api.secret_references import secret_names
from ..core.claims import begins_to_claim
from .per_object import PerObject

T = TypeVar("T")

REMEMBERED_DEAD = 10_000
"""How many UIDs of deleted objects the cache remembers. A late answer to a PATCH must not bring one back."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The result of `Cache.seen`: the object as it is now, and whether it changed so that it needs a run."""

    number: PhoneNumber
    wakes: bool


class Cache:
    """All objects, by name, by phone number and by the Secrets that they use. `wall`: epoch seconds.

    Each function in `forgotten` is called with the UID of an object that is gone. For one value per object, use
    `per_object`, which needs no such function. Each function in `let_go` is called with numbers that an object does not
    name any more, neither as its number nor as an alias.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.forgotten: list[Callable[[str], object]] = []
        self._numbers: dict[Key, PhoneNumber] = {}
        self._by_phone: dict[str, dict[Key, None]] = {}
        self._by_alias: dict[str, dict[Key, None]] = {}
        self._by_kept_alias: dict[str, dict[Key, None]] = {}
        self.let_go: list[Callable[[frozenset[str]], object]] = []
        self._by_secret: dict[tuple[str, str], set[Key]] = {}
        self.memories: list[PerObject[Any]] = []
        self._expected: PerObject[RecordedStatus] = self.per_object()
        self._since: PerObject[str] = self.per_object()
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._reasons: Counter[str] = Counter()
        self._findings: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._numbers)

    def per_object(self) -> PerObject[T]:
        """A new map with one value per object. The value goes when the object leaves the cache."""
        memory: PerObject[T] = PerObject(self._is_there)
        self.memories.append(memory)
        return memory

    def _is_there(self, number: PhoneNumber) -> bool:
        known = self._numbers.get(number.key)
        return known is not None and known.uid == number.uid

    def get(self, key: Key) -> PhoneNumber | None:
        """The object of this name; None if the cache has none."""
        return self._numbers.get(key)

    def phones(self) -> list[str]:
        """Every phone number that at least one object names."""
        return list(self._by_phone)

    def naming(self, phone: str) -> list[PhoneNumber]:
        """Every object that names this phone number, valid or not, the holder too. They are in no order."""
        return [self._numbers[key] for key in self._by_phone.get(phone, ())]

    def count_naming(self, phone: str) -> int:
        """How many objects name this phone number."""
        return len(self._by_phone.get(phone, ()))

    def with_alias(self, phone: str) -> list[PhoneNumber]:
        """Every object with a valid spec that has this number as an alias."""
        return [self._numbers[key] for key in self._by_alias.get(phone, ())]

    def keeping_alias(self, phone: str) -> list[PhoneNumber]:
        """Every object whose status says that its inbound trunk has this alias."""
        return [self._numbers[key] for key in self._by_kept_alias.get(phone, ())]

    def is_named(self, phone: str) -> bool:
        """Whether an object has this number, as its own or as an alias."""
        return phone in self._by_phone or phone in self._by_alias or phone in self._by_kept_alias

    def concerned(self, phone: str) -> list[PhoneNumber]:
        """One object of each number whose run may end otherwise when this number or alias is free."""
        found = {each.phone_number: each for each in (*self.naming(phone)[:1], *self.with_alias(phone))}
        return list(found.values())

    def claims_since(self, number: PhoneNumber) -> str:
        """Since when an object claims its number, in RFC 3339.

        That is its creation, or the time at which a change of its spec or annotations made it claim the number.
        """
        return self._since.get(number) or number.created_at

    def reasons(self) -> Mapping[str, int]:
        """How many objects have each reason in their Ready condition; the empty reason: no condition yet."""
        return self._reasons

    def findings(self) -> Mapping[str, int]:
        """How many objects have each finding in their status."""
        return self._findings

    def users_of(self, namespace: str, name: str) -> list[PhoneNumber]:
        """Every object that takes credentials from this Secret."""
        return [self._numbers[key] for key in self._by_secret.get((namespace, name), ())]

    def secrets(self) -> list[tuple[str, str]]:
        """Namespace and name of every Secret that an object refers to."""
        return list(self._by_secret)

    def all(self) -> Iterable[PhoneNumber]:
        """Every object."""
        return self._numbers.values()

    def seen(self, raw: Mapping[str, Any]) -> Sighting | None:
        """Take in an object from a watch, a LIST, a GET or the answer to a PATCH.

        Returns None if the cache has this version or a newer one, or if the object is deleted. The object needs a run
        if a user changed it, or if its status changed and is not the one that the operator wrote.
        """
        metadata = raw["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        before = self._numbers.get(key)
        if metadata["uid"] in self._dead:
            return None
        if before is not None and before.resource_version >= int(metadata["resourceVersion"]):
            return None
        number = parse(raw, before)
        self._put(before, number)
        if before is None or before.uid != number.uid:
            return Sighting(number, wakes=True)
        expected = self._expected.get(number)
        restated = number.status not in (before.status, expected)
        if number.status == expected:
            self._expected.drop(number)
        return Sighting(number, wakes=restated or before.waking != number.waking)

    def expect(self, number: PhoneNumber, status: RecordedStatus) -> None:
        """Note the status that the operator is about to write: its return by the watch does not cause a run."""
        self._expected.put(number, status)

    def gone(self, key: Key, uid: str) -> PhoneNumber | None:
        """Remove an object that no longer exists. Returns its last state.

        Returns None if the cache does not have the object, or has a newer object of the same name.
        """
        self._dead[uid] = None
        while len(self._dead) > REMEMBERED_DEAD:
            self._dead.popitem(last=False)
        self._forget(uid)
        known = self._numbers.get(key)
        if known is None or known.uid != uid:
            return None
        self._unlink(known)
        del self._numbers[key]
        self._tell_let_go(_names(known))
        return known

    def _forget(self, uid: str) -> None:
        for memory in self.memories:
            memory.forget(uid)
        for forget in self.forgotten:
            forget(uid)

    def _put(self, before: PhoneNumber | None, number: PhoneNumber) -> None:
        if before is not None:
            self._unlink(before)
            if before.uid != number.uid:
                self._forget(before.uid)
            elif begins_to_claim(before, number):
                since = datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                self._since.put(number, since)
        self._reasons[number.status.ready.reason] += 1
        self._findings.update({each.code for each in number.status.findings})
        self._numbers[number.key] = number
        self._by_phone.setdefault(number.phone_number, {})[number.key] = None
        for index, phones in ((self._by_alias, number.aliases), (self._by_kept_alias, number.status.aliases)):
            for phone in phones:
                index.setdefault(phone, {})[number.key] = None
        if before is not None:
            self._tell_let_go(_names(before) - _names(number))
        for secret in _secrets_of(number):
            self._by_secret.setdefault(secret, set()).add(number.key)

    def _tell_let_go(self, phones: frozenset[str]) -> None:
        if phones:
            for tell in self.let_go:
                tell(phones)

    def _unlink(self, number: PhoneNumber) -> None:
        self._reasons[number.status.ready.reason] -= 1
        if not self._reasons[number.status.ready.reason]:
            del self._reasons[number.status.ready.reason]
        for code in {each.code for each in number.status.findings}:
            self._findings[code] -= 1
            if not self._findings[code]:
                del self._findings[code]
        _drop(self._by_phone, number.phone_number, number.key)
        for index, phones in ((self._by_alias, number.aliases), (self._by_kept_alias, number.status.aliases)):
            for phone in dict.fromkeys(phones):
                _drop(index, phone, number.key)
        for secret in _secrets_of(number):
            users = self._by_secret[secret]
            users.discard(number.key)
            if not users:
                del self._by_secret[secret]


def _names(number: PhoneNumber) -> frozenset[str]:
    """The number and the aliases that an object has, or asks for."""
    return frozenset((number.phone_number, *number.aliases, *number.status.aliases))


def _drop(index: dict[str, dict[Key, None]], phone: str, key: Key) -> None:
    """Remove an object from an index, and the entry of the index if it is empty then."""
    found = index[phone]
    del found[key]
    if not found:
        del index[phone]


def _secrets_of(number: PhoneNumber) -> list[tuple[str, str]]:
    """Namespace and name of each Secret that an object uses, each once."""
    if number.spec is None:
        return []
    return [(number.key.namespace, name) for name in secret_names(number.spec)]
