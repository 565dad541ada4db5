"""What each answer of the API server means."""

from typing import Any

import pytest

from byoc_operator.cluster.answers import (
    LONGEST_RETRY_AFTER_S,
    AlreadyExists,
    Answer,
    ApiRefused,
    Asked,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    asked,
    error_of,
)
from byoc_operator.cluster.reading import AnswerTooLong
from byoc_operator.errors import Unavailable

NUMBERS, STATUS = "byocphonenumbers", "byocphonenumbers/status"
RBAC = (
    'byocphonenumbers.byoc.talkifai.dev "a" is forbidden: User "system:serviceaccount:byoc-system:operator" cannot '
    'patch resource "byocphonenumbers/status" in API group "byoc.talkifai.dev" in the namespace "voice"'
)
POLICY = (
    "byocphonenumbers.byoc.talkifai.dev \"main\" is forbidden: ValidatingAdmissionPolicy 'labels' with binding "
    "'labels' denied request: a label is missing"
)
PATCH = Asked("patch", "byoc.talkifai.dev", STATUS, "voice", "a")


def answer(method: str, status: int, words: str = "", *, reason: str = "", **more: Any) -> Answer:
    what = PATCH if method == "PATCH" else asked(method, "/api/v1/namespaces/voice/secrets/sip")
    return Answer(method, what, status, "secrets", {"message": words, "reason": reason, **more})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer("POST", 400, "it is no JSON", reason="BadRequest"), ApiRefused),
        (answer("GET", 401, "Unauthorized", reason="Unauthorized"), Unauthorized),
        (answer("PATCH", 403, RBAC, reason="Forbidden"), Forbidden),
        (answer("PATCH", 403, POLICY, reason="Forbidden"), Forbidden),
        (answer("GET", 404, 'secrets "sip" not found', reason="NotFound"), NotFound),
        (answer("GET", 404, "the server could not find the requested resource", reason="NotFound"), NotFound),
        (answer("GET", 404), NotFound),
        (answer("PUT", 405, reason="MethodNotAllowed"), ApiRefused),
        (answer("POST", 409, 'secrets "sip" already exists', reason="AlreadyExists"), AlreadyExists),
        (answer("POST", 409, "Operation cannot be fulfilled on resourcequotas", reason="Conflict"), Conflict),
        (answer("PUT", 409, "the object has been modified", reason="Conflict"), Conflict),
        (answer("PATCH", 409, "the object has been modified", reason="Conflict"), Conflict),
        (answer("GET", 410, "the provided continue parameter is too old", reason="Expired"), Expired),
        (answer("PATCH", 413, "Request entity too large", reason="RequestEntityTooLarge"), ApiRefused),
        (answer("PATCH", 415, reason="UnsupportedMediaType"), ApiRefused),
        (answer("PATCH", 422, "the server rejected our request", reason="Invalid"), Invalid),
        (answer("GET", 429, "please try again later", reason="TooManyRequests"), Unavailable),
        (answer("PATCH", 500, "etcdserver: request timed out", reason="InternalError"), Unavailable),
        (answer("PATCH", 502), Unavailable),
        (answer("PATCH", 503, reason="ServiceUnavailable"), Unavailable),
        (answer("PATCH", 504, "Timeout: request did not complete", reason="Timeout"), AnswerTooLong),
    ],
)
def test_every_answer_has_its_class(given: Answer, expected: type[Exception]) -> None:
    error = error_of(given)
    assert type(error) is expected
    assert given.words in error.message
    assert f"{given.status}" in error.message
    if isinstance(error, ApiRefused):
        assert (error.reason, error.status, error.words) == ("KubernetesRefused", given.status, given.words)


@pytest.mark.parametrize("status", range(400, 600))
def test_no_answer_is_without_a_class(status: int) -> None:
    error = error_of(answer("PATCH", status))
    passes = status == 429 or status >= 500
    assert isinstance(error, Unavailable if passes else ApiRefused)
    assert error.message.endswith(str(status)), "no colon before nothing"


@pytest.mark.parametrize("status", [200, 201, 202, 304])
def test_a_success_is_no_error(status: int) -> None:
    assert error_of(answer("PATCH", status)) is None


def test_who_creates_what_is_there_has_met_a_conflict_too() -> None:
    assert issubclass(AlreadyExists, Conflict)


