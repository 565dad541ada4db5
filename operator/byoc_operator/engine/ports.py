"""What each part of the engine works with, as narrow as it can be. `wiring.Ports` has all of it."""

from collections.abc import Callable
from typing import Protocol

from ..core.desired import Installation
from ..core.trunk import Mask
from ..telemetry.metrics import Metrics
from .belongings import Belongings
from .cache import Cache
from .outside import (
    CarriersSource,
    EventSink,
    KeyKeeper,
    LiveKit,
    LiveKitHealth,
    MissingRights,
    SecretSource,
    StatusWriter,
)
from .retained_ids import RetainedIds
from .rights import Rights
from .unreadable_objects import UnreadableObjects


class WithCache(Protocol):
    """Has `cache`."""

    @property
    def cache(self) -> Cache:
        """The objects as they were last seen."""
        ...


class WithInventory(Protocol):
    """Has `inventory`."""

    @property
    def inventory(self) -> LiveKit:
        """The snapshot of LiveKit, and the way to change it."""
        ...


class WithGuard(Protocol):
    """Has `guard`."""

    @property
    def guard(self) -> LiveKitHealth:
        """Whether LiveKit can be asked."""
        ...


class WithSecrets(Protocol):
    """Has `secrets`."""

    @property
    def secrets(self) -> SecretSource:
        """The Secrets."""
        ...


class WithKeeper(Protocol):
    """Has `keeper`."""

    @property
    def keeper(self) -> KeyKeeper:
        """The sealing keys."""
        ...


class WithNumbers(Protocol):
    """Has `numbers`."""

    @property
    def numbers(self) -> StatusWriter:
        """The objects in the API server."""
        ...


class WithEvents(Protocol):
    """Has `events`."""

    @property
    def events(self) -> EventSink:
        """Where Events go."""
        ...


class WithInstallation(Protocol):
    """Has `installation`."""

    @property
    def installation(self) -> Installation:
        """The settings of the installation."""
        ...


class WithCarriers(Protocol):
    """Has `carriers`."""

    @property
    def carriers(self) -> CarriersSource:
        """The installation's file of presets."""
        ...


class WithMask(Protocol):
    """Has `mask`."""

    @property
    def mask(self) -> Mask:
        """Makes digests of credentials."""
        ...


class WithMetrics(Protocol):
    """Has `metrics`."""

    @property
    def metrics(self) -> Metrics:
        """The metrics."""
        ...


class WithUnreadable(Protocol):
    """Has `unreadable`."""

    @property
    def unreadable(self) -> UnreadableObjects:
        """The objects that cannot be read."""
        ...


class WithRegained(Protocol):
    """Has `regained`."""

    @property
    def regained(self) -> MissingRights:
        """Rights that are missing."""
        ...


class WithRetained(Protocol):
    """Has `retained`."""

    @property
    def retained(self) -> RetainedIds:
        """What stays in LiveKit on purpose."""
        ...


class WithRights(Protocol):
    """Has `rights`."""

    @property
    def rights(self) -> Rights:
        """Rights in single namespaces."""
        ...


class WithBelongings(Protocol):
    """Has `belongings`."""

    @property
    def belongings(self) -> Belongings:
        """Who owns what."""
        ...


class WithClock(Protocol):
    """Has `clock`."""

    @property
    def clock(self) -> Callable[[], float]:
        """Monotonic seconds."""
        ...


class WithWall(Protocol):
    """Has `wall`."""

    @property
    def wall(self) -> Callable[[], float]:
        """Epoch seconds."""
        ...


class IntakePorts(WithCache, WithSecrets, WithKeeper, WithNumbers, WithUnreadable, WithClock, Protocol):
    """What the intake works with."""


class SecretPorts(WithCache, WithSecrets, Protocol):
    """What the look at Secrets works with."""


class ClaimPorts(
    WithCache, WithInventory, WithNumbers, WithInstallation, WithRetained, WithBelongings, WithClock, Protocol
):
    """What the judgement of who has a number works with."""


class RetentionPorts(WithCache, WithInventory, WithInstallation, WithBelongings, WithClock, Protocol):
    """What the count of retained numbers works with."""


class ReportPorts(
    WithCache,
    WithNumbers,
    WithEvents,
    WithInstallation,
    WithMetrics,
    WithRegained,
    WithRights,
    WithBelongings,
    WithWall,
    Protocol,
):
    """What writes to the cluster."""


class DeletionPorts(WithCache, WithInventory, WithRetained, WithBelongings, WithClock, Protocol):
    """What ends a deletion."""


class SweepPorts(WithCache, WithInventory, WithGuard, WithSecrets, WithCarriers, WithMetrics, WithWall, Protocol):
    """What the sweep works with."""


class OrphanPorts(WithCache, WithInventory, WithNumbers, WithInstallation, WithRetained, WithBelongings, Protocol):
    """What the search for orphans works with."""


class WorkerPorts(WithMetrics, WithClock, Protocol):
    """What a worker works with."""


class GaugePorts(
    WithCache,
    WithInventory,
    WithGuard,
    WithSecrets,
    WithCarriers,
    WithKeeper,
    WithEvents,
    WithMetrics,
    WithRegained,
    WithWall,
    Protocol,
):
    """What the gauges read."""


class GatherPorts(
    WithCache, WithInventory, WithSecrets, WithInstallation, WithMask, WithBelongings, WithClock, WithWall, Protocol
):
    """What puts together what the core judges."""


class ObjectPorts(WithCache, WithInventory, WithInstallation, WithMetrics, WithBelongings, WithClock, Protocol):
    """What a run of one object works with."""


class RunPorts(
    WithCache,
    WithInventory,
    WithGuard,
    WithSecrets,
    WithNumbers,
    WithEvents,
    WithInstallation,
    WithMask,
    WithMetrics,
    WithRegained,
    WithRetained,
    WithRights,
    WithBelongings,
    WithClock,
    WithWall,
    Protocol,
):
    """What a run of a phone number works with."""


class EnginePorts(RunPorts, WithCarriers, WithKeeper, WithUnreadable, Protocol):
    """What the engine works with."""
