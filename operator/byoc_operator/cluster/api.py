"""JSON over HTTPS with the API server, through `kubernetes.aio`'s transport and authentication."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.client.rest import RESTResponse
from kubernetes.aio.config import list_kube_config_contexts, load_incluster_config, load_kube_config
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION
from multidict import CIMultiDict

from ..api.conditions import Reason
from ..errors import CannotRun, Unavailable
from .answers import Answer, Answered, asked, error_of, nobody_asks
from .connection import OURSELVES, Access, acting_as
from .lines import lines_of
from .pages import JSON, Pages
from .reading import MAX_OBJECT, AnswerTooLong, Told, Unreadable, decoded, pass_over, read

TIMEOUT_S = 15.0
"""The timeout of a request: well above the API server's own deadline for a slow etcd write."""

CONNECTIONS = 20
"""Connections at once: as many as workers. More would only lengthen the API server's queue."""

OWN_CONNECTIONS: Mapping[str, int] = {"leases": 2, "events": 1}
"""Resources with connections of their own, in addition to the others.

Slow objects may occupy all others, and a leader must be able to renew its Lease. An Event that is held up must not
take a connection from objects; Events are posted one after the other.
"""


_CHUNK = 256 * 1024
_MAX_REFUSAL = 64 * 1024
_OF_WHAT_IS_STORED = ("GET", "PATCH")

Observer = Callable[[str, str, str, float], None]
"""Called after every request: verb, resource, HTTP status or `error`, seconds."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, with its timeout and the most bytes of its answer."""

    method: str
    path: str
    body: object
    headers: Mapping[str, str]
    timeout_s: float
    most_bytes: int
    resource: str


@dataclass(frozen=True, slots=True)
class _Reply:
    """The answer to a request. `retry_after`: the header of that name."""

    status: int
    body: bytes
    retry_after: str


class ClusterApi:
    """One connection pool to the API server. Build it with `connect`.

    `answered`: called with every answer.
    """

    def __init__(
        self,
        client: ApiClient,
        observe: Observer,
        access: Access = OURSELVES,
        answered: Answered = nobody_asks,
    ) -> None:
        self._client = client
        self._observe = observe
        self._acting = acting_as(access)
        self._longest_s = access.timeout_s
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._answered = answered
        self._unreadable: Told = pass_over

    def listen(self, told: Told) -> None:
        """From now on `told` hears of every object that a LIST passes over. There is one listener."""
        self._unreadable = told

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the generated client is half typed

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = JSON
    ) -> dict[str, Any]:
        """One request, its JSON answer.

        Raises `ApiRefused` (4xx), `Unavailable` (everything passing), `Unreadable` for an object that is none.
        """
        headers = {"Content-Type": content_type, "Accept": JSON}
        longest_s = self._longest_s or TIMEOUT_S
        try:
            answer = await self._answer(_Request(method, path, body, headers, longest_s, MAX_OBJECT, resource))
        except AnswerTooLong as exc:
            if exc.outcome_unknown:
                raise Unavailable(exc.reason, exc.message) from exc
            raise Unreadable(exc.message, resource=resource) from exc
        return await read(answer, resource, stored=method in _OF_WHAT_IS_STORED)

    def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST that can be read, fetched in pages; the listener is called with the others."""

        async def fetch(url: str, *, accept: str, timeout_s: float, most_bytes: int) -> bytes:
            headers = {"Content-Type": JSON, "Accept": accept}
            timeout_s = min(timeout_s, self._longest_s or timeout_s)
            return await self._answer(_Request("GET", url, None, headers, timeout_s, most_bytes, resource))

        return Pages(fetch, resource, self._unreadable).all(path, query)

    async def lines(self, path: str, *, resource: str, silent_s: float | None) -> AsyncIterator[str]:
        """The lines of a text, such as a pod's log, as they come. A line that is too long is cut (`lines`).

        `silent_s`: seconds without a byte after which it ends with `Unavailable`. Raises `ApiRefused` too.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._longest_s or TIMEOUT_S, sock_read=silent_s)
        try:
            response = (await self._call("GET", path, {"Accept": "*/*"}, None, timeout)).response
            async with response:
                if response.status >= HTTPStatus.BAD_REQUEST:
                    body = await response.content.read(_MAX_REFUSAL)
                    reply = _Reply(response.status, body, "")
                    error = error_of(Answer("GET", asked("GET", path), reply.status, resource, _said(reply)))
                    raise error or Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")
                async for line in lines_of(response.content.iter_any()):
                    yield line
        except (aiohttp.ClientError, ApiException, OSError) as exc:
            message = f"the API server does not answer ({type(exc).__name__})"
            raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, message) from exc

    async def _answer(self, request: _Request) -> bytes:
        """The body of the answer. Raises `ApiRefused`, `AnswerTooLong` and `Unavailable`."""
        resource, place = request.resource, nullcontext() if request.resource in OWN_CONNECTIONS else self._free
        started = time.monotonic()
        outcome = "error"
        try:
            async with asyncio.timeout(request.timeout_s), place:
                reply = await self._send(request)
            outcome = str(reply.status)
        except TimeoutError as exc:
            message = "the API server does not answer (TimeoutError)"
            raise AnswerTooLong(Reason.KUBERNETES_UNAVAILABLE, message, outcome_unknown=True) from exc
        except (aiohttp.ClientError, ApiException, OSError) as exc:
            raise Unavailable(
                Reason.KUBERNETES_UNAVAILABLE, f"the API server does not answer ({type(exc).__name__})"
            ) from exc
        finally:
            self._observe(request.method, resource, outcome, time.monotonic() - started)
        what = asked(request.method, request.path.partition("?")[0])
        answer = Answer(request.method, what, reply.status, resource, _said(reply), reply.retry_after)
        error = error_of(answer)
        self._answered(what, error)
        if error is not None:
            raise error
        return reply.body

    async def _send(self, request: _Request) -> _Reply:
        response = await self._call(request.method, request.path, request.headers, request.body, request.timeout_s)
        body = await _body(response.response, request.most_bytes)
        return _Reply(response.status, body, response.response.headers.get("Retry-After", ""))

    async def _call(
        self, method: str, path: str, wanted: Mapping[str, str], body: object, longest: aiohttp.ClientTimeout | float
    ) -> RESTResponse:
        # A dict where it does: a multidict costs the operator more at each request.
        headers = CIMultiDict([*wanted.items(), *self._acting]) if self._acting else dict(wanted)
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path
        return await self._client.call_api(method, url, header_params=headers, body=body, _request_timeout=longest)


