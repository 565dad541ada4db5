"""What in LiveKit belongs to which object, as far as the cache and the snapshot know."""

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
    """Answers who owns what without a request."""

    cache: Cache
    inventory: LiveKitSnapshot
    unreadable: UnreadableObjects
    installation: Installation

    def is_gone(self, key: Key) -> bool:
        """Whether there is no number of this name; one that cannot be read is there."""
        return self.cache.get(key) is None and not self.unreadable.hides(PLURAL, key.namespace, key.name)

    def hides(self, owner: Owner) -> bool:
        """Whether the object that a mark names cannot be read, and so is not in the cache."""
        key = Key(owner.namespace, owner.name)
        return self.cache.get(key) is None and not self.is_gone(key)

    def owners(self, number: PhoneNumber) -> tuple[Owner, ...]:
        """Every owner whose mark makes a LiveKit object this number's; the first is the one we write."""
        return self.installation.owners(number.key.namespace, number.key.name)

    def owned(self, number: PhoneNumber) -> Owned:
        """What is this number's in LiveKit, as far as the inventory knows."""
        return owned_of(number, self.inventory.snapshot, self.installation)

    def looks_after(self, owner: Owner, id: str) -> bool:
        """Whether the object that a mark names is there, and the marked LiveKit object is its own.

        An object that cannot be read is there: nobody can tell what is its own, so all that it marked is.
        """
        number = self.cache.get(Key(owner.namespace, owner.name))
        if number is None:
            return self.hides(owner)
        return looks_after(number, id, self.inventory.snapshot, self.installation)
