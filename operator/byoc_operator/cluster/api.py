"""JSON over HTTPS with the API server, through `kubernetes.aio`'s transport and authentication."""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.config import list_kube_config_contexts, load_incluster_config, load_kube_config
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from ..errors import OperatorError, Unavailable

TIMEOUT_S = 15.0
"""Well above the API server's own deadline for a slow etcd write, well below a user's patience."""

CONNECTIONS = 20
"""As many as there are workers: more only lengthens the API server's queue."""

PAGE_SIZE = 50
"""Objects may have a megabyte each, whoever made them, and a page is in memory as a whole."""

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

_TOO_MANY, _SERVER_ERROR = 429, 500

Observer = Callable[[str, str, str, float], None]
"""Told of every request: verb, resource, HTTP status or `error`, seconds."""


@dataclass(eq=False)
class ApiRefused(OperatorError):
    """The API server said no with `status` (HTTP); the message is its own and holds no body of ours."""

    status: int = 0


class ClusterApi:
    """One connection pool to the API server. Build it with `connect`."""

    def __init__(self, client: ApiClient, observe: Observer) -> None:
        self._client = client
        self._observe = observe

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the generated client is half typed

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """One request, its JSON answer. Raises `ApiRefused` (4xx) or `Unavailable` (everything passing)."""
        started = time.monotonic()
        outcome = "error"
        try:
            status, answer = await self._send(method, path, body, content_type)
            outcome = str(status)
        except (aiohttp.ClientError, TimeoutError, ApiException, OSError) as exc:
            raise Unavailable(
                "KubernetesUnavailable", f"the API server does not answer ({type(exc).__name__})"
            ) from exc
        finally:
            self._observe(method, resource, outcome, time.monotonic() - started)
        if status < 400:  # noqa: PLR2004 - HTTP
            return _object(answer)
        told = str(_object(answer).get("message", ""))[:512]
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            raise Unavailable("KubernetesUnavailable", f"the API server answers {status}: {told}")
        raise ApiRefused("KubernetesRefused", f"{method} {resource}: {status}: {told}", status=status)

    async def _send(self, method: str, path: str, body: object, content_type: str) -> tuple[int, bytes]:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        async with asyncio.timeout(TIMEOUT_S):
            response = await self._client.call_api(
                method,
                self._client.configuration.host + path,
                header_params=headers,
                body=body,
                _request_timeout=TIMEOUT_S,
            )
            return response.status, await response.read()  # type: ignore[no-untyped-call]  # as above

    async def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST, fetched in pages."""
        more = ""
        while True:
            parameters = {"limit": str(PAGE_SIZE), **query} | ({"continue": more} if more else {})
            answer = await self.request("GET", f"{path}?{urlencode(parameters)}", resource=resource)
            for item in answer.get("items") or ():
                yield item
            more = (answer.get("metadata") or {}).get("continue") or ""
            if not more:
                return


def _object(answer: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


_UNUSABLE = (ConfigException, OSError, yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError)
"""What a configuration may raise: the library reads the parts that it needs, and takes them to be of the right type."""


def _wrong_with(exc: Exception) -> str:
    """What is wrong with a configuration, without anything that may be a credential in it."""
    if isinstance(exc, ConfigException):
        return str(exc).partition("/{")[0]  # behind it, all that an entry holds
    if isinstance(exc, OSError):
        return str(exc)
    mark = getattr(exc, "problem_mark", None)
    return f"the configuration cannot be read{f' (line {mark.line + 1})' if mark else ''}"


async def connect_as_user(kubeconfig: str | None, context: str | None) -> tuple[ClusterApi, str]:
    """Connect as kubectl does, and the namespace of the context. None: what kubectl would take.

    Raises OperatorError if there is no such configuration.
    """
    configuration = Configuration(client_session_kwargs={"trust_env": True})  # a user may sit behind a proxy
    logging.getLogger(load_kube_config.__module__).setLevel(logging.ERROR)  # it warns of a fault that we tell
    try:
        contexts, active = list_kube_config_contexts(config_file=kubeconfig)  # type: ignore[no-untyped-call]
        await load_kube_config(config_file=kubeconfig, context=context, client_configuration=configuration)  # type: ignore[no-untyped-call]
        chosen = next((each for each in contexts if each["name"] == context), active)
        namespace = str(chosen["context"].get("namespace") or "default")
        return ClusterApi(ApiClient(configuration), lambda *_: None), namespace
    except _UNUSABLE as exc:
        # `from None`: a traceback would quote the file.
        where = kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
        raise OperatorError("Configuration", f"there is no cluster to talk to ({where}): {_wrong_with(exc)}") from None


async def connect(observe: Observer) -> ClusterApi:
    """Connect with `KUBECONFIG` if it is set, else as the pod's service account. Raises OperatorError if neither is."""
    # `trust_env`: aiohttp would read environment and netrc at every request, which costs more than the request.
    configuration = Configuration(connection_pool_maxsize=CONNECTIONS, client_session_kwargs={"trust_env": False})
    path = os.environ.get("KUBECONFIG", "")
    try:
        if path:
            await load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except _UNUSABLE as exc:
        where = f"KUBECONFIG ({path})" if path else "the pod's service account"
        raise OperatorError("Configuration", f"cannot reach a cluster through {where}: {_wrong_with(exc)}") from None
    return ClusterApi(ApiClient(configuration), observe)
