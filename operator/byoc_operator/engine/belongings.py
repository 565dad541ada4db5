"""Finds which LiveKit objects belong to which `ByocPhoneNumber`, from the cache and the snapshot."""

from dataclasses import dataclass

from ..api.names import PLURAL
from ..api.resource import Key, PhoneNumber
from ..core.desired import Installation
from ..core.holders import looks_after
from ..core.ownership import Owned, Owner
from ..core.situation import owned_of
from .cache import Cache
from .outside import LiveKitSnapshot
from .unreadable_objects import UnreadableObjects


@dataclass(frozen=True, slots=True)
class Belongings:
    """Answers without a request to LiveKit or to the API server."""

    cache: Cache
    inventory: LiveKitSnapshot
    unreadable: UnreadableObjects
    installation: Installation

    def is_gone(self, key: Key) -> bool:
        """Whether no object of this namespace and name exists. An object that cannot be read exists."""
        return self.cache.get(key) is None and not self.unreadable.hides(PLURAL, key.namespace, key.name)

    def hides(self, owner: Owner) -> bool:
        """Whether the object that a mark names cannot be read, and so is not in the cache."""
        key = Key(owner.namespace, owner.name)
        return self.cache.get(key) is None and not self.is_gone(key)

    def owners(self, number: PhoneNumber) -> tuple[Owner, ...]:
        """Every owner whose mark belongs to this object; new marks name the first."""
        return self.installation.owners(number.key.namespace, number.key.name)

    def owned(self, number: PhoneNumber) -> Owned:
        """The LiveKit objects of an object, as far as the snapshot knows."""
        return owned_of(number, self.inventory.snapshot, self.installation)

    def looks_after(self, owner: Owner, id: str) -> bool:
        """Whether the object that a mark names exists and the marked LiveKit object belongs to it.

        All LiveKit objects with the mark of an object that cannot be read belong to that object.
        """
        number = self.cache.get(Key(owner.namespace, owner.name))
        if number is None:
            return self.hides(owner)
        return looks_after(number, id, self.inventory.snapshot, self.installation)
