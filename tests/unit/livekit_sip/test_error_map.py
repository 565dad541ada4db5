"""Every failure of a LiveKit call has a meaning."""

import json
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from google.protobuf.message import DecodeError
from livekit.api.twirp_client import ServerError, ServerErrorCode, SipCallError
from yarl import URL

from byoc_operator.errors import Failure, Gone, Occupied, Stalled, Unavailable
from byoc_operator.livekit_sip.error_map import (
    LIBRARY_ERRORS,
    NotLiveKit,
    Redirected,
    ReplyTooLong,
    Throttled,
    from_call,
    from_library,
    quote,
)
from byoc_operator.livekit_sip.room_port import NotConnected

UNAUTHORIZED = (Stalled, "LiveKitUnauthorized")
MISCONFIGURED = (Stalled, "LiveKitMisconfigured")
TOO_OLD = (Stalled, "LiveKitTooOld")
REJECTED = (Stalled, "RejectedByLiveKit")
CONFLICT = (Occupied, "NumberConflict")
GONE = (Gone, "Pending")
LIMITED = (Unavailable, "LiveKitRateLimited")
UNKNOWN = (Unavailable, "LiveKitUnavailable", True)  # the outcome is unknown
NOT_SENT = (Unavailable, "LiveKitUnavailable", False)

# Twirp's code, its HTTP status, what it means. https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes
CODES: dict[str, tuple[int, tuple[Any, ...]]] = {
    "canceled": (408, UNKNOWN),
    "unknown": (500, UNKNOWN),
    "invalid_argument": (400, REJECTED),
    "malformed": (400, REJECTED),
    "deadline_exceeded": (408, UNKNOWN),
    "not_found": (404, GONE),
    "bad_route": (404, TOO_OLD),
    "already_exists": (409, CONFLICT),
    "permission_denied": (403, UNAUTHORIZED),
    "unauthenticated": (401, UNAUTHORIZED),
    "resource_exhausted": (429, LIMITED),
    "failed_precondition": (412, UNKNOWN),
    "aborted": (409, UNKNOWN),
    "out_of_range": (400, REJECTED),
    "unimplemented": (501, TOO_OLD),
    "internal": (500, UNKNOWN),
    "unavailable": (503, UNKNOWN),
    "dataloss": (500, UNKNOWN),
}

KEY = SimpleNamespace(host="livekit", port=7880, ssl=True, is_ssl=True)
REQUEST = SimpleNamespace(real_url=URL("https://livekit"), method="POST", headers={})
OS_ERROR = OSError(111, "refused")
HTTP_ARGUMENTS = (REQUEST, ())

CLIENT_ERRORS: dict[type[aiohttp.ClientError], tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    aiohttp.ClientError: ((), UNKNOWN),
    aiohttp.ClientConnectionError: ((), UNKNOWN),
    aiohttp.ClientConnectionResetError: ((), UNKNOWN),
    aiohttp.ClientOSError: ((104, "reset"), UNKNOWN),
    aiohttp.ClientPayloadError: ((), UNKNOWN),
    aiohttp.ServerConnectionError: ((), UNKNOWN),
    aiohttp.ServerDisconnectedError: ((), UNKNOWN),
    aiohttp.ServerTimeoutError: ((), UNKNOWN),
    aiohttp.SocketTimeoutError: ((), UNKNOWN),
    aiohttp.client_exceptions.UploadAbortedError: ((), UNKNOWN),
    aiohttp.ConnectionTimeoutError: ((), NOT_SENT),
    aiohttp.ClientConnectorError: ((KEY, OS_ERROR), NOT_SENT),
    aiohttp.ClientConnectorDNSError: ((KEY, OS_ERROR), NOT_SENT),
    aiohttp.ClientProxyConnectionError: ((KEY, OS_ERROR), NOT_SENT),
    aiohttp.client_exceptions.UnixClientConnectorError: (("/socket", KEY, OS_ERROR), NOT_SENT),
    aiohttp.ClientSSLError: ((KEY, OS_ERROR), MISCONFIGURED),
    aiohttp.ClientConnectorSSLError: ((KEY, ssl.SSLError(1, "wrong version")), MISCONFIGURED),
    aiohttp.ClientConnectorCertificateError: ((KEY, ssl.CertificateError("expired")), MISCONFIGURED),
    aiohttp.ServerFingerprintMismatch: ((b"a", b"b", "livekit", 443), MISCONFIGURED),
    aiohttp.InvalidURL: (("livekit:7880",), MISCONFIGURED),
    aiohttp.InvalidUrlClientError: (("livekit:7880",), MISCONFIGURED),
    aiohttp.NonHttpUrlClientError: (("ftp://livekit",), MISCONFIGURED),
    aiohttp.RedirectClientError: ((), MISCONFIGURED),
    aiohttp.InvalidUrlRedirectClientError: (("livekit",), MISCONFIGURED),
    aiohttp.NonHttpUrlRedirectClientError: (("ftp://livekit",), MISCONFIGURED),
    aiohttp.TooManyRedirects: (HTTP_ARGUMENTS, MISCONFIGURED),
    aiohttp.ClientResponseError: (HTTP_ARGUMENTS, UNKNOWN),
    aiohttp.ContentTypeError: (HTTP_ARGUMENTS, UNKNOWN),
    aiohttp.ClientHttpProxyError: (HTTP_ARGUMENTS, MISCONFIGURED),  # by its status: test_route.py
    aiohttp.WSServerHandshakeError: (HTTP_ARGUMENTS, UNKNOWN),
    Throttled: ((7.0,), LIMITED),
    Redirected: ((), MISCONFIGURED),
    ReplyTooLong: ((), MISCONFIGURED),
    NotLiveKit: ((), UNKNOWN),
}


