"""`kubectl byoc logs`: what the operator's replicas logged about one number."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import click

from ..api.resource import Key
from ..cluster.answers import Forbidden, Unauthorized
from ..errors import OperatorError
from .cluster import Cluster
from .completion import names_of_numbers
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .log_lines import LogLine, Place, line_of
from .naming import NUMBER, named
from .operator_finder import LABELS, Pod, pods_of, why_not
from .options import PROGRAM, Target, over_numbers, targeted
from .terminal import show, tell, working

MAX_RAW_LINES = 200_000
"""Lines of each pod that are looked through: 100 MB at most of what an operator with 10,000 numbers writes in a day."""

MAX_LINES = 10_000
"""Lines that are shown where `--tail` does not say it."""

PODS_S = 5.0
"""How often a new replica is looked for while the log is followed."""


@click.command(short_help="Show what the operator logged about one number.")
@click.argument("name", metavar="NAME|+NUMBER", shell_complete=names_of_numbers)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until Ctrl-C.")
@click.option("--since", default="", help="Only what is no older: 30s, 10m, 2h, 1d.")
@click.option("--tail", type=click.IntRange(0, MAX_LINES), default=MAX_LINES, help="Only so many lines, the last ones.")
@click.option("--raw", is_flag=True, help="Lines as the operator wrote them.")
@over_numbers
@targeted
async def logs(target: Target, name: str, since: str, tail: int, *, follow: bool, raw: bool) -> int:
    """Show what all replicas of the operator logged about one number, in the order of time.

    Lines with the same `run` belong to one run. An object that is deleted has its lines as long as the pods keep them.

    \b
    Examples:
      kubectl byoc logs main -n voice --since 1h
      kubectl byoc logs +19876543210 -A -f
      kubectl byoc logs main -n voice --raw | jq .message
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    query = {"tailLines": str(MAX_RAW_LINES)}
    if since:
        query["sinceSeconds"] = str(max(1, seconds_in("--since", since)))
    async with target.reached() as cluster:
        reader = Reader(cluster, target.operator_namespace, await _keys(cluster, name))
        with working("reading the operator's log"):
            pods = await reader.pods()
            found = await reader.past(pods, query)
        for line in deque(found, maxlen=tail):
            _show(line, raw=raw)
        if not found:  # also where a name is mistyped: an object that is deleted has lines too
            tell(f"{len(pods)} pods of the operator have no line about {reader.about}{' of that age' if since else ''}")
        if follow:
            told_since = {name: text for name, text in query.items() if name == "sinceSeconds"}
            follower = Follower(reader, lambda line: _show(line, raw=raw), told_since)
            await follower.follow(pods, target.outside.sleep)
    return ExitCode.OK


def _show(line: LogLine, *, raw: bool) -> None:
    for each in (line.raw if raw else line.text).split("\n"):
        show(each)


async def _keys(cluster: Cluster, name: str) -> list[Key]:
    """The objects that are meant. One that is named need not exist any more."""
    if name.startswith("+"):
        return [number.key for number in await cluster.found(name)]
    return [Key(cluster.namespace, named("NAME", name, NUMBER))]


