"""`kubectl byoc logs`: what the operator's replicas logged about one number."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

import click

from ..api.resource import Key
from ..cluster.answers import NotFound
from ..errors import OperatorError, Unavailable
from .cluster import Cluster
from .completion import names_of_numbers
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .log_lines import LogLine, line_of
from .naming import NUMBER, named
from .operator_finder import LABELS, Pod, pods_of
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
        reader = _Reader(cluster, target.operator_namespace, await _keys(cluster, name))
        with working("reading the operator's log"):
            pods = await reader.pods()
            found = await reader.past(pods, query)
        for line in deque(found, maxlen=tail):
            _show(line, raw=raw)
        if follow:
            async for line in reader.follow(pods):
                _show(line, raw=raw)
    return ExitCode.OK


def _show(line: LogLine, *, raw: bool) -> None:
    for each in (line.raw if raw else line.text).split("\n"):
        show(each)


async def _keys(cluster: Cluster, name: str) -> list[Key]:
    """The objects that are meant. One that is named need not exist any more."""
    if name.startswith("+"):
        return [number.key for number in await cluster.found(name)]
    return [Key(cluster.namespace, named("NAME", name, NUMBER))]


class _Reader:
    """The log of all replicas, of it what is about `keys`. `_seen`: the time of each pod's last line."""

    def __init__(self, cluster: Cluster, namespace: str, keys: list[Key]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._keys = keys
        self._seen: dict[str, str] = {}

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
        try:
            async for line in _whole(self._lines(pod, query, silent_s=60.0)):
                self._seen[pod.name] = line.stamp or self._seen.get(pod.name, "")
                if self._is_wanted(line):
                    kept.append(line)
        except (NotFound, Unavailable) as exc:  # a pod that goes, or a node that does not answer: the others still do
            tell(f"pod {pod.name}: {exc.message}", head=PROGRAM)
        return list(kept)

    async def follow(self, pods: list[Pod]) -> AsyncIterator[LogLine]:
        """What comes from now on, from replicas that come later too."""
        queue: asyncio.Queue[LogLine] = asyncio.Queue(maxsize=MAX_LINES)
        tasks = {pod.name: asyncio.create_task(self._pour(pod, queue)) for pod in pods}
        try:
            while True:
                try:
                    async with asyncio.timeout(PODS_S):
                        yield await queue.get()
                except TimeoutError:
                    tasks = {name: task for name, task in tasks.items() if not task.done()}
                    for pod in await self._later_pods():
                        if pod.name not in tasks:
                            tasks[pod.name] = asyncio.create_task(self._pour(pod, queue))
        finally:
            for task in tasks.values():
                task.cancel()

    async def _later_pods(self) -> list[Pod]:
        try:
            return await pods_of(self._cluster, self._namespace)
        except Unavailable as exc:
            tell(exc.message, head=PROGRAM)
            return []

    async def _pour(self, pod: Pod, queue: asyncio.Queue[LogLine]) -> None:
        """Put what a pod logs from now on into the queue. A pod that goes ends it; it is looked for again."""
        seen = self._seen.get(pod.name, "")
        query = {"follow": "true", "sinceTime": f"{seen[:19]}Z"} if seen else {"follow": "true"}
        try:
            async for raw in self._lines(pod, query, silent_s=None):
                line = line_of(raw)
                if line is None or line.stamp <= seen:
                    continue
                self._seen[pod.name] = line.stamp
                if self._is_wanted(line):
                    await queue.put(line)
        except OperatorError as exc:
            tell(f"pod {pod.name}: {exc.message}", head=PROGRAM)

    def _lines(self, pod: Pod, query: Mapping[str, str], silent_s: float | None) -> AsyncIterator[str]:
        chosen = {**query, "container": pod.container} if pod.container else query
        return self._cluster.log(self._namespace, pod.name, chosen, silent_s)

    def _is_wanted(self, line: LogLine) -> bool:
        return any(line.is_about(key) for key in self._keys)


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
