"""Every failure of a LiveKit call as one of our errors; the only place that reads the library's exceptions.

What LiveKit answers in which case was tried on livekit-server 1.13.5: the HTTP status decides, then Twirp's code
(https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes), then words, where LiveKit has nothing better.
Messages are shown to users: the same fault gives the same text, and no credential gets into it.
"""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus

import aiohttp
from google.protobuf.message import DecodeError
from livekit.api.twirp_client import ServerError, ServerErrorCode

from ..api.conditions import Reason
from ..api.printable import shortened
from ..errors import Conflict, Failure, Gone, Stalled, Unavailable

_QUOTE_LENGTH = 300
"""Longest quotation of LiveKit's words, in characters: its longest refusals have about 200."""

_CONFLICTS = ("Conflicting inbound SIP Trunks", "Dispatch rule for the same trunk")
"""livekit/protocol `sip/sip.go`: of trunks by number, of rules by trunk and PIN. Both come as invalid_argument."""

_NO_REDIS = "sip not connected"
"""livekit/livekit `pkg/service/errors.go`, `ErrSIPNotConnected`."""


class Throttled(aiohttp.ClientError):
    """A 429, with the seconds its Retry-After header asks for; the library drops that header."""

    def __init__(self, retry_after_s: float | None) -> None:
        super().__init__("too many requests")
        self.retry_after_s = retry_after_s


class Redirected(aiohttp.ClientError):
    """A redirect that turned our POST into a GET: it never reached LiveKit's API."""


class NotLiveKit(aiohttp.ClientError):
    """A success whose body is not protobuf. An empty one would otherwise be read as an empty list."""


class TooMuch(aiohttp.ClientError):
    """A list that is longer than the operator reads."""


LIBRARY_ERRORS = (
    ServerError,
    aiohttp.ClientError,
    OSError,  # a socket's error that aiohttp did not wrap; TimeoutError is one too
    DecodeError,
    ValueError,  # bad JSON, bad URLs
    AttributeError,  # the library takes every JSON error body for an object (1.2.2, `TwirpClient._server_error`)
)
"""What a call of livekit-api 1.2 may raise."""


def from_library(error: Exception, credentials: Iterable[str] = ()) -> Failure:
    """The error to raise in place of `error`, one of `LIBRARY_ERRORS`.

    `credentials`: texts that were sent with the call; they are blotted out wherever LiveKit's words are quoted.
    """
    match error:
        case ServerError():
            return _from_answer(error, credentials)
        case Throttled():
            return _rate_limited(error.retry_after_s)
        case _:
            return next(meaning() for kinds, meaning in _MEANINGS if isinstance(error, kinds))


def quote(words: str, credentials: Iterable[str] = ()) -> str:
    """Somebody else's words, fit for a message: printable, at most 300 characters, `***` for every credential."""
    for text in sorted(filter(None, credentials), key=len, reverse=True):
        # LiveKit quotes some values, and then escapes them.
        for form in (text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]):
            words = words.replace(form, "***")
    # Dropped, not shown: a message of LiveKit's must not differ by what nobody can see.
    return shortened("".join(character for character in words if character.isprintable()), _QUOTE_LENGTH)


def _from_answer(error: ServerError, credentials: Iterable[str]) -> Failure:  # noqa: C901, PLR0911
    # One case per meaning reads better than a table here; hence the two exceptions for the linter.
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
            return _conflict(words)
        case (HTTPStatus.BAD_REQUEST, code):
            return _from_refusal(code, words)
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
    """404 has three meanings: the object, the method or the whole path is not there."""
    if code == ServerErrorCode.NOT_FOUND:
        return Gone(Reason.PENDING, f"LiveKit no longer has the object: {words}")
    if code == ServerErrorCode.BAD_ROUTE:
        return _too_old()
    return _wrong_address(f"answers with HTTP {HTTPStatus.NOT_FOUND}")


def _from_refusal(code: str, words: str) -> Failure:
    if any(conflict in words for conflict in _CONFLICTS):
        return _conflict(words)
    if code == ServerErrorCode.UNKNOWN and not words:
        # LiveKit itself always says why: this is a proxy, or plain HTTP on a port that wants TLS.
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


def _too_much() -> Stalled:
    message = (
        "LiveKit's list of trunks or rules is longer than the operator reads (64 MB, 50,000 objects, 1,000 pages): "
        "delete there what nobody needs."
    )
    return Stalled(Reason.LIVEKIT_MISCONFIGURED, message, server_wide=True)


def _conflict(words: str) -> Conflict:
    return Conflict(Reason.NUMBER_CONFLICT, f"LiveKit refuses: {words}")


def _rate_limited(retry_after_s: float | None) -> Unavailable:
    message = "LiveKit asks for fewer requests; the operator slows down by itself."
    return Unavailable(Reason.LIVEKIT_RATE_LIMITED, message, retry_after_s=retry_after_s)


def _server_fault() -> Unavailable:
    return _unavailable("LiveKit failed to handle the request; the operator tries again by itself.")


def _garbage() -> Unavailable:
    return _unavailable("What answers at LIVEKIT_URL does not speak LiveKit's API: check its host, port and path.")


def _too_late() -> Unavailable:
    return _unavailable("LiveKit did not answer in time; the operator tries again by itself.")


def _connection_lost() -> Unavailable:
    return _unavailable("The connection to LiveKit was lost; the operator tries again by itself.")


def _unreachable() -> Unavailable:
    message = "LiveKit cannot be reached at LIVEKIT_URL; the operator tries again by itself."
    return _unavailable(message, outcome_unknown=False)


def _no_such_host() -> Unavailable:
    message = "The host of LIVEKIT_URL has no address in DNS; the operator tries again by itself."
    return _unavailable(message, outcome_unknown=False)


def _unavailable(message: str, *, outcome_unknown: bool = True) -> Unavailable:
    return Unavailable(Reason.LIVEKIT_UNAVAILABLE, message, outcome_unknown=outcome_unknown)


_Kinds = type[Exception] | tuple[type[Exception], ...]

# In order, the first that fits: aiohttp's kinds are nested, and some are OSErrors and ValueErrors as well.
_MEANINGS: tuple[tuple[_Kinds, Callable[[], Failure]], ...] = (
    (aiohttp.ClientConnectorDNSError, _no_such_host),
    # A port without TLS, a certificate that is not trusted or not for this host.
    (
        (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch),
        lambda: _wrong_address("cannot be reached by TLS, or its certificate is not trusted"),
    ),
    # No connection came about, so nothing was sent.
    ((aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError), _unreachable),
    (
        (Redirected, aiohttp.RedirectClientError, aiohttp.TooManyRedirects),
        lambda: _wrong_address("redirects elsewhere"),
    ),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), lambda: _wrong_address("is not of the form https://host")),
    (TooMuch, _too_much),
    # aiohttp raises the latter for an answer that is not HTTP; a status of LiveKit's arrives as ServerError.
    ((NotLiveKit, aiohttp.ClientResponseError), _garbage),
    (TimeoutError, _too_late),
    ((aiohttp.ClientError, OSError), _connection_lost),
    # An answer that is neither protobuf nor JSON: DecodeError, ValueError, AttributeError.
    (Exception, _garbage),
)
