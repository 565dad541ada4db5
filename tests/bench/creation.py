"""Measures the creation and deletion of N numbers, by the operator and by the bare client."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.actors import Actor, quiet
from bench.meters import peak_rss_mb, percentile
from bench.objects import number, numbers_path
from bench.stage import Spent, Stage
from bench.table import Row
from bench.watcher import NotReached, Watcher, gone, ready

OBJECTS_PER_NUMBER = 3
_WALL_RATIO, _CPU_RATIO = 1.3, 2.0
_MEMORY_MB = 250


@dataclass(frozen=True, slots=True)
class Round:
    """N numbers brought to Ready or away. `wall_s`: from the first request to the last number seen there.

    `latencies_s`: per number from its request to when the watcher saw it; `size`: bytes in LiveKit; `speed`: what a
    second of processor time was worth meanwhile, see `meters.Speed`.
    """

    numbers: int
    wall_s: float
    latencies_s: tuple[float, ...]
    spent: Spent
    peak_rss_mb: float
    size: int
    speed: float

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds of the actor per number."""
        return self.spent.cpu_s * 1000 / self.numbers


async def create(stage: Stage, actor: Actor, watcher: Watcher, namespace: str) -> Round:
    """Create all numbers over the loader's connections. Raises NotReached."""
    asked: dict[str, float] = {}

    async def make(index: int) -> None:
        name = number(namespace, index, "")["metadata"]["name"]
        asked[name] = time.monotonic()
        await stage.make_number(namespace, index, index)

    with watcher.collecting(ready) as moments:
        meter = await stage.meter(actor)
        async with stage.speed.sampled() as samples:
            await stage.kube.for_each(range(stage.options.numbers), make)
            last = await moments.reach(stage.options.numbers, stage.patience_s)
    await quiet(actor, stage.patience_s)
    spent = await asyncio.to_thread(meter.spent)
    return Round(
        numbers=stage.options.numbers,
        wall_s=last - min(asked.values()),
        latencies_s=tuple(moments.at[name] - sent for name, sent in asked.items()),
        spent=spent,
        peak_rss_mb=peak_rss_mb(actor.pid),
        size=await _held(stage, OBJECTS_PER_NUMBER * stage.options.numbers),
        speed=samples.speed,
    )


async def delete(stage: Stage, actor: Actor, watcher: Watcher, namespace: str) -> Round:
    """Delete all numbers over the loader's connections. Raises NotReached."""
    asked: dict[str, float] = {}

    async def remove(index: int) -> None:
        name = str(number(namespace, index, "")["metadata"]["name"])
        asked[name] = time.monotonic()
        await stage.kube.request("DELETE", numbers_path(namespace, name))

    with watcher.collecting(gone) as moments:
        meter = await stage.meter(actor)
        async with stage.speed.sampled() as samples:
            await stage.kube.for_each(range(stage.options.numbers), remove)
            last = await moments.reach(stage.options.numbers, stage.patience_s)
    await quiet(actor, stage.patience_s)
    return Round(
        numbers=stage.options.numbers,
        wall_s=last - min(asked.values()),
        latencies_s=tuple(moments.at[name] - sent for name, sent in asked.items()),
        spent=await asyncio.to_thread(meter.spent),
        peak_rss_mb=peak_rss_mb(actor.pid),
        size=await _held(stage, 0),
        speed=samples.speed,
    )


async def _held(stage: Stage, objects: int) -> int:
    stored = await stage.sip.stored()
    if len(stored.ids) != objects:
        raise NotReached(f"LiveKit holds {len(stored.ids)} objects instead of {objects}")
    return stored.size


