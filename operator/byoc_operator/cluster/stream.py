"""Filters kopf's requests: its LISTs return no objects, and its watches are read line by line in a bounded size.

kopf decodes every line of a watch, and the watch ends at the first line that kopf cannot decode. This module therefore
reads each line first: it cuts a large line to the parts that the operator uses, and reports and drops a line that
cannot be read. The engine lists the objects itself (`pages`). kopf needs from a LIST only the version from which to
watch, and a large page must not delay that.
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
"""A name that no object can have, because it is not a DNS name."""

BROKEN_PAUSE_S = 2.0
"""The pause in seconds before a watch begins again after the API server ended it with an error."""

_GONE = 410
BEGIN_ANEW = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}'


def reading(told: Told, listed: Callable[[str], None]) -> aiohttp.ClientMiddlewareType:
    """The middleware for kopf's HTTP session. `listed`: called with the path of each LIST that was answered.

    kopf's watch reports the changes after its LIST. The objects before that come from a LIST of the engine, which has
    to begin after kopf's LIST is answered.
    """

    async def read(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        query = request.url.query
        watches = query.get("watch") == "true"
        lists = request.method == "GET" and not watches and "limit" in query
        if lists:
            # The API server answers this from its memory: it reads no object from etcd and sends none.
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
    """The body of a watch, reduced to the lines that can be read."""

    def __init__(self, content: aiohttp.StreamReader, resource: str, told: Told) -> None:
        self._content = content
        self._resource = resource
        self._told = told

    def __getattr__(self, name: str) -> Any:
        """All other attributes of the original body."""
        return getattr(self._content, name)

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """Yield the readable lines, each as one chunk."""
        async for line in self._lines():
            readable = await self._readable(line)
            if readable:
                yield readable + b"\n"

    async def _lines(self) -> AsyncIterator[bytes]:
        """Yield the lines as they come. A line that is longer than `MAX_OBJECT` is reported and not kept.

        A last part without an end of line is dropped: the next watch reports that change again.
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
        """The line for kopf; empty if the line cannot be read."""
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
        """The error event for kopf, always 410: kopf then begins the watch again. Any other code ends kopf."""
        if not isinstance(told, dict) or told.get("code") != _GONE:
            log.warning("the API server breaks off the watch of %s; it begins anew", self._resource)
            await asyncio.sleep(BROKEN_PAUSE_S)
        return BEGIN_ANEW

    def _pass_over(self, problem: str) -> None:
        self._told(Unreadable(problem, resource=self._resource))