def meaning(error: Failure) -> tuple[Any, ...]:
    if isinstance(error, Unavailable) and error.reason == "LiveKitUnavailable":
        return type(error), error.reason, error.outcome_unknown
    return type(error), error.reason


def subclasses(kind: type[aiohttp.ClientError]) -> Iterator[type[aiohttp.ClientError]]:
    if kind.__module__.startswith(("aiohttp.", "byoc_operator.")):
        yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def library_codes() -> list[str]:
    return [value for name, value in vars(ServerErrorCode).items() if name.isupper()]


@pytest.mark.parametrize("code", library_codes())
def test_every_code_of_the_library_has_a_meaning(code: str) -> None:
    status, expected = CODES[code]
    assert meaning(from_library(ServerError(code, "words", status=status))) == expected


@pytest.mark.parametrize("kind", sorted(set(subclasses(aiohttp.ClientError)), key=str))
def test_every_error_of_aiohttp_has_a_meaning(kind: type[aiohttp.ClientError]) -> None:
    arguments, expected = CLIENT_ERRORS[kind]
    error = kind(*arguments)
    assert meaning(from_library(error)) == expected
    assert isinstance(error, LIBRARY_ERRORS)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        DecodeError(),
        json.JSONDecodeError("bad", "", 0),
        AttributeError("'list' object has no attribute 'get'"),
    ],
)
def test_other_failures_leave_the_outcome_open(error: Exception) -> None:
    assert meaning(from_library(error)) == UNKNOWN
    assert isinstance(error, LIBRARY_ERRORS)


@pytest.mark.parametrize(
    ("status", "code", "words", "expected"),
    [
        (401, "unknown", "", UNAUTHORIZED),  # plain text "invalid API key", which the library drops
        (401, "unauthenticated", "permissions denied", UNAUTHORIZED),
        (403, "unknown", "", UNAUTHORIZED),
        (404, "unknown", "", MISCONFIGURED),  # the path of the URL is wrong
        (404, "bad_route", 'no handler for path "/twirp/livekit.SIP/Update"', TOO_OLD),
        (404, "not_found", "requested sip trunk does not exist", GONE),
        (400, "invalid_argument", 'Conflicting inbound SIP Trunks: "<new>" and "ST_x", using…', CONFLICT),
        (400, "invalid_argument", "Dispatch rule for the same trunk, inbound number, …", CONFLICT),
        (400, "invalid_argument", "trunk id must be set", REJECTED),
        (400, "unknown", "", MISCONFIGURED),  # plain HTTP to a TLS port of a proxy
        (405, "unknown", "", MISCONFIGURED),
        (407, "unknown", "", MISCONFIGURED),
        (413, "unknown", "", REJECTED),
        (429, "unknown", "", LIMITED),
        (307, "unknown", "", MISCONFIGURED),
        (204, "unknown", "", MISCONFIGURED),
        (500, "internal", "twirp error unknown: sip not connected (redis required)", MISCONFIGURED),
        (500, "unknown", "dial tcp 10.0.0.1:6379: connect: connection refused", UNKNOWN),
        (502, "unknown", "", UNKNOWN),
        (504, "unknown", "", UNKNOWN),
    ],
)
def test_answers_that_were_seen(status: int, code: str, words: str, expected: tuple[Any, ...]) -> None:
    assert meaning(from_library(ServerError(code, words, status=status))) == expected


@pytest.mark.parametrize("status", [*range(200, 209), *range(300, 309), *range(400, 452), *range(500, 512)])
def test_a_foreign_answer_is_never_a_success_nor_gone(status: int) -> None:
    error = from_library(ServerError("unknown", "", status=status))
    assert isinstance(error, Stalled | Unavailable)


