"""Watches seen from their session, without a network: only the signals that aiohttp would send."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
from yarl import URL

from byoc_operator.telemetry.watches import OPENING_S, SILENT_LOOKS, Watches
from virtual_time import in_virtual_time

SECRETS = "/api/v1/secrets"
WATCH = {"watch": "true", "labelSelector": "a=b", "resourceVersion": "5"}
LIST = {"limit": "100", "labelSelector": "a=b"}


class Session:
    """Requests that nobody sends."""

    def __init__(self) -> None:
        self.watches = Watches(1, asyncio.get_running_loop().time)
        self._trace = self.watches.tracing()
        self._trace.freeze()
        self.closed = False

    async def starts(self, path: str, query: dict[str, str]) -> None:
        """A request goes out."""
        await self._trace.on_request_start.send(*self._told(path, query))

    async def answers(self, path: str, query: dict[str, str], status: int = 200) -> None:
        """It is answered."""
        await self.starts(path, query)
        await self._trace.on_request_end.send(*self._told(path, query, response=self._response(status)))

    def looks(self, count: int) -> str:
        """What the last of so many looks finds."""
        return [self.watches.dead() for _ in range(count)][-1]

    def _response(self, status: int) -> SimpleNamespace:
        return SimpleNamespace(status=status, ok=status < 400, closed=self.closed)

    def _told(self, path: str, query: dict[str, str], **more: Any) -> tuple[aiohttp.ClientSession, Any, Any]:
        url = URL.build(scheme="https", host="localhost", path=path, query=query)
        return cast("aiohttp.ClientSession", None), SimpleNamespace(), SimpleNamespace(method="GET", url=url, **more)


@in_virtual_time
async def test_a_watch_is_trouble_until_it_is_open() -> None:
    session = Session()
    assert session.watches.problems() == ["the watches are not open yet"]
    await session.answers(SECRETS, WATCH)
    assert session.watches.problems() == []
    await session.answers(SECRETS, WATCH, 403)
    assert session.watches.problems() == [f"the watch {SECRETS} cannot be opened: HTTP 403"]
    await session.answers(SECRETS, WATCH)
    await session.starts(SECRETS, WATCH)
    await asyncio.sleep(OPENING_S + 1)
    assert session.watches.problems() == [f"the watch {SECRETS} gets no answer"]


@in_virtual_time
async def test_a_watch_that_stays_open_is_alive_however_silent() -> None:
    session = Session()
    session.watches.begin()
    await session.answers(SECRETS, WATCH)
    assert session.looks(10 * SILENT_LOOKS) == ""


@in_virtual_time
async def test_a_watch_that_is_tried_again_and_again_is_alive_however_long_the_api_server_is_away() -> None:
    session = Session()
    session.closed = True
    for _ in range(20):
        await session.starts(SECRETS, WATCH)
        assert session.looks(SILENT_LOOKS) == ""


@in_virtual_time
async def test_a_watch_that_is_closed_and_not_tried_again_is_dead() -> None:
    session = Session()
    session.closed = True
    await session.answers(SECRETS, WATCH)
    assert session.looks(SILENT_LOOKS) == ""
    assert session.looks(2) == f"the watch {SECRETS} is not open, and nobody opens it"


@in_virtual_time
async def test_a_watch_that_was_never_asked_for_is_missed_once_it_is_due() -> None:
    session = Session()
    assert session.looks(10 * SILENT_LOOKS) == ""
    session.watches.begin()
    assert session.looks(SILENT_LOOKS) == ""
    assert session.looks(1) == "a watch was never asked for"


@in_virtual_time
async def test_a_watcher_that_has_ended_is_dead_and_told_as_trouble() -> None:
    session = Session()
    await asyncio.create_task(session.answers(SECRETS, WATCH))
    assert session.watches.dead() == f"the watcher of {SECRETS} has ended"
    assert session.watches.problems() == [f"the watcher of {SECRETS} has ended"]
