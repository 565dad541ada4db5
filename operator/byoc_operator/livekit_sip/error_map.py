"""Maps every failure of a LiveKit call to one of our errors. Only this module reads the library's exceptions.

The answers of LiveKit were tried on livekit-server 1.13.5. The HTTP status decides, then the Twirp code
(https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes), then words of the message where nothing else
distinguishes two cases. Users read the messages: the same fault gives the same text, without any credential. Commands
show them too, so no message says what the operator does next.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

import aiohttp
from google.protobuf.message import DecodeError
from livekit.api.twirp_client import ServerError, ServerErrorCode, SipCallError

from ..api.authorization import MASKED, without_authorization
from ..api.conditions import Reason
from ..api.printable import shortened
from ..errors import Failure, Gone, Occupied, Stalled, Unavailable
from .room_port import NotConnected

_QUOTE_LENGTH = 300
"""Characters of LiveKit's words that a message quotes; LiveKit's longest refusals have about 200."""

_MOST_READ = 65_536
"""Characters of another program's words that are looked at, as many as the body of an error has bytes."""

_SIP_STATUS = re.compile(r"[1-6][0-9]{2}")

_CONFLICTS = ("Conflicting inbound SIP Trunks", "Dispatch rule for the same trunk")
"""LiveKit's words for a conflict of trunks by number, and of rules by trunk and PIN.

Both have the code invalid_argument. Source: livekit/protocol `sip/sip.go`.
"""

_NO_REDIS = "sip not connected"
"""livekit/livekit `pkg/service/errors.go`, `ErrSIPNotConnected`."""


class Throttled(aiohttp.ClientError):
    """A reply 429, with the seconds of its Retry-After header; the library drops that header."""

    def __init__(self, retry_after_s: float | None) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class Redirected(aiohttp.ClientError):
    """A redirect that turned our POST into a GET, so LiveKit's API did not get the request."""


class NotLiveKit(aiohttp.ClientError):
    """A reply 200 whose body is not protobuf. The library would read an empty one as an empty list."""


class ReplyTooLong(aiohttp.ClientError):
    """A list that is longer than the operator reads."""


_OF_THE_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
_NO_TWIRP = (ServerErrorCode.BAD_ROUTE, ServerErrorCode.UNKNOWN)
"""Codes where nobody tried to place the call: LiveKit does not know the method, or a proxy answered."""

LIBRARY_ERRORS = (
    ServerError,
    aiohttp.ClientError,
    OSError,  # an error of a socket that aiohttp did not wrap; also TimeoutError
    DecodeError,
    ValueError,  # bad JSON, bad URLs
    AttributeError,  # the library expects every JSON error body to be an object (1.2.2, `TwirpClient._server_error`)
    TypeError,  # and its `meta` too (1.2.2, `sip_service._as_sip_error`)
)
"""What a call of livekit-api 1.2 may raise."""


def from_library(error: Exception, credentials: Iterable[str] = ()) -> Failure:
    """The error to raise in place of `error`, one of `LIBRARY_ERRORS`.

    `credentials`: texts that were sent with the call; they are masked where the message quotes LiveKit.
    """
    match error:
        case ServerError():
            return _from_answer(error, credentials)
        case Throttled():
            return _rate_limited(error.retry_after_s)
        case aiohttp.ClientHttpProxyError():
            return _from_proxy(error.status)
        case _:
            return next(meaning() for kinds, meaning in _MEANINGS if isinstance(error, kinds))


def from_call(error: Exception) -> Failure | NotConnected:
    """The error to raise in place of `error`, one of `LIBRARY_ERRORS`, where a phone call was placed."""
    match error:
        case SipCallError() if (answer := _sip_answer(error.metadata)) is not None:
            return answer
        case ServerError() if error.status in _OF_THE_KEY or error.code in _NO_TWIRP:
            return from_library(error)
        case ServerError():
            # LiveKit's SIP service failed before any answer of the carrier, or could not be asked.
            return NotConnected(None, quote(str(error.message)) or str(error.code))
        case TimeoutError() if not isinstance(error, aiohttp.ConnectionTimeoutError):
            return NotConnected(None, "")
        case _:
            return from_library(error)


