"""The port to LiveKit's SIP API, which all other packages use."""

from typing import Protocol, TypeVar

from ..core.trunk import Kind, SipObject
from .remainder import Remainder

Any_ = TypeVar("Any_", bound=SipObject)


class SipGateway(Protocol):
    """LiveKit's SIP objects. Every method raises only subclasses of `errors.Failure`.

    A fault of the whole server raises `Unavailable(LiveKitUnavailable | LiveKitRateLimited)` or
    `Stalled(LiveKitUnauthorized | LiveKitMisconfigured | LiveKitTooOld, server_wide=True)`. A refused object raises
    `Stalled(RejectedByLiveKit)` or `Occupied`. `remainder` and `replace` raise `Gone` for an object that no longer
    exists.
    """

    async def probe(self) -> None:
        """Make a cheap call that needs a valid key; returns if LiveKit answers."""
        ...

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        """All objects of one kind on the server, ours and foreign, without the texts of credentials."""
        ...

    async def create(self, wanted: Any_) -> Any_:
        """Create an object; not idempotent. Returns the stored object, with its ID and without credential texts."""
        ...

    async def remainder(self, kind: Kind, id: str) -> Remainder:
        """What LiveKit has on an object beside the fields of our value, for a replace."""
        ...

    async def replace(self, wanted: Any_, remainder: Remainder | None = None) -> Any_:
        """Replace the whole object `wanted.id` in place: its ID stays, and calls go on.

        `remainder`: what the object keeps beside the fields of `wanted`, None for nothing.
        """
        ...

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete an object; an object that is already gone is a success."""
        ...

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change only the metadata of a trunk; a trunk that is gone is a success."""
        ...
