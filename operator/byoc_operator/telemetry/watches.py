"""Checks whether the watches are alive, by the requests of the HTTP session on which they run.

Nothing fails when a watch cannot be opened again or its request gets no answer: changes just do not arrive any more.
The same happens when a watcher has ended, or when it neither has its watch open nor tries to open it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

log = logging.getLogger(__name__)

OPENING_S = 20.0
"""After so long without an answer to the request of a watch, the watch counts as broken."""

SILENT_LOOKS = 300
"""After so many checks, one a second, a watch that is closed and not requested counts as dead.

kopf waits for up to 21 s between two attempts.
"""


@dataclass(slots=True)
class _Watcher:
    """The watcher of a path. `silent`: checks in a row in which it neither had its watch open nor requested it."""

    task: "asyncio.Task[object] | None" = None
    requests: int = 0
    stream: aiohttp.ClientResponse | None = None
    seen_requests: int = 0
    silent: int = 0


@dataclass(slots=True)
class Watches:
    """The state of every watch, by path. `expected`: how many there must be. `clock`: seconds, monotonic.

    `answered`: called for each response with the path, whether the request was a watch, and the HTTP status.
    """

    expected: int
    clock: Callable[[], float] = time.monotonic
    answered: Callable[[str, bool, int], object] = lambda *_: None
    _open: set[str] = field(default_factory=set)
    _trouble: dict[str, str] = field(default_factory=dict)
    _opening: dict[str, float] = field(default_factory=dict)
    _watchers: dict[str, _Watcher] = field(default_factory=dict)
    _due: bool = False
    _missing_looks: int = 0

    def begin(self) -> None:
        """Expect the watches from now on."""
        self._due = True

    def dead(self) -> str:
        """The problem of a watch that no watcher will open again, empty if none. To be called once a second."""
        ended = self._ended()
        if ended:
            return ended[0]
        for path, watcher in self._watchers.items():
            idle = watcher.requests == watcher.seen_requests and (watcher.stream is None or watcher.stream.closed)
            watcher.seen_requests = watcher.requests
            watcher.silent = watcher.silent + 1 if idle else 0
            if watcher.silent > SILENT_LOOKS:
                return f"the watch {path} is not open, and nobody opens it"
        self._missing_looks = self._missing_looks + 1 if self._due and len(self._watchers) < self.expected else 0
        return "a watch was never asked for" if self._missing_looks > SILENT_LOOKS else ""

    def let_go(self) -> None:
        """Cancel all watchers. When one has failed, kopf does not cancel the others and waits for them for ever."""
        for watcher in self._watchers.values():
            if watcher.task is not None:
                watcher.task.cancel()

    def _ended(self) -> list[str]:
        found = sorted(self._watchers.items())
        return [
            f"the watcher of {path} has ended" for path, each in found if each.task is not None and each.task.done()
        ]

    def problems(self) -> list[str]:
        """The problems, one line for each watch; empty if all are alive."""
        found = self._ended()
        found += [f"the watch {path} cannot be opened: {why}" for path, why in sorted(self._trouble.items())]
        late = [path for path, since in self._opening.items() if self.clock() - since > OPENING_S]
        found += [f"the watch {path} gets no answer" for path in sorted(late) if path not in self._trouble]
        if not found and len(self._open) < self.expected:
            found.append("the watches are not open yet")
        return found

    def tracing(self) -> aiohttp.TraceConfig:
        """The tracing for the HTTP session on which the watches run."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._started)
        trace.on_request_end.append(self._answered)
        trace.on_request_exception.append(self._failed)
        return trace

    async def _started(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        if _is_watch(request.url.query) or "limit" in request.url.query:
            watcher = self._watchers.setdefault(request.url.path, _Watcher())
            watcher.task = asyncio.current_task()
            watcher.requests += 1
        if _is_watch(request.url.query):
            self._opening.setdefault(request.url.path, self.clock())

    async def _answered(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestEndParams
    ) -> None:
        path, response = request.url.path, request.response
        if _is_watch(request.url.query) or "limit" in request.url.query:
            self.answered(path, _is_watch(request.url.query), response.status)
        if not response.ok:
            self._broken(path, f"HTTP {response.status}", request.url.query)
        elif _is_watch(request.url.query):
            self._opening.pop(path, None)
            self._open.add(path)
            self._watchers[path].stream = request.response
            if self._trouble.pop(path, None):
                log.info("the watch %s is open again", path)

    async def _failed(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
    ) -> None:
        self._broken(request.url.path, type(request.exception).__name__, request.url.query)

    def _broken(self, path: str, why: str, query: Mapping[str, str]) -> None:
        """Record the failure of a watch, or of the LIST that precedes a new watch."""
        if not _is_watch(query) and path not in self._open:
            return
        self._opening.pop(path, None)
        if self._trouble.get(path) != why:
            log.warning("the watch %s cannot be opened: %s", path, why)
        self._trouble[path] = why


def _is_watch(query: Mapping[str, str]) -> bool:
    return query.get("watch") == "true"
