"""The port through which the parts of this package see the API server; `ClusterApi` and `FakeApi` fit it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from .reading import Told


class JsonApi(Protocol):
    """JSON in, JSON out. Raises `ApiRefused` (4xx), `Unavailable` (everything passing) and `Unreadable` (an object)."""

    def listen(self, told: Told) -> None:
        """From now on `told` hears of every object that a LIST passes over. There is one listener."""
        ...

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


class UserApi(JsonApi, Protocol):
    """What a command line needs beside: texts that are no JSON."""

    def lines(self, path: str, *, resource: str, silent_s: float) -> AsyncIterator[str]:
        """The lines of a text, such as a pod's log; `silent_s`: seconds without any after which it is given up."""
        ...
