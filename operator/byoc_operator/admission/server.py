"""The webhook's HTTPS port: `POST /seal` for the API server, `GET /readyz` for the probe."""

import asyncio
import contextlib
import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from aiohttp import web

from ..connections import Limits, Port
from ..errors import OperatorError
from .certificates import not_after, utc_now
from .review import review
from .ring import Keys
from .storage import Serving

log = logging.getLogger(__name__)

MAX_BODY = 8 * 2**20
"""Bytes. A Secret is at most 1 MiB, and base64; a review holds it before and after, each with its annotations."""

MAX_CONTAINERS = 20_000
"""Lists and objects in a body. Each takes sixty bytes of memory for two in the text; a review has some hundreds."""

SMALL, LARGE_AT_ONCE, READ_WITHIN_S = 64 * 1024, 2, 2.0
"""Bytes of a usual body, how many larger ones are in memory, and how long one may take to come: nobody logs in here."""

CONNECTIONS = 128
"""An API server keeps one for each review that it waits for, and some for the next ones. One takes up to 300 kB."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')

_OK, _NOT_READY = 200, 503
_NAME = 253  # characters that a name may have in Kubernetes


class AdmissionServer:
    """Answers reviews with what `keys` gives. No certificate at first: handshakes fail until `use`.

    `count` hears of each answer: one of `telemetry.metrics.OUTCOMES`.
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
        self._room_for_large = asyncio.Semaphore(LARGE_AT_ONCE)
        application = web.Application(client_max_size=MAX_BODY)
        application.add_routes([web.post("/seal", self._seal), web.get("/readyz", self._readyz)])
        self._port = Port(port, application, Limits(CONNECTIONS), self._tls)

    async def start(self) -> None:
        """Listen. Raises OSError if the port is taken."""
        await self._port.start()

    async def stop(self) -> None:
        """Answer what was asked, and close the port."""
        await self._port.stop()

    def problem(self) -> str:
        """Why the port does not answer, or will not for long; empty: all is well."""
        return self._port.problem()

    def use(self, serving: Serving) -> None:
        """Serve this certificate from the next connection on. Raises OperatorError; the one before is then kept."""
        try:
            ends = not_after(serving.certificate)
            # Tried apart: a certificate and a key that do not belong together must not spoil what works.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), serving)
            _load(self._tls, serving)
        except (ValueError, OSError) as exc:
            # `from None`: nothing of the key may be quoted by a traceback.
            raise OperatorError("Certificate", f"the certificate cannot be used ({type(exc).__name__})") from None
        self._ends = ends

    async def problems(self) -> list[str]:
        """What keeps the webhook from being ready; empty: nothing."""
        problems = []
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
        keys = await self._keys()
        small = (http_request.content_length or MAX_BODY) <= SMALL
        async with contextlib.nullcontext() if small else self._room_for_large:
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    body = await http_request.read()
            except (TimeoutError, web.HTTPRequestEntityTooLarge) as exc:
                return self._malformed(
                    408 if isinstance(exc, TimeoutError) else 413, "a body that is too slow or too large"
                )
            # In a thread: a Secret of a megabyte takes a while, and numbers are served on this loop.
            answer = await asyncio.to_thread(_answer, body, keys)
        if answer is None:
            return self._malformed(400, "what is no AdmissionReview, or has too many parts")
        self._count(answer.outcome)
        return web.json_response(answer.review)

    def _malformed(self, status: int, what: str) -> web.Response:
        self._count("malformed")
        log.warning("/seal was sent %s (%d)", what, status)
        return web.json_response({"message": f"/seal was sent {what}"}, status=status)


class _Answer(NamedTuple):
    """An AdmissionReview with the response, and what it says in a word."""

    review: dict[str, Any]
    outcome: str


def _answer(body: bytes, keys: Keys) -> _Answer | None:
    """The answer to an AdmissionReview, None if it is none. What it was made of is gone when this returns."""
    if _brackets(body) > MAX_CONTAINERS and _brackets(_STRING.sub(b"", body)) > MAX_CONTAINERS:
        return None
    try:
        found = json.loads(body)
        request, version = found["request"], str(found["apiVersion"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(request, dict):
        return None
    response = review(request, keys)
    return _Answer({"apiVersion": version, "kind": "AdmissionReview", "response": response}, _tell(request, response))


def _brackets(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def _tell(request: dict[str, Any], answer: dict[str, Any]) -> str:
    """One line for what was changed or refused, names only; which of the three it was."""
    # Not looked at by anybody before us, and at this port nobody logs in.
    name = f"{str(request.get('namespace'))[:_NAME]}/{str(request.get('name') or '(new)')[:_NAME]}"
    if not answer["allowed"]:
        log.warning("refused Secret %s: %s", name, answer["status"]["message"])
        return "refused"
    if "patch" not in answer:
        return "unchanged"
    log.info("sealed values of Secret %s%s", name, " (dry run)" if request.get("dryRun") else "")
    return "sealed"


def _load(tls: ssl.SSLContext, serving: Serving) -> None:
    """`ssl` takes files only: they are there for a moment, for nobody else to read."""
    with TemporaryDirectory(prefix="byoc-admission-") as directory:
        certificate, key = Path(directory) / "tls.crt", Path(directory) / "tls.key"
        certificate.write_bytes(serving.certificate)
        key.touch(mode=0o600)
        key.write_bytes(serving.key)
        tls.load_cert_chain(certificate, key)
