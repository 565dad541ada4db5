"""The real kopf with a small hostile API server: each cause of its end is reported, and the process ends."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from byoc_operator.cluster.reading import Unreadable
from byoc_operator.errors import OperatorError
from byoc_operator.handlers import Ending, configured, registered, watch
from byoc_operator.telemetry.watches import Watches

pytestmark = pytest.mark.slow

DEADLINE_S = 30.0
GROUP = "byoc.talkifai.dev/v1alpha1"
NUMBERS, SECRETS = f"/apis/{GROUP}/byocphonenumbers", "/api/v1/secrets"


def _resource(name: str, kind: str) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "patch", "create"]
    return {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs}


class ApiServer:
    """As much of one as kopf asks for. `tell` sends a line on every open watch of a path."""

    def __init__(self) -> None:
        self._told: dict[str, list[asyncio.Queue[bytes | None]]] = {NUMBERS: [], SECRETS: []}
        version = {"groupVersion": GROUP, "version": "v1alpha1"}
        core = [_resource("secrets", "Secret"), _resource("namespaces", "Namespace"), _resource("events", "Event")]
        self._fixed: dict[str, Any] = {
            "/api": {"versions": ["v1"]},
            "/apis": {"groups": [{"name": "byoc.talkifai.dev", "versions": [version], "preferredVersion": version}]},
            "/api/v1": {"resources": core},
            f"/apis/{GROUP}": {"resources": [_resource("byocphonenumbers", "ByocPhoneNumber")]},
        }
        self.refusal = 0
        self.asked = 0
        self.lists: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        self.asked += 1
        if self.refusal:
            return web.json_response({}, status=self.refusal)
        if request.path in self._fixed:
            return web.json_response(self._fixed[request.path])
        if "watch" not in request.query:
            self.lists.append(dict(request.query))
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        stream = web.StreamResponse()
        await stream.prepare(request)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._told[request.path].append(lines)
        while (line := await lines.get()) is not None:
            await stream.write(line + b"\n")
        return stream

    def watched(self, path: str) -> int:
        """How many watches of a path there were."""
        return len(self._told[path])

    def tell(self, path: str, line: bytes | None) -> None:
        """Send it; None closes the watches."""
        for lines in self._told[path]:
            lines.put_nowait(line)


class StandIn:
    """An engine that does nothing, or what it is told to."""

    def __init__(self) -> None:
        self.heard: list[Unreadable] = []
        self.starting: asyncio.Future[None] | None = None
        self.stopped = 0
        self.listed: list[str] = []
        self.breaks = False

    async def start(self) -> None:
        """Wait for `starting`, if it is set."""
        if self.starting is not None:
            await self.starting

    async def stop(self, _grace_s: float) -> None:
        """Count the stops."""
        self.stopped += 1

    def number_event(self, _kind: str | None, _raw: Any) -> None:
        """Perhaps with a bug."""
        if self.breaks:
            raise asyncio.CancelledError

    def secret_event(self, _kind: str | None, _raw: Any) -> None:
        """Nothing."""

    def passed_over(self, found: Unreadable) -> None:
        """Remember what could not be read."""
        self.heard.append(found)

    def secrets_listed(self) -> None:
        """Remember."""
        self.listed.append(SECRETS)

    def numbers_listed(self) -> None:
        """Remember."""
        self.listed.append(NUMBERS)


class Operator:
    """kopf with our handlers, and what it was found to have lost."""

    def __init__(self, api: ApiServer) -> None:
        self.api = api
        self.engine = StandIn()
        self.lost: list[str] = []
        self.stop = asyncio.Event()
        self.watches = Watches(2)
        ending = Ending(self.stop, asyncio.Event(), self._lose)
        registry = registered(self.engine, self.engine, ending, self.watches)
        self.running = asyncio.create_task(watch(registry, (), ending, self.watches))

    def _lose(self, why: str) -> None:
        self.lost.append(why)
        self.stop.set()

    async def begun(self) -> None:
        """Both watches are open."""
        async with asyncio.timeout(DEADLINE_S):
            while self.watches.problems():  # noqa: ASYNC110 - kopf tells nobody
                await asyncio.sleep(0.02)

    async def ended(self) -> str:
        """Wait for the end; what it ended of."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                await self.running
            except OperatorError as exc:
                return exc.message
        return ""


@pytest.fixture
async def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operator]:
    api = ApiServer()
    application = web.Application()
    application.add_routes([web.get("/{path:.*}", api.answer)])
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stated = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "config").write_text(json.dumps(stated))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    made = Operator(api)
    yield made
    made.stop.set()
    await asyncio.wait([made.running], timeout=DEADLINE_S)
    for path in (NUMBERS, SECRETS):
        api.tell(path, None)
    await runner.cleanup()