def test_faults_of_the_whole_server_are_marked() -> None:
    for status, code in ((401, "unknown"), (403, "unknown"), (404, "bad_route"), (404, "unknown"), (501, "unknown")):
        error = from_library(ServerError(code, "", status=status))
        assert isinstance(error, Stalled)
        assert error.server_wide
    rejected = from_library(ServerError("invalid_argument", "trunk id must be set", status=400))
    assert isinstance(rejected, Stalled)
    assert not rejected.server_wide


def test_the_wait_that_was_asked_for_is_kept() -> None:
    error = from_library(Throttled(7.0))
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 7.0
    assert not error.outcome_unknown


def test_addresses_of_sockets_are_not_told() -> None:
    refused = ServerError("unknown", "dial tcp 10.0.0.1:6379: connect: connection refused", status=500)
    assert "10.0.0.1" not in str(from_library(refused))
    lost = aiohttp.ClientConnectorError(KEY, OSError(111, "10.0.0.1"))  # type: ignore[arg-type]
    assert "10.0.0.1" not in str(from_library(lost))


def test_livekit_is_quoted_without_credentials() -> None:
    error = ServerError("invalid_argument", 'bad value "s3cret" of user', status=400)
    assert str(from_library(error, ["s3cret", "us", ""])) == (
        'RejectedByLiveKit: LiveKit refuses: bad value "***" of ***er'
    )


def test_words_that_are_no_text_are_quoted_all_the_same() -> None:
    error = ServerError("invalid_argument", {"a": 1}, status=400)  # type: ignore[arg-type]
    assert "RejectedByLiveKit" in str(from_library(error))


@pytest.mark.parametrize(
    ("words", "credentials", "expected"),
    [
        ("one\ntwo\x00\x1b[31m three\u202e", [], "onetwo[31m three"),
        ("x" * 300, [], "x" * 300),
        ("x" * 301, [], "x" * 299 + "…"),
        (f"{'x' * 295}s3cret", ["s3cret"], f"{'x' * 295}***"),
        ('say "a\\"b\\\\c"', ['a"b\\c'], 'say "***"'),
        ('say "\\u00e4"', ["ä"], 'say "***"'),
        ("abcd abc", ["abc", "abcd"], "*** ***"),
    ],
)
def test_quotations_are_printable_short_and_clean(words: str, credentials: list[str], expected: str) -> None:
    assert quote(words, credentials) == expected


CALLS: dict[str, tuple[Exception, int | None, str]] = {
    "the carrier's answer": (
        SipCallError(
            "unavailable", "x", status=503, metadata={"sip_status_code": "486", "sip_status": "Busy\x1b Here"}
        ),
        486,
        "Busy Here",
    ),
    "a code without words": (
        SipCallError("unavailable", "x", status=503, metadata={"sip_status_code": "603"}),
        603,
        "",
    ),
    "no SIP code that is a number": (
        SipCallError("internal", "no route", status=500, metadata={"sip_status_code": "busy"}),
        None,
        "no route",
    ),
    "LiveKit's SIP service failed": (ServerError("deadline_exceeded", "", status=408), None, "deadline_exceeded"),
    "long words": (ServerError("internal", "w" * 10**6, status=500), None, "w" * 299 + "…"),
    "nobody answered in time": (TimeoutError(), None, ""),
    "the socket was silent": (aiohttp.SocketTimeoutError(), None, ""),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_was_tried_is_not_connected(name: str) -> None:
    error, code, words = CALLS[name]
    found = from_call(error)
    assert isinstance(found, NotConnected)
    assert (found.sip_code, found.words) == (code, words)


@pytest.mark.parametrize(
    "error",
    [
        ServerError("unauthenticated", "", status=401),
        ServerError("permission_denied", "", status=403),
        ServerError("resource_exhausted", "", status=429),
        ServerError("bad_route", "", status=404),
        ServerError("unknown", "", status=502),
        Throttled(3.0),
        aiohttp.ConnectionTimeoutError(),
        ConnectionResetError(),
        DecodeError(),
    ],
    ids=repr,
)
def test_a_call_that_nobody_tried_fails_as_every_request(error: Exception) -> None:
    found = from_call(error)
    assert isinstance(found, Failure)
    assert meaning(found) == meaning(from_library(error))


def messages() -> Iterator[str]:
    """What is told of every failure that has a meaning of its own."""
    for code, (status, _) in CODES.items():
        yield from_library(ServerError(code, "words", status=status)).message
    for kind, (arguments, _) in CLIENT_ERRORS.items():
        yield from_library(kind(*arguments)).message
    yield from_library(TimeoutError()).message


def test_no_message_promises_what_only_the_operator_does() -> None:
    told = set(messages())
    assert [each for each in told if "operator" in each] == []
    assert len(told) > 10
