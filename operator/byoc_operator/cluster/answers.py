"""Maps the API server's answers to exceptions, one class for each meaning. No other module compares HTTP codes.

The codes and reasons are those of apimachinery:
https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from ..api.conditions import Reason
from ..errors import Failure, Unavailable
from .reading import AnswerTooLong, token_in

MAX_WORDS = 512
"""The most characters of the API server's message that are kept."""

LONGEST_RETRY_AFTER_S = 60.0
"""The longest Retry-After that is followed. The API server asks for a second; a proxy may ask for any time."""

_BY_AUTHORIZER = re.compile(r'(?:[^\s"]+(?: "[^"\s]*")? is )?forbidden: User "[^"]*" cannot ', re.IGNORECASE)
"""How every refusal by an authorizer begins. A refusal by admission begins with the name of the policy or webhook:
https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go
"""

_ROOT = re.compile("/apis?/")
_READS = ("get", "list", "watch")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Asked(NamedTuple):
    """The right that a request needs, in RBAC's terms. `resource`: with subresource, as `byocphonenumbers/status`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def asked(method: str, path: str, *, watches: bool = False) -> Asked:
    """The right that a request needs. `path`: without its query."""
    begin = _ROOT.search(path)  # a proxy may add a prefix, and a namespace may have the name api
    root, *parts = path[begin.start() if begin else 0 :].strip("/").split("/")
    group = parts.pop(0) if root == "apis" and parts else ""
    parts = parts[1:]  # the version
    namespace = parts[1] if len(parts) > 2 and parts[0] == "namespaces" else ""  # noqa: PLR2004 - namespaces/NAME/RESOURCE
    resource, name, *rest = (*(parts[2:] if namespace else parts), "", "")
    resource = f"{resource}/{rest[0]}" if rest and rest[0] else resource
    verb = _VERBS.get(method, "watch" if watches else "get" if name else "list")
    return Asked(verb, group, resource, namespace, name)


@dataclass(eq=False)
class ApiRefused(Failure):
    """The API server refuses a request (4xx). `message`: for users; `words`: the API server's own message.

    `status`: the HTTP code, for display only. `missing_right`: RBAC refuses or the token is not accepted, so that every
    request of this kind is refused.
    """

    status: int = HTTPStatus.BAD_REQUEST
    words: str = ""
    missing_right: bool = False


@dataclass(eq=False)
class Unauthorized(ApiRefused):
    """The token is not accepted."""

    status: int = HTTPStatus.UNAUTHORIZED
    missing_right: bool = True


@dataclass(eq=False)
class Forbidden(ApiRefused):
    """RBAC refuses (`missing_right`), or admission does: a policy, a webhook, a quota."""

    status: int = HTTPStatus.FORBIDDEN


@dataclass(eq=False)
class NotFound(ApiRefused):
    """The API server has no such object, or no such resource."""

    status: int = HTTPStatus.NOT_FOUND


@dataclass(eq=False)
class Conflict(ApiRefused):
    """The object has changed since it was read."""

    status: int = HTTPStatus.CONFLICT


@dataclass(eq=False)
class AlreadyExists(Conflict):
    """There is an object of this name already."""


@dataclass(eq=False)
class Expired(ApiRefused):
    """A resourceVersion or a continue token is too old.

    `token`: continues the LIST with the current objects; empty if the API server gives none.
    """

    status: int = HTTPStatus.GONE
    token: str = ""


@dataclass(eq=False)
class Invalid(ApiRefused):
    """The object would not be valid, or a `test` of a JSON patch failed."""

    status: int = HTTPStatus.UNPROCESSABLE_ENTITY


_CLASSES: Mapping[int, type[ApiRefused]] = {
    each.status: each for each in (Unauthorized, Forbidden, NotFound, Conflict, Expired, Invalid)
}

Answered = Callable[[Asked, Failure | None], object]
"""Called with every answer: the request, and its error; None if it succeeded."""


def nobody_asks(_what: Asked, _error: Failure | None) -> None:
    """Ignore the answer: the default."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, without the body of a success.

    `resource`: as messages name it; `said`: the `Status` object of a refusal; `retry_after`: the header of that name.
    """

    method: str
    what: Asked
    status: int
    resource: str = ""
    said: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str = ""

    @property
    def words(self) -> str:
        """The API server's message, cut to `MAX_WORDS`."""
        return str(self.said.get("message", ""))[:MAX_WORDS]


def error_of(answer: Answer) -> ApiRefused | Unavailable | None:
    """The error of an answer: `ApiRefused` (4xx), or `Unavailable` (temporary: 429, 5xx); None for a success."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return None
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unavailable(answer)
    message = f"{answer.method} {answer.resource or answer.what.resource}: {_told(answer)}"
    kind = _CLASSES.get(answer.status, ApiRefused)
    if kind is Conflict and answer.said.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    error = kind(Reason.KUBERNETES_REFUSED, message, answer.status, answer.words)
    if isinstance(error, Forbidden):
        error.missing_right = _by_authorizer(answer)
    elif isinstance(error, Expired):
        error.token = token_in(answer.said.get("metadata"))
    return error


def _told(answer: Answer) -> str:
    """Status and words; a proxy in between may say none."""
    return f"{answer.status}: {answer.words}" if answer.words else str(answer.status)


def _unavailable(answer: Answer) -> Unavailable:
    message = f"the API server answers {_told(answer)}"
    if answer.status == HTTPStatus.GATEWAY_TIMEOUT:
        return AnswerTooLong(Reason.KUBERNETES_UNAVAILABLE, message, outcome_unknown=True)
    return Unavailable(Reason.KUBERNETES_UNAVAILABLE, message, retry_after_s=_seconds(answer.retry_after))


def _by_authorizer(answer: Answer) -> bool:
    """Whether RBAC refused. Admission never refuses reads."""
    return answer.what.verb in _READS or _BY_AUTHORIZER.match(answer.words) is not None


def _seconds(header: str) -> float | None:
    """Seconds of a Retry-After header; the API server does not use the header's other form, a date."""
    short = header.isascii() and header.isdigit() and len(header) < 10  # noqa: PLR2004 - digits
    return min(float(header), LONGEST_RETRY_AFTER_S) if short else None
