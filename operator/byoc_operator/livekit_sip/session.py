"""The HTTP session to LiveKit, and the token that authorizes the calls."""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import cast
from urllib.parse import quote

import aiohttp
from google.protobuf.message import Message
from livekit.api import AccessToken, LiveKitAPI, SIPGrants
from livekit.api.sip_service import SipService
from livekit.api.twirp_client import TwirpClient
from pydantic import SecretStr

from .endpoint import Endpoint
from .error_map import NotLiveKit, Redirected, ReplyTooLong, Throttled
from .route import Proxy

_TOKEN_LIFE_S = 300.0
"""Short, because a token is enough to manage all SIP objects; long enough that signing costs little."""

_TOKEN_RENEWAL_S = 240.0
"""A minute before the token expires: a call may have to wait, and clocks differ."""

_LONGEST_RETRY_AFTER_S = 3600.0

MAX_LIST_BYTES = 64 * 2**20
"""Bytes of the reply to a list of trunks or rules, or of one page. 10,000 ordinary numbers take 6 MB."""

MAX_OBJECT_REPLY_BYTES = 2**20
"""Bytes of the reply to a write: the stored object, which has at most 130 kB if the operator wrote it. Also of the list
of who is in a room, and of its jobs: a command asks about rooms of its own only."""

MAX_ERROR_BYTES = 2**16
"""Bytes of the body of an error; messages quote 300 characters of it."""


class _Bounded(aiohttp.ClientResponse):
    """A response whose body in memory is bounded."""

    async def read(self) -> bytes:
        """The whole body. Raises `ReplyTooLong` for a list that is too long, `NotLiveKit` for any other long reply."""
        if self._body is None:
            most, body = self._most_bytes(), bytearray()
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > most:
                    self.close()
                    raise ReplyTooLong if most == MAX_LIST_BYTES else NotLiveKit("the reply is too long")
            self._body = bytes(body)
        return await super().read()

    def _most_bytes(self) -> int:
        if self.status != HTTPStatus.OK:
            return MAX_ERROR_BYTES
        return MAX_LIST_BYTES if self.url.name.startswith("ListSIP") else MAX_OBJECT_REPLY_BYTES


class _Unread:
    """Stands in for a message class, so that the library returns the bytes of the reply and does not parse them."""

    FromString = staticmethod(bytes)


class SignedSession:
    """Connections to a LiveKit and the token that they send. To be created inside a running event loop.

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
        route, proxy = endpoint.route, endpoint.route.proxy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=endpoint.concurrency, ssl=route.authorities or True),
            proxy=_url(proxy) if proxy else None,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=_check,
            response_class=_Bounded,
            # A compressed reply could become a thousand times as long, so it is not requested and is refused.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )
        self._twirp = TwirpClient(self._session, endpoint.url, "livekit", failover=False)

    def sip(self) -> SipService:
        """The library's service, with a token that is valid for at least another minute."""
        if self._api is None or self._clock() >= self._renew_at:
            self._signed = self._token()
            self._api = LiveKitAPI.with_token(self._signed, self._url, session=self._session, failover=False)
            self._renew_at = self._clock() + _TOKEN_RENEWAL_S
        return self._api.sip

    def library(self) -> LiveKitAPI:
        """The library for all other services: each call has a token of its own, with the rights of that call only."""
        secret = self._secret.get_secret_value()
        return LiveKitAPI(self._url, self._key, secret, session=self._session, failover=False)

    async def listed(self, method: str, request: Message) -> bytes:
        """The bytes of the reply to a list. Raises `LIBRARY_ERRORS` of `error_map`, `ReplyTooLong` included."""
        self.sip()
        headers = {"Authorization": f"Bearer {self._signed}"}
        unread = cast("type[Message]", _Unread)
        return cast("bytes", await self._twirp.request("SIP", method, request, headers, unread))

    def sign_anew(self) -> None:
        """Sign a new token for the next call: LiveKit refused the present one, perhaps after a change of the clock."""
        self._api = None

    def set_credentials(self, key: str, secret: SecretStr) -> None:
        """Sign with another key from the next call on."""
        self._key = key
        self._secret = secret
        self.sign_anew()

    async def aclose(self) -> None:
        """Close all connections; calls that are under way fail."""
        await self._session.close()

    def _token(self) -> str:
        token = AccessToken(self._key, self._secret.get_secret_value())
        return token.with_sip_grants(SIPGrants(admin=True)).with_ttl(timedelta(seconds=_TOKEN_LIFE_S)).to_jwt()


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises for replies that the library would misread; the library checks the others."""
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


def _url(proxy: Proxy) -> str:
    """The proxy with its credentials, which aiohttp takes out of the URL and sends to the proxy only."""
    login = f"{quote(proxy.user, safe='')}:{quote(proxy.password.get_secret_value(), safe='')}@" if proxy.user else ""
    return f"http://{login}{proxy.place}"


def _retry_after_s(header: str) -> float | None:
    """The seconds of a Retry-After header, at most an hour; None for another form, such as a date."""
    return min(float(header), _LONGEST_RETRY_AFTER_S) if header.isascii() and header.isdigit() else None