class Reader:
    """The log of all replicas, of it what is about `keys`. `places`: by pod how far its log has been read."""

    def __init__(self, cluster: Cluster, namespace: str, keys: list[Key]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._keys = keys
        self.places: dict[str, Place] = {}

    @property
    def about(self) -> str:
        """The objects that are meant, for a message."""
        return ", ".join(map(str, self._keys[:3]))

    async def pods(self) -> list[Pod]:
        """The operator's pods; at least one."""
        found = await pods_of(self._cluster, self._namespace)
        if not found:
            where = f"the namespace {self._namespace} has no pods with the label {LABELS}"
            raise Refused(f"{where}; see --operator-namespace")
        return found

    async def past(self, pods: list[Pod], query: Mapping[str, str]) -> list[LogLine]:
        """What was logged so far, in the order of time."""
        several = await asyncio.gather(*(self._past(pod, query) for pod in pods))
        return sorted((line for lines in several for line in lines), key=lambda line: line.stamp)

    async def _past(self, pod: Pod, query: Mapping[str, str]) -> list[LogLine]:
        kept: deque[LogLine] = deque(maxlen=MAX_LINES)
        place = self.places.setdefault(pod.name, Place())
        try:
            async for line in _whole(self.lines(pod, query, silent_s=60.0)):
                place.move(line)
                if self.is_wanted(line):
                    kept.append(line)
        except (Forbidden, Unauthorized):
            raise
        except OperatorError as exc:  # a pod that goes or has not begun, or a node that is away: the others answer
            tell(f"pod {pod.name}: {why_not(exc)}", head=PROGRAM)
        return list(kept)

    def lines(self, pod: Pod, query: Mapping[str, str], silent_s: float | None) -> AsyncIterator[str]:
        """The lines of a pod. Raises OperatorError."""
        chosen = {**query, "container": pod.container} if pod.container else query
        return self._cluster.log(self._namespace, pod.name, chosen, silent_s)

    def is_wanted(self, line: LogLine) -> bool:
        """Whether a line is about one of the objects."""
        return any(line.is_about(key) for key in self._keys)


class Follower:
    """Shows what comes from now on. `since`: how far back the log of the first pods goes, as a query of the API."""

    def __init__(self, reader: Reader, show_line: Callable[[LogLine], None], since: Mapping[str, str]) -> None:
        self._reader = reader
        self._show = show_line
        self._since = since
        self._first = set(reader.places)
        self._told: dict[str, str] = {}

    async def follow(self, pods: list[Pod], sleep: Callable[[float], Awaitable[None]]) -> None:
        """Follow the pods, and those that come later; it does not end by itself."""
        streams: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    streams = {name: stream for name, stream in streams.items() if not stream.done()}
                    streams |= {pod.name: tasks.create_task(self._pour(pod)) for pod in pods if pod.name not in streams}
                    await sleep(PODS_S)
                    pods = await self._pods()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _pods(self) -> list[Pod]:
        try:
            found = await self._reader.pods()
        except OperatorError as exc:  # it passes, or the user ends the command: the streams go on
            self._tell("the operator's pods", exc)
            return []
        self._told.pop("the operator's pods", None)
        return found

    async def _pour(self, pod: Pod) -> None:
        """Show what a pod logs. A stream that ends, or whose container does not run yet, is begun again later."""
        place = self._reader.places.setdefault(pod.name, Place())
        query = {"follow": "true"}
        if place.stamp:
            query["sinceTime"] = f"{place.stamp[:19]}Z"
        elif pod.name in self._first:
            query |= self._since
        repeated, shown = bool(place.stamp), False
        try:
            async for raw in self._reader.lines(pod, query, silent_s=None):
                self._told.pop(f"pod {pod.name}", None)
                line = line_of(raw)
                if line is not None:
                    repeated = repeated and place.has_passed(line)
                    place.move(line)
                    shown = not repeated and self._reader.is_wanted(line)
                if shown:
                    self._show(line or LogLine("", "", raw, raw))
        except OperatorError as exc:
            self._tell(f"pod {pod.name}", exc)

    def _tell(self, what: str, exc: OperatorError) -> None:
        """Tell a fault once, however often it is met."""
        if self._told.get(what) != exc.message:
            self._told[what] = exc.message
            tell(f"{what}: {why_not(exc)}", head=PROGRAM)


async def _whole(lines: AsyncIterator[str]) -> AsyncIterator[LogLine]:
    """The lines, each with what continues it."""
    held: LogLine | None = None
    async for raw in lines:
        line = line_of(raw)
        if line is None:
            held = held.with_more(raw) if held else None
            continue
        if held:
            yield held
        held = line
    if held:
        yield held
