"""The port through which the parts of this package see the API server; `ClusterApi` and `FakeApi` fit it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from .reading import Told


class JsonApi(Protocol):
    """JSON in, JSON out. Raises `ApiRefused` (4xx), `Unavailable` (everything passing) and `Unreadable` (an object).

    `unreadable`: hears of every object that a LIST passes over.
    """

    unreadable: Told

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """One request, its JSON answer."""
        ...

    def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST that can be read, however many requests that takes."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
