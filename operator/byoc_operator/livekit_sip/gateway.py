"""The port through which everything else sees LiveKit."""

from typing import Protocol, TypeVar

from ..core.trunk import Kind, SipObject

Any_ = TypeVar("Any_", bound=SipObject)


class SipGateway(Protocol):
    """LiveKit's SIP objects. Every method raises `errors.Failure` kinds only.

    `Unavailable(LiveKitUnavailable | LiveKitRateLimited)`, `Stalled(LiveKitUnauthorized | LiveKitMisconfigured |
    LiveKitTooOld, server_wide=True)` for a fault of the server as a whole; `Stalled(RejectedByLiveKit)` and
    `Conflict` for a refused object; `Gone` from `replace` of an object that no longer exists.
    """

    async def probe(self) -> None:
        """Ask something cheap that also proves the key; returns if LiveKit answers."""
        ...

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        """All objects of one kind on the server, whoever made them, without credentials' texts."""
        ...

    async def create(self, wanted: Any_) -> Any_:
        """Create, not idempotent. Returns the object as stored: with the ID LiveKit made, no credential texts."""
        ...

    async def replace(self, wanted: Any_) -> Any_:
        """Replace the whole object `wanted.id` in place: the ID stays, running calls go on."""
        ...

    async def delete(self, kind: Kind, id: str) -> None:
        """Delete; an object that is already gone is a success."""
        ...

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """Change a trunk's metadata and nothing else; a trunk that is gone is a success."""
        ...
