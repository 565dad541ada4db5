"""What the engine works with: LiveKit, the API server, the clock and what is remembered of them."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..api.names import PLURAL
from ..api.resource import Key, PhoneNumber
from ..cluster.events import Events
from ..cluster.numbers import NumberApi
from ..cluster.regained import Regained
from ..cluster.secrets import Secrets
from ..core.desired import Installation
from ..core.holders import looks_after
from ..core.ownership import Owned, Owner
from ..core.situation import owned_of
from ..core.trunk import Mask
from ..livekit_sip.guard import Guard
from ..livekit_sip.inventory import Inventory
from ..sealing.keeper import Keeper
from ..telemetry.metrics import Metrics
from .cache import Cache
from .retained_ids import RetainedIds
from .rights import Rights
from .unreadable_objects import UnreadableObjects


class NumberReader(Protocol):
    """Reads ByocPhoneNumbers from the API server."""

    def all(self) -> AsyncIterator[dict[str, Any]]:
        """Every object of the watched namespaces."""
        ...

    async def get(self, key: Key) -> dict[str, Any] | None:
        """One object; None if there is none."""
        ...


class IntakePorts(Protocol):
    """What the intake works with."""

    @property
    def cache(self) -> Cache: ...  # noqa: D102 - as in `Ports`

    @property
    def secrets(self) -> Secrets: ...  # noqa: D102 - as in `Ports`

    @property
    def keeper(self) -> Keeper: ...  # noqa: D102 - as in `Ports`

    @property
    def numbers(self) -> NumberReader: ...  # noqa: D102 - as in `Ports`

    @property
    def unreadable(self) -> UnreadableObjects: ...  # noqa: D102 - as in `Ports`

    @property
    def clock(self) -> Callable[[], float]: ...  # noqa: D102 - as in `Ports`


class SecretPorts(Protocol):
    """What the look at Secrets works with."""

    @property
    def cache(self) -> Cache: ...  # noqa: D102 - as in `Ports`

    @property
    def secrets(self) -> Secrets: ...  # noqa: D102 - as in `Ports`


class SweepPorts(Protocol):
    """What the sweep works with."""

    @property
    def cache(self) -> Cache: ...  # noqa: D102 - as in `Ports`

    @property
    def secrets(self) -> Secrets: ...  # noqa: D102 - as in `Ports`

    @property
    def inventory(self) -> Inventory: ...  # noqa: D102 - as in `Ports`

    @property
    def guard(self) -> Guard: ...  # noqa: D102 - as in `Ports`

    @property
    def metrics(self) -> Metrics: ...  # noqa: D102 - as in `Ports`

    @property
    def wall(self) -> Callable[[], float]: ...  # noqa: D102 - as in `Ports`


class OrphanPorts(Protocol):
    """What the search for orphans works with."""

    @property
    def cache(self) -> Cache: ...  # noqa: D102 - as in `Ports`

    @property
    def inventory(self) -> Inventory: ...  # noqa: D102 - as in `Ports`

    @property
    def numbers(self) -> NumberReader: ...  # noqa: D102 - as in `Ports`

    @property
    def installation(self) -> Installation: ...  # noqa: D102 - as in `Ports`

    @property
    def retained(self) -> RetainedIds: ...  # noqa: D102 - as in `Ports`

    def looks_after(self, owner: Owner, id: str) -> bool:
        """Whether the object that a mark names is there, and the marked LiveKit object is its own."""
        ...


class WorkerPorts(Protocol):
    """What a worker works with."""

    @property
    def metrics(self) -> Metrics: ...  # noqa: D102 - as in `Ports`

    @property
    def clock(self) -> Callable[[], float]: ...  # noqa: D102 - as in `Ports`


class GaugePorts(Protocol):
    """What the gauges read."""

    @property
    def keeper(self) -> Keeper: ...  # noqa: D102 - as in `Ports`

    @property
    def secrets(self) -> Secrets: ...  # noqa: D102 - as in `Ports`

    @property
    def wall(self) -> Callable[[], float]: ...  # noqa: D102 - as in `Ports`

    @property
    def cache(self) -> Cache: ...  # noqa: D102 - as in `Ports`

    @property
    def inventory(self) -> Inventory: ...  # noqa: D102 - as in `Ports`

    @property
    def guard(self) -> Guard: ...  # noqa: D102 - as in `Ports`

    @property
    def metrics(self) -> Metrics: ...  # noqa: D102 - as in `Ports`

    @property
    def regained(self) -> Regained: ...  # noqa: D102 - as in `Ports`


@dataclass(frozen=True, slots=True)
class Ports:
    """What the engine works with. `clock`: monotonic seconds; `wall`: epoch seconds."""

    cache: Cache
    inventory: Inventory
    guard: Guard
    secrets: Secrets
    keeper: Keeper
    numbers: NumberApi
    events: Events
    installation: Installation
    mask: Mask
    metrics: Metrics
    unreadable: UnreadableObjects
    regained: Regained
    retained: RetainedIds = field(default_factory=RetainedIds)
    rights: Rights = field(default_factory=Rights)
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def is_gone(self, key: Key) -> bool:
        """Whether no object of this name exists. An object that cannot be read exists."""
        return self.cache.get(key) is None and not self.unreadable.hides(PLURAL, key.namespace, key.name)

    def hides(self, owner: Owner) -> bool:
        """Whether the object that a mark names cannot be read, and so is not in the cache."""
        key = Key(owner.namespace, owner.name)
        return self.cache.get(key) is None and not self.is_gone(key)

    def owners(self, number: PhoneNumber) -> tuple[Owner, ...]:
        """Every owner whose mark makes a LiveKit object this number's; the first is the one we write."""
        return self.installation.owners(number.key.namespace, number.key.name)

    def owned(self, number: PhoneNumber) -> Owned:
        """The LiveKit objects of this object, as far as the inventory knows."""
        return owned_of(number, self.inventory.snapshot, self.installation)

    def looks_after(self, owner: Owner, id: str) -> bool:
        """Whether the Kubernetes object that a mark names exists, and the LiveKit object with this ID belongs to it.

        An object that cannot be read exists, and all LiveKit objects with its mark belong to it.
        """
        number = self.cache.get(Key(owner.namespace, owner.name))
        if number is None:
            return self.hides(owner)
        return looks_after(number, id, self.inventory.snapshot, self.installation)
