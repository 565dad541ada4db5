"""What kopf is handed of the cluster: lists without objects, and watches line by line in a bounded size.

kopf decodes whatever comes, and its watch ends with the first line that it cannot. So each line is read here first; a
large one is cut to what we use, one that cannot be read is told of and left out. Objects are listed by the engine, in
pages that shrink (`pages`): of a LIST kopf needs the version to watch from, and a large page must not hold that up.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import aiohttp

from .cutting import Cut, NotJson
from .reading import MAX_OBJECT, SHAPES, SMALL, Told, Unreadable, decoded, gently, identify, noted
from .shapes import Fields, Leaf

log = logging.getLogger(__name__)

CHUNK = 256 * 1024

NO_NAME = "-"
"""No object has this name: it is no DNS name."""

BROKEN_PAUSE_S = 2.0
"""Before a watch begins anew that the API server broke off with an error."""

_GONE = 410
BEGIN_ANEW = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}'


def reading(told: Told, listed: Callable[[str], None]) -> aiohttp.ClientMiddlewareType:
    """For the session that kopf works with. `listed` hears of the path of each LIST, once it is answered.

    The watch that follows tells what happens to objects after that LIST. What was there before is told by a LIST of our
    own, which has to begin once kopf's is answered.
    """

    async def read(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        query = request.url.query
        watches = query.get("watch") == "true"
        lists = request.method == "GET" and not watches and "limit" in query
        if lists:
            # From the API server's memory: no object is read from etcd, and none is sent.
            selected = f"metadata.name={NO_NAME}"
            request.url = request.url.without_query_params("limit").update_query(
                {"fieldSelector": selected, "resourceVersion": "0"}
            )
        response = await handler(request)
        if not response.ok:
            return response
        if watches:
            lines = Lines(response.content, request.url.path.rpartition("/")[2], told)
            response.content = cast("aiohttp.StreamReader", lines)
        elif lists:
            listed(request.url.path)
        return response

    return read


class Lines:
    """The body of a watch of a resource, with lines that can be read."""

    def __init__(self, content: aiohttp.StreamReader, resource: str, told: Told) -> None:
        self._content = content
        self._resource = resource
        self._told = told

    def __getattr__(self, name: str) -> Any:
        """Whatever else aiohttp asks of a body."""
        return getattr(self._content, name)

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """Lines, each as a chunk."""
        async for line in self._lines():
            readable = await self._readable(line)
            if readable:
                yield readable + b"\n"

    async def _lines(self) -> AsyncIterator[bytes]:
        """Lines as they come; of one that is longer than any object may be nothing is kept.

        What has no end of line was cut off: the next watch begins before it.
        """
        kept, length = [], 0
        async for chunk in self._content.iter_chunked(CHUNK):
            first, *others = chunk.split(b"\n")
            length += len(first)
            if length <= MAX_OBJECT:
                kept.append(first)
            else:
                kept.clear()
            for other in others:
                if length <= MAX_OBJECT:
                    yield b"".join(kept)
                else:
                    self._pass_over(f"it is longer than {MAX_OBJECT} bytes")
                kept, length = [other], len(other)

    async def _readable(self, line: bytes) -> bytes:
        """A line for kopf, empty if there is none to be made of it."""
        if not line.strip():
            return b""
        event = decoded(line) if len(line) <= SMALL else None
        ready = line
        if event is None:
            event = await self._cut(line)
            ready = json.dumps(event).encode()
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "ERROR":
            return await self._broken(event.get("object"))
        if kind == "BOOKMARK" and isinstance(event.get("object"), dict):
            return ready
        if not isinstance(kind, str):
            self._pass_over("it is no event that can be read")
            return b""
        try:
            identify(event.get("object"), self._resource)
        except Unreadable as exc:
            self._told(exc)
            return b""
        return ready

    async def _cut(self, line: bytes) -> Any:
        cut = Cut(line)
        try:
            event = await gently(cut.value(Fields({"type": Leaf(), "object": SHAPES[self._resource]})))
        except NotJson:
            return None
        if isinstance(event, dict):
            event["object"] = noted(event.get("object"), tuple(cut.faults))
        return event

    async def _broken(self, told: object) -> bytes:
        """The error for kopf: at any but 410 it ends the process, with that one it begins anew."""
        if not isinstance(told, dict) or told.get("code") != _GONE:
            log.warning("the API server breaks off the watch of %s; it begins anew", self._resource)
            await asyncio.sleep(BROKEN_PAUSE_S)
        return BEGIN_ANEW

    def _pass_over(self, problem: str) -> None:
        self._told(Unreadable(problem, resource=self._resource))
