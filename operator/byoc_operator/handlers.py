"""kopf: our informer. It lists, watches, reconnects and logs in; it never writes to the cluster.

Only event handlers: change handlers would cost a write per object and retry, and would copy a Secret's data into an
annotation. The engine's intake takes the events.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import aiohttp
import kopf

from byoc_operator.errors import CannotRun

from .api.names import GROUP, PLURAL, VERSION
from .cluster.reading import Unreadable
from .cluster.secrets import LABEL_SELECTOR
from .cluster.stream import reading
from .telemetry.watches import Watches

PAGE_SIZE = 1
"""kopf's lists hold no object (`cluster.stream`); a limit is what tells a list from other requests."""

_HEAVY = ("data", "spec", "status")
_HEAVY_METADATA = ("annotations", "labels", "managedFields")
REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
LOGIN_RETRY_S = 5.0

KOPF_ENDS_S = 3.0
"""How long kopf may take once the engine has ended. There is nothing left to wait for."""

_NOT_A_ROOT = "credentials retriever"
"""The one task of kopf that it does not name among those that must not end, although it must not."""

GRACE_S = 20.0
"""How long runs under way may go on after SIGTERM; a pod has 30 s unless told otherwise."""


class _AllTasks:
    """Every task: in the end kopf waits for tasks that it is not told to ignore, and cancels them.

    It is told to ignore all. Those that are left then are ours, or end with the process.
    """

    def __contains__(self, task: object) -> bool:
        return True


class _Pauses:
    """Pauses between attempts to reach the API server, without end: kopf would give up after a minute of HTTP 503."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13), itertools.repeat(21))


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
    settings.networking.error_backoffs = _Pauses()
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.label_selectors["v1", "secrets"] = LABEL_SELECTOR
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.execution.max_workers = 1  # no handler of ours is synchronous
    return settings


@dataclass(frozen=True, slots=True)
class Ending:
    """`stop`: kopf is to end; `ended`: the engine has; `lost` hears of a task that kopf lost before a stop.

    `sessions`: what kopf was given to reach the API server.
    """

    stop: asyncio.Event
    ended: asyncio.Event
    lost: Callable[[str], object]
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)


class Lifecycle(Protocol):
    """What starts before kopf begins to watch, and stops when kopf does."""

    async def start(self) -> None:
        """Return when events may come."""
        ...

    async def stop(self, grace_s: float, /) -> None:
        """Let runs under way end for up to `grace_s` seconds."""
        ...


class Intake(Protocol):
    """What takes in whatever kopf's watches tell. `kind`: DELETED, ADDED, MODIFIED or None."""

    def number_event(self, kind: str | None, raw: Mapping[str, Any], /) -> None:
        """Take in an event of a ByocPhoneNumber."""
        ...

    def secret_event(self, kind: str | None, raw: Mapping[str, Any], /) -> None:
        """Take in an event of a labelled Secret."""
        ...

    def numbers_listed(self) -> None:
        """A watch of ByocPhoneNumbers begins."""
        ...

    def secrets_listed(self) -> None:
        """A watch of labelled Secrets begins."""
        ...

    def passed_over(self, found: Unreadable) -> None:
        """An object cannot be read."""
        ...


def registered(engine: Lifecycle, intake: Intake, ending: Ending, watches: Watches) -> kopf.OperatorRegistry:
    """Our handlers: the engine starts before kopf begins to watch, and ends when kopf does."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def begin(**_: Any) -> None:
        await engine.start()
        watches.begin()

    @kopf.on.cleanup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def end(**_: Any) -> None:
        await engine.stop(GRACE_S)
        ending.ended.set()
        ending.stop.set()  # else kopf waits five seconds for its own task that waits for this

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=LOGIN_RETRY_S)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        session = _logged_in(kwargs, intake, watches)
        if session is None:
            return None
        still_open = [each for each in ending.sessions if not each.closed]  # kopf closes those that it gives up
        ending.sessions[:] = [*still_open, session.aiohttp_session]
        return session

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def number(event: kopf.RawEvent, **_: Any) -> None:
        intake.number_event(event["type"], event["object"])
        _let_go(event["object"])

    @kopf.on.event("v1", "secrets", registry=registry)
    async def secret(event: kopf.RawEvent, **_: Any) -> None:
        intake.secret_event(event["type"], event["object"])
        _let_go(event["object"])

    return registry


def _logged_in(kwargs: dict[str, Any], intake: Intake, watches: Watches) -> kopf.AiohttpSession | None:
    """A session with the API server, None if nothing says how to log in."""

    def listed(path: str) -> None:
        intake.secrets_listed() if path.endswith("/secrets") else intake.numbers_listed()

    kubeconfig = os.environ.get("KUBECONFIG")
    found = kopf.login_with_kubeconfig(**kwargs) if kubeconfig else kopf.login_with_service_account(**kwargs)
    if found is None:
        return None
    server = found.server if kubeconfig else _in_cluster_server()
    return _session(found, server, watches, reading(intake.passed_over, listed))


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


async def watch(registry: kopf.OperatorRegistry, namespaces: tuple[str, ...], ending: Ending, watches: Watches) -> None:
    """Run kopf until a stop is asked for. Raises CannotRun if it ends for another reason."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # Every attempt to open a watch again would be a line with the whole answer in it; `Watches` says it once.
    logging.getLogger("kopf._cogs.clients").setLevel(logging.CRITICAL)
    roots = await kopf.spawn_tasks(
        registry=registry,
        settings=configured(),
        standalone=True,
        identity=cast("Any", "byoc-operator"),  # else kopf asks for the user's name: a pod's user may have none
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=ending.stop,
    )
    for task in [*roots, *(task for task in asyncio.all_tasks() if task.get_name() == _NOT_A_ROOT)]:
        task.add_done_callback(lambda done: _lost(done, ending, watches))
    running = asyncio.create_task(kopf.run_tasks(roots, ignored=cast("Any", _AllTasks())), name="kopf")
    ended = asyncio.create_task(ending.ended.wait(), name="end of the engine")
    try:
        await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({running}, timeout=KOPF_ENDS_S)
    finally:
        ended.cancel()
        running.cancel()  # what of kopf still hangs, the end of the loop or of the process ends
    for session in ending.sessions:
        await session.close()  # kopf closes what it remembers
    if running.done() and not running.cancelled() and (exc := running.exception()) is not None:
        raise CannotRun(f"watching the cluster ended: {type(exc).__name__}: {exc}") from exc


def _lost(task: asyncio.Task[Any], ending: Ending, watches: Watches) -> None:
    """One of kopf's main tasks has ended; unless it was asked to, nothing good comes of the others either."""
    if ending.stop.is_set():
        return
    exc = None if task.cancelled() else task.exception()
    why = "was cancelled" if task.cancelled() else f"ended ({type(exc).__name__})" if exc else "ended"
    ending.lost(f"kopf's task {task.get_name()} {why}")
    watches.let_go()