@dataclass(frozen=True, slots=True)
class Pair:
    """Rounds of both, as many of the one as of the other."""

    operator: list[Round]
    bare: list[Round]

    def row(self, what: str, shown: str, figure: Callable[[Round], float], most_ratio: float | None = None) -> Row:
        """Medians side by side; `shown` formats a figure; `most_ratio`: the bar, where there is one."""
        ours, theirs = (statistics.median(map(figure, rounds)) for rounds in (self.operator, self.bare))
        ratio = ours / theirs if theirs else 0.0
        return Row(
            what,
            shown.format(ours),
            shown.format(theirs),
            f"{ratio:.2f}" if theirs else "",
            f"≤ {most_ratio} x bare" if most_ratio else "",
            None if most_ratio is None else ratio <= most_ratio,
        )

    def exact(self, what: str, figure: Callable[[Round], float], bar: float) -> Row:
        """A count per number that must not exceed the bar."""
        counted = max(figure(each) / each.numbers for each in self.operator)
        beside = max(figure(each) / each.numbers for each in self.bare)
        return Row(what, f"{counted:.2f}", f"{beside:.2f}", "", f"{bar:.0f}", counted <= bar)


def creation_rows(pair: Pair, writes: int) -> list[Row]:
    """What creating costs; `writes`: the bar for API writes per number."""
    memory = max(each.peak_rss_mb for each in pair.operator)
    return [
        pair.row("all Ready, s", "{:.1f}", lambda each: each.wall_s),
        pair.row("all Ready at equal speed, s", "{:.1f}", lambda each: each.wall_s * each.speed, _WALL_RATIO),
        pair.row("numbers a second", "{:.0f}", lambda each: each.numbers / each.wall_s),
        pair.row("asked → Ready p50, s", "{:.2f}", lambda each: percentile(each.latencies_s, 0.5)),
        pair.row("asked → Ready p99, s", "{:.2f}", lambda each: percentile(each.latencies_s, 0.99)),
        pair.row("CPU per number, ms", "{:.2f}", lambda each: each.cpu_ms),
        pair.row("CPU per number at equal speed, ms", "{:.2f}", lambda each: each.cpu_ms * each.speed, _CPU_RATIO),
        Row(
            "memory, peak MB",
            f"{memory:.0f}",
            f"{max(each.peak_rss_mb for each in pair.bare):.0f}",
            bar=f"≤ {_MEMORY_MB} (10,000)",
            good=memory <= _MEMORY_MB,
        ),
        pair.exact("API writes per number", lambda each: each.spent.writes, writes),
        pair.exact("LiveKit calls per number", lambda each: each.spent.calls, OBJECTS_PER_NUMBER),
        pair.row("bytes in LiveKit per number", "{:.0f}", lambda each: each.size / each.numbers),
        *_surroundings(pair),
    ]


def deletion_rows(pair: Pair) -> list[Row]:
    """What deleting costs."""
    return [
        pair.row("all gone, s", "{:.1f}", lambda each: each.wall_s),
        pair.row("all gone at equal speed, s", "{:.1f}", lambda each: each.wall_s * each.speed),
        pair.row("asked → gone p50, s", "{:.2f}", lambda each: percentile(each.latencies_s, 0.5)),
        pair.row("asked → gone p99, s", "{:.2f}", lambda each: percentile(each.latencies_s, 0.99)),
        pair.row("CPU per number, ms", "{:.2f}", lambda each: each.cpu_ms),
        pair.row("CPU per number at equal speed, ms", "{:.2f}", lambda each: each.cpu_ms * each.speed),
        pair.exact("API writes per number", lambda each: each.spent.writes, 1),
        pair.exact("LiveKit calls per number", lambda each: each.spent.calls, OBJECTS_PER_NUMBER),
        *_surroundings(pair),
    ]


def _surroundings(pair: Pair) -> list[Row]:
    return [
        pair.row("LiveKit CPU, s", "{:.1f}", lambda each: each.spent.livekit_cpu_s),
        pair.row("API server CPU, s", "{:.1f}", lambda each: each.spent.api_cpu_s),
        pair.row("processor speed meanwhile", "{:.2f}", lambda each: each.speed),
    ]