def test_only_a_timeout_of_the_api_server_leaves_open_what_was_done() -> None:
    errors = {status: error_of(answer("PATCH", status)) for status in range(500, 600)}
    unclear = {status for status, each in errors.items() if isinstance(each, Unavailable) and each.outcome_unknown}
    assert unclear == {504}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("1", 1.0),
        ("0", 0.0),
        ("30", 30.0),
        ("86400", LONGEST_RETRY_AFTER_S),
        ("9" * 5000, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("\u0661", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_api_server_says_when_to_come_again(status: int, header: str, expected: float | None) -> None:
    error = error_of(Answer("GET", asked("GET", "/api/v1/secrets"), status, retry_after=header))
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == expected


@pytest.mark.parametrize(("metadata", "token"), [({"continue": "abc"}, "abc"), ({}, ""), (None, ""), ("x", "")])
def test_a_place_in_a_list_that_is_too_old_comes_with_a_new_one(metadata: object, token: str) -> None:
    error = error_of(answer("GET", 410, reason="Expired", metadata=metadata))
    assert isinstance(error, Expired)
    assert error.token == token


def test_the_words_are_bounded() -> None:
    error = error_of(answer("PATCH", 422, "x" * 1_000_000))
    assert isinstance(error, Invalid)
    assert len(error.message) < 600


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/namespaces/kube-system", Asked("get", "", "namespaces", "", "kube-system")),
        ("GET", "/api/v1/secrets", Asked("list", "", "secrets")),
        ("GET", "/api/v1/namespaces/voice/secrets", Asked("list", "", "secrets", "voice")),
        ("GET", "/api/v1/namespaces/voice/secrets/sip", Asked("get", "", "secrets", "voice", "sip")),
        ("POST", "/api/v1/namespaces/byoc/secrets", Asked("create", "", "secrets", "byoc")),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/b/leases/l",
            Asked("update", "coordination.k8s.io", "leases", "b", "l"),
        ),
        ("PATCH", "/apis/byoc.talkifai.dev/v1alpha1/namespaces/voice/byocphonenumbers/a/status", PATCH),
        (
            "PATCH",
            "/apis/byoc.talkifai.dev/v1alpha1/namespaces/api/byocphonenumbers/api/status",
            Asked("patch", "byoc.talkifai.dev", STATUS, "api", "api"),
        ),
        ("GET", "/version", Asked("list", "", "")),
        (
            "GET",
            "/k8s/clusters/c-1/apis/byoc.talkifai.dev/v1alpha1/byocphonenumbers",
            Asked("list", "byoc.talkifai.dev", NUMBERS),
        ),
        (
            "PATCH",
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/x",
            Asked("patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", "x"),
        ),
    ],
)
def test_what_a_request_needs_is_read_from_its_path(method: str, path: str, expected: Asked) -> None:
    assert asked(method, path) == expected


@pytest.mark.parametrize(
    ("status", "words", "expected"),
    [
        (403, RBAC, True),
        (403, 'events.events.k8s.io is forbidden: User "x" cannot create resource "events" in API group "y"', True),
        (403, 'forbidden: User "x" cannot patch path "/"', True),
        (401, "Unauthorized", True),
        (403, POLICY, False),
        (403, 'byocphonenumbers "a" is forbidden: exceeded quota: q, requested: count/x=1', False),
        (403, 'admission webhook "w" denied the request: forbidden: User "x" cannot patch resource', False),
        (
            403,
            'x "a" is forbidden: ValidatingAdmissionPolicy \'p\' denied request: y is forbidden: User "x" cannot z',
            False,
        ),
        (403, 'events "x" is forbidden: unable to create new content in namespace voice', False),
        (422, RBAC, False),
        (404, "not found", False),
    ],
)
def test_a_missing_right_is_told_from_what_admission_says(status: int, words: str, *, expected: bool) -> None:
    error = error_of(Answer("PATCH", PATCH, status, said={"message": words}))
    assert isinstance(error, ApiRefused)
    assert error.missing_right is expected


def test_whoever_may_not_read_lacks_a_right_whatever_the_words() -> None:
    error = error_of(Answer("GET", Asked("watch", "", "secrets"), 403))
    assert isinstance(error, Forbidden)
    assert error.missing_right
