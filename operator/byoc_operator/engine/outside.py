"""What the engine asks of LiveKit, of the API server, of the sealing keys and of the metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from ..api.resource import Key, PhoneNumber
from ..cluster.answers import Asked
from ..core.credentials import SecretFacts
from ..core.ownership import Owner
from ..core.snapshot import Snapshot
from ..core.trunk import Kind, SipObject
from ..errors import Failure
from ..sealing.keeper import SealedValues

_Object = TypeVar("_Object", bound=SipObject)


class NumberReader(Protocol):
    """Reads ByocPhoneNumbers from the API server."""

    def all(self) -> AsyncIterator[dict[str, Any]]:
        """Every object of the watched namespaces."""
        ...

    async def get(self, key: Key) -> dict[str, Any] | None:
        """One object; None if there is none."""
        ...


class StatusWriter(NumberReader, Protocol):
    """Writes what a run found to a ByocPhoneNumber. Each method returns the object as stored."""

    async def patch_status(self, number: PhoneNumber, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch the status."""
        ...

    async def add_finalizer(self, number: PhoneNumber) -> dict[str, Any]:
        """Add the operator's finalizer."""
        ...

    async def remove_finalizer(self, number: PhoneNumber) -> dict[str, Any]:
        """Take the operator's finalizer away."""
        ...


class CarriersSource(Protocol):
    """The installation's file of presets."""

    @property
    def problem(self) -> str:
        """Why the file cannot be used now, empty if it can."""
        ...

    def reload(self) -> None:
        """Read the file again. A file that is wrong changes nothing."""
        ...


class EventSink(Protocol):
    """Takes Events, and posts them by a task of its own. Nobody waits for an Event."""

    @property
    def waiting(self) -> int:
        """How many Events are not posted yet."""
        ...

    def about_number(
        self, number: PhoneNumber, type_: Literal["Normal", "Warning"], reason: str, action: str, note: str
    ) -> None:
        """An Event about an object. `note` holds no credential."""
        ...

    def about_key(self, key: Key, reason: str, action: str, note: str) -> None:
        """A warning about an object of which only the name is known."""
        ...

    async def run(self) -> None:
        """Post what comes until cancelled."""
        ...

    async def finish(self, within_s: float) -> None:
        """After the end of `run`: post what still waits, for up to so many seconds."""
        ...


class LeaseAnnotations(Protocol):
    """Keeps texts on the operator's own Lease."""

    async def amend(self, annotation: str, change: Callable[[str], str]) -> None:
        """Change an annotation. `change` gets the stored text, or an empty one, and returns the new text."""
        ...


