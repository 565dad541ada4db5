"""Where LiveKit is, the HTTP session to it, and the token it is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from livekit.api import AccessToken, LiveKitAPI, SIPGrants
from livekit.api.sip_service import SipService
from pydantic import SecretStr

from .error_map import NotLiveKit, Redirected, Throttled

_TOKEN_LIFE_S = 300.0
"""Short, since a token is enough to manage all SIP objects; long enough that signing costs nothing."""

_TOKEN_RENEWAL_S = 240.0
"""A minute early: a call may wait, and clocks differ."""

_LONGEST_RETRY_AFTER_S = 3600.0


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
        self._renew_at = 0.0
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=endpoint.concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            raise_for_status=_check,
        )

    def sip(self) -> SipService:
        """The library's service, with a token that lives for at least another minute."""
        if self._api is None or self._clock() >= self._renew_at:
            self._api = LiveKitAPI.with_token(self._token(), self._url, session=self._session, failover=False)
            self._renew_at = self._clock() + _TOKEN_RENEWAL_S
        return self._api.sip

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
    if response.status == HTTPStatus.OK and response.content_type != "application/protobuf":
        raise NotLiveKit("the reply is not protobuf")


def _retry_after_s(header: str) -> float | None:
    """Seconds of a Retry-After header; its other form, a date, is not used by LiveKit."""
    return min(float(header), _LONGEST_RETRY_AFTER_S) if header.isascii() and header.isdigit() else None