def _sip_answer(metadata: object) -> NotConnected | None:
    """The carrier's final answer. None where LiveKit tells none, or something that is no SIP status (RFC 3261)."""
    told = metadata if isinstance(metadata, Mapping) else {}
    code = str(told.get("sip_status_code"))
    if not _SIP_STATUS.fullmatch(code):
        return None
    return NotConnected(int(code), quote(str(told.get("sip_status") or "")))


def quote(words: str, credentials: Iterable[str] = ()) -> str:
    """Another program's words for a message: printable, at most 300 characters, `***` for every credential.

    `credentials`: those that are not told by their form alone.
    """
    for text in sorted(filter(None, credentials), key=len, reverse=True):
        # LiveKit escapes the values that it puts in quotes.
        for form in (text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]):
            words = words.replace(form, MASKED)
    # Invisible characters are dropped, so that messages that look the same are the same.
    visible = "".join(character for character in words[:_MOST_READ] if character.isprintable())
    return shortened(without_authorization(visible), _QUOTE_LENGTH)


def _from_answer(error: ServerError, credentials: Iterable[str]) -> Failure:  # noqa: C901, PLR0911
    # One case per meaning reads better than a table here.
    words = quote(str(error.message), credentials)
    match error.status, error.code:
        case (HTTPStatus.UNAUTHORIZED, _) | (_, ServerErrorCode.UNAUTHENTICATED):
            return _unauthorized("LiveKit does not accept the API key")
        case (HTTPStatus.FORBIDDEN, _):
            return _unauthorized("LiveKit does not allow this API key to manage SIP")
        case (HTTPStatus.NOT_FOUND, code):
            return _from_not_found(code, words)
        case (HTTPStatus.TOO_MANY_REQUESTS, _):
            return _rate_limited(None)
        case (HTTPStatus.NOT_IMPLEMENTED, _):
            return _too_old()
        case (HTTPStatus.CONFLICT, ServerErrorCode.ALREADY_EXISTS):
            return _occupied(words)
        case (HTTPStatus.BAD_REQUEST, code):
            return _from_refusal(code, words)
        case (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, _):
            return _from_proxy(error.status)
        case (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _):
            return Stalled(
                Reason.REJECTED_BY_LIVEKIT, "LiveKit, or a proxy before it, refuses the object as too large."
            )
        case (HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.CONFLICT | HTTPStatus.PRECONDITION_FAILED, _):
            return _server_fault()
        case (status, _) if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _without_redis() if _NO_REDIS in words else _server_fault()
        case (status, _):
            return _wrong_address(f"answers with HTTP {status}")


def _from_not_found(code: str, words: str) -> Failure:
    """The error for a 404, which has three meanings: the object, the method or the whole path does not exist."""
    if code == ServerErrorCode.NOT_FOUND:
        return Gone(Reason.PENDING, f"LiveKit no longer has the object: {words}")
    if code == ServerErrorCode.BAD_ROUTE:
        return _too_old()
    return _wrong_address(f"answers with HTTP {HTTPStatus.NOT_FOUND}")


