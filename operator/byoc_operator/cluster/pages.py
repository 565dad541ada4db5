"""A LIST in pages that shrink if they are too large, so that no object keeps the others from being listed."""

import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

from ..api.conditions import Reason
from ..errors import Unavailable
from .answers import Expired
from .reading import MAX_OBJECT, AnswerTooLong, Told, Unreadable, decoded, read_page

PAGE_SIZE = 50

PAGE_BYTES = 8 * 1024 * 1024
"""The most bytes of a page of many objects, which is in memory as a whole. A longer page is requested in parts."""

PAGE_S = 5.0
ONE_S = 60.0
"""The timeouts of a page and of a page of one object. An object with 110,000 managed fields takes 1 to 2 s."""

QUICK_S = 3.0
"""If a page took no longer, the next page may be twice as large."""

SHRINK = 4
STARTS = 5
"""How often the continue token of a LIST may expire (410) before the LIST fails."""

_LOST = "the API server loses the place in its list"

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""The media type that asks for names instead of objects."""

JSON = "application/json"


class Fetch(Protocol):
    """One GET: its body. Raises `AnswerTooLong`, `Unavailable` and `ApiRefused`, of which `Expired` is one."""

    def __call__(self, url: str, *, accept: str, timeout_s: float, most_bytes: int) -> Awaitable[bytes]:
        """Ask."""
        ...


class Pages:
    """One LIST. `told`: called with every object that cannot be read."""

    def __init__(self, fetch: Fetch, resource: str, told: Told, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._resource = resource
        self._told = told
        self._clock = clock

    async def all(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object that can be read."""
        most = int(query.get("limit", PAGE_SIZE))
        limit, token, starts = most, "", 0
        while True:
            began = self._clock()
            url = _url(path, query, limit, token)
            try:
                text = await self._fetch(
                    url,
                    accept=JSON,
                    timeout_s=PAGE_S if limit > 1 else ONE_S,
                    most_bytes=PAGE_BYTES if limit > 1 else MAX_OBJECT,
                )
            except AnswerTooLong as exc:
                if limit > 1:
                    limit = max(1, limit // SHRINK)
                    continue
                token = await self._step_over(url, path, exc)
                if not token:
                    return
                continue
            except Expired as exc:
                starts += 1
                if starts > STARTS:
                    raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, _LOST) from None
                token = exc.token
                continue
            quick = self._clock() - began <= QUICK_S and 2 * len(text) <= PAGE_BYTES
            limit = min(most, limit * 2) if quick else limit
            async for each in read_page(text, self._resource, self._told):
                if isinstance(each, str):
                    token = each
                else:
                    yield each
            if not token:
                return

    async def _step_over(self, url: str, path: str, why: AnswerTooLong) -> str:
        """Report the one object that the API server does not return. Returns the token of the next page.

        Raises `Unavailable` if the API server does not even return the object's name.
        """
        try:
            text = await self._fetch(f"{url}&includeObject=None", accept=TABLE, timeout_s=ONE_S, most_bytes=PAGE_BYTES)
        except Expired as exc:
            if not exc.token:
                raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, _LOST) from None
            return exc.token
        table = decoded(text)
        table = table if isinstance(table, dict) else {}
        token = str((table.get("metadata") or {}).get("continue") or "")
        namespace, name = _last_before(token)
        if not name:
            namespace, name = path.partition("/namespaces/")[2].partition("/")[0], _first_cell(table)
        problem = f"the API server does not hand it out: {why.message}"
        self._told(Unreadable(problem, resource=self._resource, namespace=namespace, name=name))
        return token


def _url(path: str, query: Mapping[str, str], limit: int, token: str) -> str:
    parameters = {**query, "limit": str(limit)} | ({"continue": token} if token else {})
    return f"{path}?{urlencode(parameters)}"


def _last_before(token: str) -> tuple[str, str]:
    """Namespace and name of the last object before a continue token; empty if the token does not tell.

    The form of a token is no public interface (apiserver `pkg/storage/continue.go`). Only a message depends on it.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = str(place["start"]).removesuffix("\0").rpartition("/")
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    return namespace.rpartition("/")[2], name


def _first_cell(table: Mapping[str, Any]) -> str:
    """The name in the first row of a table."""
    try:
        return str(table["rows"][0]["cells"][0])
    except (KeyError, IndexError, TypeError):
        return ""
