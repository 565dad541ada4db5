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
"""Bytes of a small body. Nearly every review is smaller and takes little time, so only larger bodies need a place."""

LARGE_AT_ONCE = 4
"""How many larger bodies may be in memory at once, one for each address."""

READ_WITHIN_S, PLACE_WITHIN_S, TURN_WITHIN_S = 2.0, 2.0, 4.0
"""How long a body may take to arrive, and how long a request waits for a place and for its thread.

The API server waits 5 s for the answer.
"""

CONNECTIONS = 384
"""How many connections the port accepts. One takes 120 kB with a body, at most 300 kB.

The API server keeps a connection for each review that it waits for, which can be more than 200 for one tenant. To close
a connection in favour of another one would fail somebody's write.
"""

_OK, _NOT_READY = 200, 503


class AdmissionServer:
    """Answers reviews. The server has no certificate at first, so TLS handshakes fail until `use`.

    `keys`: returns the present sealing keys. `count`: called for each answer with one of `telemetry.table.OUTCOMES`.
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
        # With TLS 1.2 the server would keep thousands of sessions in memory. The API server uses TLS 1.3.
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._tls.num_tickets = 0  # the API server does not resume sessions
        self._ends: datetime | None = None
        self._leaving = False
        self._places_for_large = Places(LARGE_AT_ONCE)
        self._workers = (_Worker("small"), _Worker("large"))
        application = web.Application(client_max_size=MAX_BODY)
        application.add_routes([web.post("/seal", self._seal), web.get("/readyz", self._readyz)])
        self._port = Port(port, application, Limits(CONNECTIONS), self._tls)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await self._port.start()

    async def leave(self) -> None:
        """Stop being ready, and answer requests until none come any more."""
        self._leaving = True
        await self._port.leave()

    async def stop(self) -> None:
        """Answer the requests that are under way, and close the port."""
        await self._port.stop()
        for worker in self._workers:
            worker.close()

    def problem(self) -> str:
        """Why the port does not answer, or soon will not; empty if it answers."""
        return self._port.problem()

    def use(self, serving: Serving) -> None:
        """Serve this certificate from now on. Raises `CertificateUnusable` and then keeps the present one."""
        try:
            ends = not_after(serving.certificate)
            # First into another context: a certificate and a key that do not match must not break the present ones.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), serving)
            _load(self._tls, serving)
        except (ValueError, OSError) as exc:
            # `from None`: a traceback must not quote the key.
            raise CertificateUnusable(f"the certificate cannot be used ({type(exc).__name__})") from None
        self._ends = ends

    async def problems(self) -> list[str]:
        """The problems that keep the webhook from being ready, empty if it is ready."""
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
            log.warning(told)  # without arguments, because `telemetry.rationed` counts lines by their format string
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
            answer = await self._workers[size > SMALL].answer(address, body, keys)
        self._count(answer.outcome)
        return web.json_response(answer.review)


class _Malformed(Exception):
    """A request that is answered with an HTTP error. `what`: a fixed text, without any text of the sender."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.what = what


def _check_headers(http_request: web.Request, size: int) -> None:
    """Check content type and size before the body is read. Raises `_Malformed`."""
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
    """Hold a place during the block. Raises `_Malformed` if none becomes free in time."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(place)
        except TimeoutError:
            raise _Malformed(503, "more than can be answered now") from None
        yield


class _Worker:
    """One thread that answers one request after another; each address has one request in it at a time."""

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
        """End the thread after its present request."""
        self._thread.shutdown(wait=False)


class _Answer(NamedTuple):
    """An AdmissionReview with the response, and its outcome for the metric."""

    review: dict[str, Any]
    outcome: str


def _answer(body: bytes, keys: Keys) -> _Answer:
    """The answer to an AdmissionReview. Raises `NotAReview`.

    The parsed request is a local value, so its memory is free when the function returns.
    """
    request = request_in(body)
    response = review(request.json, keys)
    return _Answer({"apiVersion": API_VERSION, "kind": KIND, "response": response}, _logged(request, response))


def _logged(request: AdmissionRequest, answer: dict[str, Any]) -> str:
    """Log a change or a refusal with names only. Returns the outcome: sealed, unchanged or refused."""
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
    """Load certificate and key. `ssl` reads only files, so both stand in private temporary files meanwhile."""
    with TemporaryDirectory(prefix="byoc-admission-") as directory:
        certificate, key = Path(directory) / "tls.crt", Path(directory) / "tls.key"
        certificate.write_bytes(serving.certificate)
        key.touch(mode=0o600)
        key.write_bytes(serving.key)
        tls.load_cert_chain(certificate, key)