def _from_proxy(status: int) -> Failure:
    """The error for a proxy that answers in place of LiveKit, so that LiveKit did not get the request."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"The proxy does not reach LiveKit (HTTP {status})."
        return _unavailable(message, outcome_unknown=False)
    message = (
        f"The proxy refuses the connection to LiveKit (HTTP {status}): check HTTPS_PROXY and the proxy's own rules."
    )
    return Stalled(Reason.LIVEKIT_MISCONFIGURED, message, server_wide=True)


def _from_refusal(code: str, words: str) -> Failure:
    if any(conflict in words for conflict in _CONFLICTS):
        return _occupied(words)
    if code == ServerErrorCode.UNKNOWN and not words:
        # LiveKit always gives a message. This answer comes from a proxy, or from a TLS port that got plain HTTP.
        return _wrong_address(f"answers with HTTP {HTTPStatus.BAD_REQUEST}")
    return Stalled(Reason.REJECTED_BY_LIVEKIT, f"LiveKit refuses: {words or code}")


def _unauthorized(what: str) -> Stalled:
    advice = "check LIVEKIT_API_KEY and LIVEKIT_API_SECRET, and the clocks of both sides."
    return Stalled(Reason.LIVEKIT_UNAUTHORIZED, f"{what}: {advice}", server_wide=True)


def _too_old() -> Stalled:
    message = "LiveKit does not know this SIP method: upgrade livekit-server to 1.13.2 or newer."
    return Stalled(Reason.LIVEKIT_TOO_OLD, message, server_wide=True)


def _wrong_address(what: str) -> Stalled:
    message = f"LIVEKIT_URL {what}: check its scheme, host, port and path."
    return Stalled(Reason.LIVEKIT_MISCONFIGURED, message, server_wide=True)


def _without_redis() -> Stalled:
    message = "LiveKit keeps no SIP trunks, because it runs without Redis: set `redis.address` of livekit-server."
    return Stalled(Reason.LIVEKIT_MISCONFIGURED, message, server_wide=True)


def _reply_too_long() -> Stalled:
    message = (
        "LiveKit's list of trunks or rules is too long (at most 64 MB, 50,000 objects, 1,000 pages are read): "
        "delete there what nobody needs."
    )
    return Stalled(Reason.LIVEKIT_MISCONFIGURED, message, server_wide=True)


def _occupied(words: str) -> Occupied:
    return Occupied(Reason.NUMBER_CONFLICT, f"LiveKit refuses: {words}")


def _rate_limited(retry_after_s: float | None) -> Unavailable:
    message = "LiveKit asks for fewer requests."
    return Unavailable(Reason.LIVEKIT_RATE_LIMITED, message, retry_after_s=retry_after_s)


def _server_fault() -> Unavailable:
    return _unavailable("LiveKit failed to handle the request.")


def _garbage() -> Unavailable:
    return _unavailable("What answers at LIVEKIT_URL does not speak LiveKit's API: check its host, port and path.")


def _too_late() -> Unavailable:
    return _unavailable("LiveKit did not answer in time.")


def _connection_lost() -> Unavailable:
    return _unavailable("The connection to LiveKit was lost.")


def _unreachable() -> Unavailable:
    message = "LiveKit cannot be reached at LIVEKIT_URL."
    return _unavailable(message, outcome_unknown=False)


def _proxy_unreachable() -> Unavailable:
    message = "The proxy before LiveKit cannot be reached."
    return _unavailable(message, outcome_unknown=False)


def _no_such_host() -> Unavailable:
    message = "The host of LIVEKIT_URL, or of its proxy, has no address in DNS."
    return _unavailable(message, outcome_unknown=False)


def _unavailable(message: str, *, outcome_unknown: bool = True) -> Unavailable:
    return Unavailable(Reason.LIVEKIT_UNAVAILABLE, message, outcome_unknown=outcome_unknown)


_Kinds = type[Exception] | tuple[type[Exception], ...]

# The first row that fits decides: aiohttp's classes are nested, and some are OSErrors or ValueErrors too.
_MEANINGS: tuple[tuple[_Kinds, Callable[[], Failure]], ...] = (
    (aiohttp.ClientConnectorDNSError, _no_such_host),
    # The port has no TLS, or the certificate is not trusted or is for another host.
    (
        (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch),
        lambda: _wrong_address("cannot be reached by TLS, or its certificate is not trusted"),
    ),
    # There was no connection, so nothing was sent.
    (aiohttp.ClientProxyConnectionError, _proxy_unreachable),
    ((aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError), _unreachable),
    (
        (Redirected, aiohttp.RedirectClientError, aiohttp.TooManyRedirects),
        lambda: _wrong_address("redirects elsewhere"),
    ),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), lambda: _wrong_address("is not of the form https://host")),
    (ReplyTooLong, _reply_too_long),
    # aiohttp raises ClientResponseError for an answer that is not HTTP; an HTTP status arrives as ServerError.
    ((NotLiveKit, aiohttp.ClientResponseError), _garbage),
    (TimeoutError, _too_late),
    ((aiohttp.ClientError, OSError), _connection_lost),
    # An answer that is neither protobuf nor JSON: DecodeError, ValueError, AttributeError.
    (Exception, _garbage),
)
