"""The API server through aiohttp and nothing else: what the loader, the watcher and the bare client use."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import yaml

TIMEOUT_S = 60.0
_Item = TypeVar("_Item")


class RequestRefused(RuntimeError):
    """The API server answered with a status that is no success; the message holds its words."""


class Kube:
    """Requests over at most `connections` connections. Made inside a running event loop, ended by `async with`."""

    def __init__(self, kubeconfig: Path, connections: int) -> None:
        given = yaml.safe_load(kubeconfig.read_text())
        cluster = given["clusters"][0]["cluster"]
        trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self._base = cluster["server"]
        self.connections = connections
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=trust),
            headers={"Authorization": f"Bearer {given['users'][0]['user']['token']}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: object = None, content: str = "application/json") -> bytes:
        """One request; its answer is not parsed. Raises RequestRefused."""
        sent = None if body is None else json.dumps(body).encode()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with self._session.request(
            method, self._base + path, data=sent, headers={"Content-Type": content}, timeout=timeout
        ) as response:
            answer = await response.read()
            if not response.ok:
                raise RequestRefused(f"{method} {path}: {response.status}: {answer.decode(errors='replace')[:500]}")
            return answer

    async def get(self, path: str) -> dict[str, Any]:
        """One object or list."""
        parsed: dict[str, Any] = json.loads(await self.request("GET", path))
        return parsed

    async def for_each(self, items: Iterable[_Item], act: Callable[[_Item], Awaitable[None]]) -> None:
        """Do something for every item, as many at once as there are connections, in order."""
        waiting = iter(items)

        async def work() -> None:
            for item in waiting:
                await act(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.connections):
                group.create_task(work())

    async def watch(self, path: str, version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Changes after a resourceVersion, for ever; the API server ends a watch now and then, we go on."""
        while True:
            url = f"{self._base}{path}?watch=1&allowWatchBookmarks=true&resourceVersion={version}"
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as response:
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RequestRefused(f"watch {path}: {event['object'].get('message')}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
