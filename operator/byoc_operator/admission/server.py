"""The webhook's HTTPS port: `POST /seal` for the API server, `GET /readyz` for the probe."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from aiohttp import web

from ..process.connection import Limits
from ..process.port import Port
from ..sealing.freshness import Keys
from .certificates import CertificateUnusable, not_after, utc_now
from .places import Places
from .request import API_VERSION, KIND, MAX_BODY, AdmissionRequest, NotAReview, request_in
from .review import review
from .storage import Serving

log = logging.getLogger(__name__)

SMALL = 64 * 1024
"""Bytes. Nearly every review is smaller; none of that size takes long, so that only larger ones need a place."""

LARGE_AT_ONCE = 4
"""How many larger bodies are in memory, one per address."""

READ_WITHIN_S, PLACE_WITHIN_S, TURN_WITHIN_S = 2.0, 2.0, 4.0
"""How long a body may take to come, and a request waits for a place and for its turn. The API server waits for 5 s."""

CONNECTIONS = 384
"""An API server keeps one for each review that it waits for: one tenant can have it wait for 200 and more, and a
connection that is closed for another one fails somebody's write. One takes 120 kB with a body, 300 kB at most."""

_OK, _NOT_READY = 200, 503


class AdmissionServer:
    """Answers reviews with what `keys` gives. No certificate at first: handshakes fail until `use`.

    `count` hears of each answer: one of `telemetry.table.OUTCOMES`.
    """

    def __init__(
        self,
        port: int,
        keys: Callable[[], Awaitable[Keys]],
        count: Callable[[str], None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._keys = keys
        self._count = count
        self._now = now
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Sessions of TLS 1.2 would be kept here, thousands of them; whoever asks us is Kubernetes and speaks 1.3.
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.num_tickets = 0  # the API server resumes no session
        self._ends: datetime | None = None
        self._leaving = False
        self._places_for_large = Places(LARGE_AT_ONCE)
        self._desks = (_Desk("small"), _Desk("large"))
        application = web.Application(client_max_size=MAX_BODY)
        application.add_routes([web.post("/seal", self._seal), web.get("/readyz", self._readyz)])
        self._port = Port(port, application, Limits(CONNECTIONS), self._tls)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await self._port.start()

    async def leave(self) -> None:
        """Be ready no more, and go on answering until nobody asks."""
        self._leaving = True
        await self._port.leave()

    async def stop(self) -> None:
        """Answer what was asked, and close the port."""
        await self._port.stop()
        for desk in self._desks:
            desk.close()

    def problem(self) -> str:
        """Why the port does not answer, or will not for long; empty: all is well."""
        return self._port.problem()

    def use(self, serving: Serving) -> None:
        """Serve this certificate from now on. Raises `CertificateUnusable`; the one before is then kept."""
        try:
            ends = not_after(serving.certificate)
            # Tried apart: a certificate and a key that do not belong together must not spoil what works.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), serving)
            _load(self._tls, serving)
        except (ValueError, OSError) as exc:
            # `from None`: nothing of the key may be quoted by a traceback.
            raise CertificateUnusable(f"the certificate cannot be used ({type(exc).__name__})") from None
        self._ends = ends

    async def problems(self) -> list[str]:
        """What keeps the webhook from being ready; empty: nothing."""
        problems = ["its end: the process was told to"] if self._leaving else []
        if self._ends is None or self._now() >= self._ends:
            problems.append("a valid certificate")
        keys = await self._keys()
        if keys.ring is None:
            problems.append(f"the sealing keys: {keys.problem}")
        return problems

    async def _readyz(self, _request: web.Request) -> web.Response:
        missing = await self.problems()
        body = {"status": "not ready" if missing else "ok", "waitingFor": missing}
        return web.json_response(body, status=_NOT_READY if missing else _OK)

    async def _seal(self, http_request: web.Request) -> web.Response:
        try:
            return await self._answered(http_request)
        except _Malformed as exc:
            self._count("malformed")
            told = f"/seal was sent {exc.what}"
            log.warning(told)  # no arguments: lines of one cause are counted by their text
            return web.json_response({"message": told}, status=exc.status)

    async def _answered(self, http_request: web.Request) -> web.Response:
        size = http_request.content_length if http_request.content_length is not None else MAX_BODY
        _check_headers(http_request, size)
        address = http_request.remote or ""
        async with contextlib.AsyncExitStack() as stack:
            if size > SMALL:
                await stack.enter_async_context(_waited_for(self._places_for_large.taken(address, PLACE_WITHIN_S)))
            body = await _read(http_request)
            keys = await self._keys()
            answer = await self._desks[size > SMALL].answer(address, body, keys)
        self._count(answer.outcome)
        return web.json_response(answer.review)


class _Malformed(Exception):
    """What is answered with a status of HTTP's own. `what`: one of a few texts, none of them the sender's."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.what = what


def _check_headers(http_request: web.Request, size: int) -> None:
    """Refuse by what stands before the body. Raises `_Malformed`."""
    if http_request.content_type != "application/json" or "Content-Encoding" in http_request.headers:
        raise _Malformed(415, "what is not said to be plain JSON")
    if size > MAX_BODY:
        raise _Malformed(413, "a body that is too large")


async def _read(http_request: web.Request) -> bytes:
    """The body. Raises `_Malformed`."""
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await http_request.read()
    except TimeoutError:
        raise _Malformed(408, "a body that is too slow") from None
    except web.HTTPRequestEntityTooLarge:
        raise _Malformed(413, "a body that is too large") from None
    except (ConnectionError, web.RequestPayloadError):
        raise _Malformed(400, "a body that breaks off") from None


@contextlib.asynccontextmanager
async def _waited_for(place: contextlib.AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """The place, for whoever gets one in time. Raises `_Malformed`."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(place)
        except TimeoutError:
            raise _Malformed(503, "more than can be answered now") from None
        yield


class _Desk:
    """One thread that answers, request after request; an address has one request there at a time."""

    def __init__(self, name: str) -> None:
        self._places = Places(1)
        self._thread = ThreadPoolExecutor(1, f"byoc-admission-{name}")

    async def answer(self, address: str, body: bytes, keys: Keys) -> "_Answer":
        """The answer to the review in the body. Raises `_Malformed`."""
        async with _waited_for(self._places.taken(address, TURN_WITHIN_S)):
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, _answer, body, keys)
            except NotAReview as exc:
                raise _Malformed(400, str(exc)) from None

    def close(self) -> None:
        """End the thread once it has answered."""
        self._thread.shutdown(wait=False)


class _Answer(NamedTuple):
    """An AdmissionReview with the response, and what it says in a word."""

    review: dict[str, Any]
    outcome: str


def _answer(body: bytes, keys: Keys) -> _Answer:
    """The answer to an AdmissionReview. What it was made of is gone when this returns. Raises `NotAReview`."""
    request = request_in(body)
    response = review(request.json, keys)
    return _Answer({"apiVersion": API_VERSION, "kind": KIND, "response": response}, _tell(request, response))


def _tell(request: AdmissionRequest, answer: dict[str, Any]) -> str:
    """One line for what was changed or refused, names only; which of the three it was."""
    if not answer["allowed"]:
        log.warning("refused Secret %s/%s: %s", request.namespace, request.name, answer["status"]["message"])
        return "refused"
    if "patch" not in answer:
        return "unchanged"
    log.info(
        "sealed values of Secret %s/%s%s", request.namespace, request.name, " (dry run)" if request.dry_run else ""
    )
    return "sealed"


def _load(tls: ssl.SSLContext, serving: Serving) -> None:
    """`ssl` takes files only: they are there for a moment, for nobody else to read."""
    with TemporaryDirectory(prefix="byoc-admission-") as directory:
        certificate, key = Path(directory) / "tls.crt", Path(directory) / "tls.key"
        certificate.write_bytes(serving.certificate)
        key.touch(mode=0o600)
        key.write_bytes(serving.key)
        tls.load_cert_chain(certificate, key)