class SecretSource(Protocol):
    """Reads Secrets and remembers of them what is no credential."""

    def known(self, namespace: str, name: str) -> SecretFacts | None:
        """What is remembered; None if nothing is."""
        ...

    async def fetch(self, namespace: str, name: str) -> SecretFacts | None:
        """The Secret with its values, by a GET; None if there is none."""
        ...

    def seen(self, raw: Mapping[str, Any]) -> bool:
        """Take in a Secret from a watch or a LIST; whether its usable values are new."""
        ...

    def forget(self, namespace: str, name: str) -> None:
        """Forget a Secret that was deleted or lost its label."""
        ...

    def forget_unopened(self) -> list[tuple[str, str]]:
        """Forget the Secrets that no key opened; their namespaces and names."""
        ...

    def labelled(self) -> AsyncIterator[Mapping[str, Any]]:
        """Every labelled Secret of the watched namespaces."""
        ...

    def labelled_but(self, listed: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """The Secrets that are remembered as labelled and were not listed."""
        ...

    def any_sealed(self) -> tuple[str, str] | None:
        """A Secret that is known to hold a sealed value; None if there is none."""
        ...

    async def aclose(self) -> None:
        """End the GETs that are under way."""
        ...


class LiveKitSnapshot(Protocol):
    """The shared snapshot of LiveKit. Times are monotonic seconds."""

    @property
    def loaded(self) -> bool:
        """Whether LiveKit was ever listed."""
        ...

    @property
    def snapshot(self) -> Snapshot:
        """What LiveKit holds; empty before it was listed."""
        ...

    async def ensure(self, begun_after: float = ...) -> None:
        """Have a valid snapshot that began after this time."""
        ...

    async def refresh(self) -> None:
        """Take a new snapshot."""
        ...

    def late_owners(self) -> list[Owner]:
        """The owners whose creates got no answer and may still be applied."""
        ...

    def unsettled(self, owners: Iterable[Owner]) -> float:
        """Until when a create of these owners may still be applied; 0 if none is open."""
        ...

    async def aclose(self) -> None:
        """End a snapshot that is under way."""
        ...


class LiveKit(LiveKitSnapshot, Protocol):
    """The snapshot, and the only way to change LiveKit."""

    async def create(self, wanted: _Object, owner: Owner) -> _Object:
        """Create an object."""
        ...

    async def replace(self, wanted: _Object) -> _Object:
        """Replace an object in place."""
        ...

    async def remark(self, kind: Kind, id: str, metadata: str) -> None:
        """Change the metadata of a trunk and nothing else."""
        ...

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete an object."""
        ...


class Limit(Protocol):
    """A limit that follows how long LiveKit takes."""

    @property
    def value(self) -> float:
        """The limit at present."""
        ...


class LiveKitHealth(Protocol):
    """Whether LiveKit as a whole can be asked."""

    @property
    def trouble(self) -> Failure | None:
        """Why LiveKit cannot be asked; None if it can."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether calls are refused without asking LiveKit."""
        ...

    @property
    def pace(self) -> Limit:
        """How many runs that can wait may be under way."""
        ...

    async def probe(self) -> None:
        """Ask LiveKit whether it is back. Raises what it says."""
        ...

    async def wait_open(self, timeout_s: float) -> None:
        """Wait until LiveKit cannot be asked any more, or for so long."""
        ...


class Keys(Protocol):
    """The sealing keys of the cluster."""

    @property
    def problem(self) -> str:
        """Why the keys cannot be read; empty if they can."""
        ...

    async def load(self) -> None:
        """Read the keys."""
        ...

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener when there are other keys."""
        ...


class KeyKeeper(Protocol):
    """Keeps the sealing keys."""

    @property
    def keys(self) -> Keys:
        """The keys."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the keys are lost although something is sealed."""
        ...

    async def look(self, sealed: SealedValues) -> None:
        """Look at the keys once."""
        ...

    async def run(self, sealed: SealedValues) -> None:
        """Look at the keys until cancelled."""
        ...


class RightsListener(Protocol):
    """Hears of rights that the API server takes away and gives back."""

    def right_missing(self) -> None:
        """A right is missing."""
        ...

    def right_regained(self) -> None:
        """A right is back."""
        ...


class RefusalRecord(Protocol):
    """What the API server refuses at present."""

    def listen(self, listener: RightsListener) -> None:
        """Tell the listener of rights."""
        ...

    def denied(self, what: Asked, uid: str, words: str) -> bool:
        """The API server refuses a write about an object."""
        ...

    def through(self, uid: str) -> None:
        """All writes about an object went through, or the object is gone."""
        ...

    def missing(self) -> list[Asked]:
        """The requests for which a right is missing."""
        ...

    def problems(self) -> list[str]:
        """The problems that /readyz lists."""
        ...

    def counts(self) -> dict[tuple[str, ...], int]:
        """How many requests are refused, by verb and resource."""
        ...


class MissingRights(Protocol):
    """Asks whether missing rights are back."""

    @property
    def refusals(self) -> RefusalRecord:
        """What is refused."""
        ...

    def look(self) -> Awaitable[None]:
        """Ask for every missing right once."""
        ...
