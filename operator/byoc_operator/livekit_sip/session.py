"""Where LiveKit is, the HTTP session to it, and the token it is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import aiohttp
from google.protobuf.message import Message
from livekit.api import AccessToken, LiveKitAPI, SIPGrants
from livekit.api.sip_service import SipService
from livekit.api.twirp_client import TwirpClient
from pydantic import SecretStr

from .error_map import NotLiveKit, Redirected, Throttled, TooMuch

_TOKEN_LIFE_S = 300.0
"""Short, since a token is enough to manage all SIP objects; long enough that signing costs nothing."""

_TOKEN_RENEWAL_S = 240.0
"""A minute early: a call may wait, and clocks differ."""

_LONGEST_RETRY_AFTER_S = 3600.0

MAX_LIST_BYTES = 64 * 2**20
"""Of one reply to a list, or one page of it. 10,000 ordinary numbers have 6 MB."""

MAX_OBJECT_REPLY_BYTES = 2**20
"""Of the reply to a write: one object as it is stored, 130 kB at most if we wrote it."""

MAX_ERROR_BYTES = 2**16
"""Of an error's body; 300 characters of it are shown."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where LiveKit is and how it is called.

    `url`: http, https, ws or wss, a base path is kept. `timeout_s`: of one call, waiting for a slot not counted.
    `concurrency`: calls at once. `paged`: lists come in pages, and passwords may be missing from them (`is_cloud`).
    """

    url: str
    key: str
    secret: SecretStr
    timeout_s: float = 10.0
    concurrency: int = 8
    paged: bool = False


def is_cloud(url: str) -> bool:
    """Whether the URL is of LiveKit Cloud, which pages its lists; livekit-server returns everything at once."""
    return (urlsplit(url).hostname or "").endswith(".livekit.cloud")


class _Bounded(aiohttp.ClientResponse):
    """A response whose body is never longer in memory than its kind may be."""

    async def read(self) -> bytes:
        """The whole body. Raises `TooMuch` for a list; what answers anything else at such length is not LiveKit."""
        if self._body is None:
            most, body = self._most_bytes(), bytearray()
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > most:
                    self.close()
                    raise TooMuch if most == MAX_LIST_BYTES else NotLiveKit("the reply is too long")
            self._body = bytes(body)
        return await super().read()

    def _most_bytes(self) -> int:
        if self.status != HTTPStatus.OK:
            return MAX_ERROR_BYTES
        return MAX_LIST_BYTES if self.url.name.startswith("List") else MAX_OBJECT_REPLY_BYTES


class _Unread:
    """In the place of a message's class: the library hands out the bytes of the reply."""

    FromString = staticmethod(bytes)


class SignedSession:
    """Connections to a LiveKit and the token they send. Made inside a running event loop.

    `clock`: seconds, monotonic.
    """

    def __init__(self, endpoint: Endpoint, clock: Callable[[], float]) -> None:
        self._url = endpoint.url
        self._key = endpoint.key
        self._secret = endpoint.secret
        self._clock = clock
        self._api: LiveKitAPI | None = None
        self._signed = ""
        self._renew_at = 0.0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=endpoint.concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=_check,
            response_class=_Bounded,
            # A compressed reply could become a thousand times as long: it is not asked for, and refused.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )
        self._twirp = TwirpClient(self._session, endpoint.url, "livekit", failover=False)

    def sip(self) -> SipService:
        """The library's service, with a token that lives for at least another minute."""
        if self._api is None or self._clock() >= self._renew_at:
            self._signed = self._token()
            self._api = LiveKitAPI.with_token(self._signed, self._url, session=self._session, failover=False)
            self._renew_at = self._clock() + _TOKEN_RENEWAL_S
        return self._api.sip

    async def listed(self, method: str, request: Message) -> bytes:
        """The reply to a list, unread. Raises what the library raises, and `TooMuch`."""
        self.sip()
        headers = {"Authorization": f"Bearer {self._signed}"}
        unread = cast("type[Message]", _Unread)
        return cast("bytes", await self._twirp.request("SIP", method, request, headers, unread))

    def sign_anew(self) -> None:
        """Sign a new token for the next call: this one was refused (the clock jumped, or the machine slept)."""
        self._api = None

    def set_credentials(self, key: str, secret: SecretStr) -> None:
        """Sign with another key from the next call on."""
        self._key = key
        self._secret = secret
        self.sign_anew()

    async def aclose(self) -> None:
        """Close all connections; calls still under way fail."""
        await self._session.close()

    def _token(self) -> str:
        token = AccessToken(self._key, self._secret.get_secret_value())
        return token.with_sip_grants(SIPGrants(admin=True)).with_ttl(timedelta(seconds=_TOKEN_LIFE_S)).to_jwt()


async def _check(response: aiohttp.ClientResponse) -> None:
    """Refuses what the library would misread; everything else is left to it."""
    if response.method != "POST":
        raise Redirected("LiveKit's URL redirects")
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled(_retry_after_s(response.headers.get("Retry-After", "")))
    if response.status != HTTPStatus.OK:
        return
    if response.content_type != "application/protobuf":
        raise NotLiveKit("the reply is not protobuf")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise NotLiveKit("the reply is compressed")


def _retry_after_s(header: str) -> float | None:
    """Seconds of a Retry-After header; its other form, a date, is not used by LiveKit."""
    return min(float(header), _LONGEST_RETRY_AFTER_S) if header.isascii() and header.isdigit() else None
