"""kopf: our informer. It lists, watches, reconnects and logs in; it never writes to the cluster.

Only event handlers: change handlers would cost a write per object and retry, and would copy a Secret's data into an
annotation. What happens with an event is the engine's.
"""

import asyncio
import logging
import os
from typing import Any, cast

import aiohttp
import kopf

from .cluster.secrets import LABEL_SELECTOR
from .cluster.stream import reading
from .core.resource import GROUP, PLURAL, VERSION
from .engine.engine import Engine
from .errors import OperatorError
from .telemetry.watches import Watches

PAGE_SIZE = 1
"""kopf's lists hold no object (`cluster.stream`); a limit is what tells a list from other requests."""

_HEAVY = ("data", "spec", "status")
_HEAVY_METADATA = ("annotations", "labels", "managedFields")
REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
LOGIN_RETRY_S = 5.0

GRACE_S = 20.0
"""How long runs under way may go on after SIGTERM; a pod has 30 s unless told otherwise."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """No handler of ours looks at differences, so none are kept: else kopf copies and compares every object."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> Any:  # noqa: ARG002 - kopf's signature
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:  # noqa: ARG002 - kopf's signature
        return {}

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Keep nothing."""


class _NoProgress(kopf.ProgressStorage):
    """No handler of ours has progress to remember in the cluster."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        """Remember nothing."""

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Keep nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Have nothing to remove."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: Any) -> None:
        """Never write to an object only to see it change."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def configured() -> kopf.OperatorSettings:
    """Settings of kopf: watch, and nothing else."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True  # the CRD is there before us; watching for CRDs would need more rights
    settings.networking.request_timeout = REQUEST_TIMEOUT_S
    settings.networking.connect_timeout = CONNECT_TIMEOUT_S
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.label_selectors["v1", "secrets"] = LABEL_SELECTOR
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.execution.max_workers = 1  # no handler of ours is synchronous
    return settings


def registered(engine: Engine, stop: asyncio.Event, watches: Watches) -> kopf.OperatorRegistry:
    """Our handlers: the engine starts before kopf begins to watch, and ends when kopf does."""
    registry = kopf.OperatorRegistry()

    def listed(path: str) -> None:
        engine.secrets_listed() if path.endswith("/secrets") else engine.numbers_listed()

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def begin(**_: Any) -> None:
        await engine.start()

    @kopf.on.cleanup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def end(**_: Any) -> None:
        await engine.stop(GRACE_S)
        stop.set()  # else kopf waits five seconds for its own task that waits for this

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=LOGIN_RETRY_S)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        kubeconfig = os.environ.get("KUBECONFIG")
        found = kopf.login_with_kubeconfig(**kwargs) if kubeconfig else kopf.login_with_service_account(**kwargs)
        if found is None:
            return None
        server = found.server if kubeconfig else _in_cluster_server()
        return _session(found, server, watches, reading(engine.unread.told, listed))

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def number(event: kopf.RawEvent, **_: Any) -> None:
        engine.number_event(event["type"], event["object"])
        _let_go(event["object"])

    @kopf.on.event("v1", "secrets", registry=registry)
    async def secret(event: kopf.RawEvent, **_: Any) -> None:
        engine.secret_event(event["type"], event["object"])
        _let_go(event["object"])

    return registry


def _let_go(raw: Any) -> None:
    """Empty an object that was taken in: kopf leaves it in a reference cycle, which waits for the collector.

    That counts objects and not bytes: one Secret of a megabyte, written again and again, would fill the memory. And
    what a Secret holds stays in memory for no longer than it must.
    """
    for key in _HEAVY:
        raw.pop(key, None)
    for key in _HEAVY_METADATA:
        raw["metadata"].pop(key, None)


def _in_cluster_server() -> str:
    """The API server as every client in a pod finds it; kopf would need the cluster's DNS for it."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _session(
    found: kopf.ConnectionInfo, server: str, watches: Watches, middleware: aiohttp.ClientMiddlewareType
) -> kopf.AiohttpSession:
    """The session that kopf would make itself, and on it the look at its watches and at all that it reads."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        trust_env=False,
        trace_configs=[watches.tracing()],
        middlewares=(middleware,),
    )
    return kopf.AiohttpSession(server=server, default_namespace=found.default_namespace, aiohttp_session=session)


async def watch(registry: kopf.OperatorRegistry, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Run kopf until a signal comes or `stop` is set. Raises OperatorError if it ends for another reason."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Every attempt to open a watch again would be a line with the whole answer in it; `Watches` says it once.
    logging.getLogger("kopf._cogs.clients").setLevel(logging.CRITICAL)
    try:
        await kopf.operator(
            registry=registry,
            settings=configured(),
            standalone=True,
            identity=cast("Any", "byoc-operator"),  # else kopf asks for the user's name: a pod's user may have none
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
        )
    except OperatorError:
        raise
    except Exception as exc:
        raise OperatorError("Watching", f"watching the cluster ended: {type(exc).__name__}: {exc}") from exc
