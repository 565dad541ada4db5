"""The handlers of kopf, which serves as informer: it lists, watches, reconnects and logs in, and writes nothing.

There are event handlers only. Change handlers would cost a write per object and retry, and would copy a Secret's data
into an annotation. Each event goes to the engine's intake.
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

from .api.names import GROUP, PLURAL, VERSION
from .cluster.reading import Unreadable
from .cluster.secrets import LABEL_SELECTOR
from .cluster.stream import reading
from .errors import CannotRun
from .telemetry.watches import Watches

PAGE_SIZE = 1
"""The `limit` of kopf's LIST requests, by which `cluster.stream` recognises them. These lists return no objects."""

_HEAVY = ("data", "spec", "status")
_HEAVY_METADATA = ("annotations", "labels", "managedFields")
REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
LOGIN_RETRY_S = 5.0

KOPF_ENDS_S = 3.0
"""How long kopf may take to end after the engine has ended."""

_NOT_A_ROOT = "credentials retriever"
"""The task of kopf that must not end, although kopf does not list it among its root tasks."""

GRACE_S = 20.0
"""How long runs under way may go on after SIGTERM; a pod has 30 s unless told otherwise."""


class _AllTasks:
    """Contains every task: kopf is told to ignore all tasks when it ends.

    Otherwise kopf waits for the tasks that it does not know, and cancels them. The tasks that are left are ours, or end
    with the process.
    """

    def __contains__(self, task: object) -> bool:
        return True


class _Pauses:
    """The pauses between kopf's attempts to reach the API server, without an end.

    With kopf's own pauses, kopf gives up after a minute of HTTP 503.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 1, 2, 3, 5, 8, 13), itertools.repeat(21))


class _NoDiffBase(kopf.DiffBaseStorage):
    """Stores no last state of an object. Otherwise kopf copies and compares every object at each event."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> Any:  # noqa: ARG002 - kopf's signature
        return {}

    def fetch(self, *, body: kopf.Body) -> Any:  # noqa: ARG002 - kopf's signature
        return {}

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        """Keep nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Stores no progress of handlers in the cluster, because event handlers have none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        """Return None: no progress is stored."""

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Keep nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Do nothing: no progress is stored."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: Any) -> None:
        """Do nothing: kopf must not write to an object."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def configured() -> kopf.OperatorSettings:
    """The settings with which kopf watches and does nothing else."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True  # the CRD exists already; watching for CRDs needs more rights
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
    """The signals for the end of the process.

    `stop`: set when kopf is to end. `ended`: set when the engine has ended. `lost`: called with a message if a task of
    kopf ends before `stop`. `sessions`: the HTTP sessions that kopf uses.
    """

    stop: asyncio.Event
    ended: asyncio.Event
    lost: Callable[[str], object]
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)


class Lifecycle(Protocol):
    """The engine as kopf's handlers see it: it starts before kopf watches, and stops when kopf ends."""

    async def start(self) -> None:
        """Start; return when events may come."""
        ...

    async def stop(self, grace_s: float, /) -> None:
        """Stop; wait up to `grace_s` seconds for the runs under way."""
        ...


class Intake(Protocol):
    """Takes in the events of kopf's watches. `kind`: DELETED, ADDED, MODIFIED, or None for an object of a LIST."""

    def number_event(self, kind: str | None, raw: Mapping[str, Any], /) -> None:
        """Take in an event of a ByocPhoneNumber."""
        ...

    def secret_event(self, kind: str | None, raw: Mapping[str, Any], /) -> None:
        """Take in an event of a labelled Secret."""
        ...

    def numbers_listed(self) -> None:
        """Note that a watch of ByocPhoneNumbers begins."""
        ...

    def secrets_listed(self) -> None:
        """Note that a watch of labelled Secrets begins."""
        ...

    def passed_over(self, found: Unreadable) -> None:
        """Report an object that cannot be read."""
        ...


def registered(engine: Lifecycle, intake: Intake, ending: Ending, watches: Watches) -> kopf.OperatorRegistry:
    """Register the handlers of kopf: startup, cleanup, login, and events of numbers and labelled Secrets."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def begin(**_: Any) -> None:
        await engine.start()
        watches.begin()

    @kopf.on.cleanup(registry=registry, errors=kopf.ErrorsMode.PERMANENT)
    async def end(**_: Any) -> None:
        await engine.stop(GRACE_S)
        ending.ended.set()
        ending.stop.set()  # else kopf waits five seconds for its own task that waits for `stop`

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=LOGIN_RETRY_S)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        session = _logged_in(kwargs, intake, watches)
        if session is None:
            return None
        still_open = [each for each in ending.sessions if not each.closed]  # kopf closes the sessions that it replaces
        ending.sessions[:] = [*still_open, session.aiohttp_session]
        return session

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def number(event: kopf.RawEvent, **_: Any) -> None:
        intake.number_event(event["type"], event["object"])
        _empty(event["object"])

    @kopf.on.event("v1", "secrets", registry=registry)
    async def secret(event: kopf.RawEvent, **_: Any) -> None:
        intake.secret_event(event["type"], event["object"])
        _empty(event["object"])

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


def _empty(raw: Any) -> None:
    """Empty an object that was taken in: kopf leaves it in a reference cycle, until the garbage collector runs.

    The collector counts objects and not bytes, so that one Secret of a megabyte, written again and again, would fill
    the memory. Also, the data of a Secret must not stay in memory for longer than necessary.
    """
    for key in _HEAVY:
        raw.pop(key, None)
    for key in _HEAVY_METADATA:
        raw["metadata"].pop(key, None)


def _in_cluster_server() -> str:
    """The URL of the API server from the pod's environment. kopf's own URL needs the cluster's DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _session(
    found: kopf.ConnectionInfo, server: str, watches: Watches, middleware: aiohttp.ClientMiddlewareType
) -> kopf.AiohttpSession:
    """The HTTP session for kopf, as kopf makes it, with our tracing of watches and our reading of its answers."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        trust_env=False,
        trace_configs=[watches.tracing()],
        middlewares=(middleware,),
    )
    return kopf.AiohttpSession(server=server, default_namespace=found.default_namespace, aiohttp_session=session)


async def watch(registry: kopf.OperatorRegistry, namespaces: tuple[str, ...], ending: Ending, watches: Watches) -> None:
    """Run kopf until `ending.stop` is set. Raises CannotRun if kopf ends for another reason."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # kopf logs the whole answer at every attempt to open a watch; `Watches` reports it once.
    logging.getLogger("kopf._cogs.clients").setLevel(logging.CRITICAL)
    roots = await kopf.spawn_tasks(
        registry=registry,
        settings=configured(),
        standalone=True,
        identity=cast("Any", "byoc-operator"),  # else kopf looks up the user's name, which a pod may not have
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
        running.cancel()  # a task of kopf that hangs ends with the event loop or with the process
    for session in ending.sessions:
        await session.close()  # kopf closes only the sessions that it still refers to
    if running.done() and not running.cancelled() and (exc := running.exception()) is not None:
        raise CannotRun(f"watching the cluster ended: {type(exc).__name__}: {exc}") from exc


def _lost(task: asyncio.Task[Any], ending: Ending, watches: Watches) -> None:
    """Report that one of kopf's main tasks has ended before `stop`: the process cannot go on without it."""
    if ending.stop.is_set():
        return
    exc = None if task.cancelled() else task.exception()
    why = "was cancelled" if task.cancelled() else f"ended ({type(exc).__name__})" if exc else "ended"
    ending.lost(f"kopf's task {task.get_name()} {why}")
    watches.let_go()