def _said(reply: _Reply) -> dict[str, Any]:
    """The `Status` object of a refusal; empty for a success, whose body may be large."""
    said = decoded(reply.body[:_MAX_REFUSAL]) if reply.status >= HTTPStatus.BAD_REQUEST else None
    return said if isinstance(said, dict) else {}


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, as long as it is no longer than `most` bytes. Raises `AnswerTooLong`."""
    parts, length = [], 0
    async with response:
        async for part in response.content.iter_chunked(_CHUNK):
            parts.append(part)
            length += len(part)
            if length > most:
                response.close()
                raise AnswerTooLong(Reason.KUBERNETES_UNAVAILABLE, f"the answer is longer than {most} bytes")
    return b"".join(parts)


_UNUSABLE = (ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
"""The errors of a wrong configuration: the library does not check the types of the parts that it reads."""


def _wrong_with(exc: Exception) -> str:
    """What is wrong with a configuration, without any part that may be a credential."""
    if isinstance(exc, ConfigException):
        return str(exc).partition("/{")[0]  # the rest quotes the whole entry
    if isinstance(exc, OSError):
        return str(exc)
    mark = getattr(exc, "problem_mark", None)
    return f"the configuration cannot be read{f' (line {mark.line + 1})' if mark else ''}"


async def connect_as_user(access: Access) -> tuple[ClusterApi, str]:
    """Connect as kubectl does, and the namespace of the context.

    Raises CannotRun if there is no such configuration.
    """
    configuration = Configuration(client_session_kwargs={"trust_env": True})  # a user may sit behind a proxy
    kubeconfig, context = access.kubeconfig, access.context
    logging.getLogger(load_kube_config.__module__).setLevel(logging.ERROR)  # its warning would repeat our error message
    try:
        contexts, active = list_kube_config_contexts(config_file=kubeconfig)  # type: ignore[no-untyped-call]
        await load_kube_config(config_file=kubeconfig, context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]
        chosen = next((each for each in contexts if each["name"] == context), active)
        namespace = str(chosen["context"].get("namespace") or "default")
        return ClusterApi(ApiClient(configuration), lambda *_: None, access), namespace
    except _UNUSABLE as exc:
        # `from None`: a traceback would quote the file.
        where = kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
        raise CannotRun(f"there is no cluster to talk to ({where}): {_wrong_with(exc)}") from None


async def connect(observe: Observer, answered: Answered) -> ClusterApi:
    """Connect with `KUBECONFIG` if it is set, else as the pod's service account. Raises CannotRun if neither is."""
    # `trust_env`: aiohttp would read environment and netrc at every request, which costs more than the request.
    configuration = Configuration(
        connection_pool_maxsize=CONNECTIONS + sum(OWN_CONNECTIONS.values()), client_session_kwargs={"trust_env": False}
    )
    path = os.environ.get("KUBECONFIG", "")
    try:
        if path:
            await load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except _UNUSABLE as exc:
        where = f"KUBECONFIG ({path})" if path else "the pod's service account"
        raise CannotRun(f"cannot reach a cluster through {where}: {_wrong_with(exc)}") from None
    return ClusterApi(ApiClient(configuration), observe, answered=answered)
