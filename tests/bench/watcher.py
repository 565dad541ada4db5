"""A watcher that records when each object first met a condition."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from bench.kube import Kube
from bench.objects import numbers_path

Condition = Callable[[str, Mapping[str, Any]], bool]
"""Told the kind of an event (ADDED, MODIFIED, DELETED) and the object."""


class NotReached(RuntimeError):
    """An expected event did not happen in time."""


class Moments:
    """Monotonic seconds at which each name first met the condition."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._news = asyncio.Event()
        self.at: dict[str, float] = {}

    def see(self, kind: str, raw: Mapping[str, Any]) -> None:
        """One event."""
        name = raw["metadata"]["name"]
        if name not in self.at and self._condition(kind, raw):
            self.at[name] = time.monotonic()
            self._news.set()

    async def reach(self, count: int, timeout_s: float) -> float:
        """The moment of the last one, once there are `count`. Raises NotReached."""
        deadline = time.monotonic() + timeout_s
        while len(self.at) < count:
            self._news.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._news.wait()
            except TimeoutError:
                raise NotReached(f"{len(self.at)} of {count} after {timeout_s:.0f} s") from None
        return max(self.at.values())


class Watcher:
    """All collections see every event of the namespace from the moment they are opened."""

    def __init__(self) -> None:
        self._open: list[Moments] = []

    @contextmanager
    def collecting(self, condition: Condition) -> Iterator[Moments]:
        """Collect until the block ends."""
        moments = Moments(condition)
        self._open.append(moments)
        try:
            yield moments
        finally:
            self._open.remove(moments)

    async def follow(self, kube: Kube, path: str, version: str) -> None:
        """Feed the collections for ever."""
        async for kind, raw in kube.watch(path, version):
            for moments in self._open:
                moments.see(kind, raw)


@asynccontextmanager
async def watching(kube: Kube, namespace: str) -> AsyncIterator[Watcher]:
    """A watcher of the numbers of a namespace, from now on."""
    path = numbers_path(namespace)
    version = (await kube.get(f"{path}?limit=1"))["metadata"]["resourceVersion"]
    watcher = Watcher()
    async with asyncio.TaskGroup() as group:
        following = group.create_task(watcher.follow(kube, path, version))
        try:
            yield watcher
        finally:
            following.cancel()


def ready(_kind: str, raw: Mapping[str, Any]) -> bool:
    """Its condition Ready is True."""
    conditions = raw.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def gone(kind: str, _raw: Mapping[str, Any]) -> bool:
    """It no longer exists."""
    return kind == "DELETED"
