"""The interface of the API server for the other modules; `ClusterApi` and `FakeApi` implement it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from .reading import Told

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


class JsonApi(Protocol):
    """Requests with JSON. Raises `ApiRefused` (4xx), `Unavailable` (temporary) and `Unreadable` (an object)."""

    def listen(self, told: Told) -> None:
        """From now on `told` is called with every object of a LIST that cannot be read. There is one listener."""
        ...

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Send one request; returns the JSON of the answer."""
        ...

    def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST that can be read, by as many requests as needed."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class UserApi(JsonApi, Protocol):
    """What a command line needs beside: texts that are no JSON."""

    def lines(self, path: str, *, resource: str, silent_s: float | None) -> AsyncIterator[str]:
        """The lines of a text, such as a pod's log; `silent_s`: seconds without any after which it is given up."""
        ...