@pytest.mark.parametrize("path", [NUMBERS, SECRETS])
@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"type": "ADDED", "object": 5}', b"\xff", b'{"a":' * 20_000],
    ids=["half a line", "a list", "no object", "no text", "too deep"],
)
async def test_a_line_that_cannot_be_read_ends_no_watcher(operator: Operator, path: str, line: bytes) -> None:
    await operator.begun()
    operator.api.tell(path, line)
    async with asyncio.timeout(DEADLINE_S):
        while not operator.engine.heard:  # noqa: ASYNC110 - kopf tells nobody
            await asyncio.sleep(0.02)
    assert operator.engine.heard[0].resource == path.rpartition("/")[2]
    assert (operator.watches.problems(), operator.watches.dead(), operator.lost) == ([], "", [])


@pytest.mark.parametrize("path", [NUMBERS, SECRETS])
async def test_a_watcher_that_fails_is_told_and_kopf_ends(operator: Operator, path: str) -> None:
    """Kopf tries again what is refused with 403 or 5xx; any other refusal ends its watcher."""
    await operator.begun()
    operator.api.refusal = 422
    operator.api.tell(path, None)
    assert "watching the cluster ended" in await operator.ended()
    assert operator.lost[0].startswith("kopf's task multidimensional multitasker ended (")
    assert operator.engine.stopped == 1
    assert f"the watcher of {path} has ended" in operator.watches.problems()
    assert operator.watches.dead() != ""


@pytest.mark.parametrize(
    "name",
    [
        "multidimensional multitasker",
        "resource observer",
        "namespace observer",
        "credentials retriever",
        "daemon killer",
    ],
)
async def test_whatever_main_task_of_kopf_ends_is_told(operator: Operator, name: str) -> None:
    await operator.begun()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == name]
    task.cancel()
    await operator.ended()
    assert operator.lost[0] == f"kopf's task {name} was cancelled"


async def test_a_watcher_that_ends_alone_is_found_dead(operator: Operator) -> None:
    await operator.begun()
    assert operator.watches.dead() == ""
    for task in asyncio.all_tasks():
        if task.get_name().startswith("watcher for secrets"):
            task.cancel()
    async with asyncio.timeout(DEADLINE_S):
        while not operator.watches.dead():  # noqa: ASYNC110 - to be asked, as it is once a second
            await asyncio.sleep(0.02)
    assert operator.watches.dead() == f"the watcher of {SECRETS} has ended"


async def test_a_stop_that_was_asked_for_is_no_loss(operator: Operator) -> None:
    await operator.begun()
    operator.stop.set()
    assert await operator.ended() == ""
    assert (operator.lost, operator.engine.stopped) == ([], 1)


async def test_a_stop_while_the_engine_waits_for_the_api_server_is_one_too(operator: Operator) -> None:
    operator.engine.starting = asyncio.get_running_loop().create_future()
    await asyncio.sleep(0.1)
    operator.stop.set()
    assert await operator.ended() == ""
    assert operator.lost == []


async def test_objects_are_listed_anew_whenever_a_watch_cannot_go_on_and_kopf_lists_none(operator: Operator) -> None:
    await operator.begun()
    assert sorted(operator.engine.listed) == [SECRETS, NUMBERS]
    for path in (NUMBERS, SECRETS, SECRETS):
        before, watched = len(operator.engine.listed), operator.api.watched(path)
        operator.api.tell(path, b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}')
        async with asyncio.timeout(DEADLINE_S):
            while operator.api.watched(path) == watched:  # noqa: ASYNC110 - kopf tells nobody
                await asyncio.sleep(0.02)
        assert operator.engine.listed[before:] == [path]
    asked = [(each["fieldSelector"], each["resourceVersion"], "limit" in each) for each in operator.api.lists]
    assert asked == [("metadata.name=-", "0", False)] * 5
    assert operator.lost == []


async def test_a_watch_that_the_api_server_closes_is_opened_again(operator: Operator) -> None:
    await operator.begun()
    asked = operator.api.asked
    operator.api.tell(NUMBERS, None)
    async with asyncio.timeout(DEADLINE_S):
        while operator.api.asked == asked:  # noqa: ASYNC110 - kopf tells nobody
            await asyncio.sleep(0.02)
    assert operator.watches.dead() == ""
    assert operator.lost == []


def test_the_api_server_is_asked_again_for_as_long_as_it_takes() -> None:
    pauses = list(itertools.islice(iter(cast("Any", configured().networking.error_backoffs)), 500))
    assert len(pauses) == 500
    assert max(pauses) <= 21
