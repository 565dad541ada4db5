"""Measures N numbers without changes: restart, idle time, sweeps, Secrets of others."""

import asyncio
import time
from dataclasses import dataclass

from bench.actors import Operator, quiet
from bench.creation import OBJECTS_PER_NUMBER
from bench.meters import cpu_s, peak_rss_mb
from bench.objects import foreign_secret, secrets_path
from bench.stage import Stage, api_writes
from bench.table import Row
from bench.watcher import NotReached

IDLE_S = 10.0
SWEEP_EVERY_S = 5.0
SWEEPS = 2
FOREIGN_BYTES = 250_000
_RESTART_CPU_S = 5.0
_MEMORY_MB = 250
_MEMORY_NOISE_MB = 5.0
"""Two starts of one program differ by as much."""


@dataclass(frozen=True, slots=True)
class Restart:
    """An operator that started with all numbers in step. Seconds are from the start of its process."""

    operator: Operator
    ready_s: float
    swept_s: float
    cpu_s: float
    rss_mb: float
    peak_rss_mb: float
    writes: int
    calls: int


async def restarted(stage: Stage, sweep_interval_s: float | None = None) -> Restart:
    """Start the operator and wait until it has nothing to do any more."""
    before = await asyncio.to_thread(api_writes, stage.bed, Operator.user)
    operator = stage.enter(Operator(stage.bed, sweep_interval_s), "operator")
    ready_s = await operator.ready()
    while not (swept_at := await asyncio.to_thread(operator.last_sweep_at)):
        await quiet(operator, stage.patience_s)
    await quiet(operator, stage.patience_s)
    used_s = cpu_s(operator.pid)
    after = await asyncio.to_thread(api_writes, stage.bed, Operator.user)
    return Restart(
        operator=operator,
        ready_s=ready_s,
        swept_s=swept_at - operator.started_at,
        cpu_s=used_s,
        rss_mb=operator.process.rss_mb(),
        peak_rss_mb=peak_rss_mb(operator.pid),
        writes=after - before,
        calls=await asyncio.to_thread(operator.calls),
    )


async def measure_restart(stage: Stage) -> Restart:
    """The figures of a restart."""
    with stage.section(f"restart with {stage.options.numbers:,} numbers") as rows:
        restart = await restarted(stage)
        rows += [
            Row(
                "CPU until quiet, s",
                f"{restart.cpu_s:.2f}",
                bar=f"≤ {_RESTART_CPU_S:.0f} (5,000)",
                good=restart.cpu_s <= _RESTART_CPU_S,
            ),
            Row("start → /readyz, s", f"{restart.ready_s:.2f}"),
            Row("start → first sweep done, s", f"{restart.swept_s:.2f}"),
            Row("memory, MB", f"{restart.rss_mb:.0f}"),
            Row(
                "memory, peak MB",
                f"{restart.peak_rss_mb:.0f}",
                bar=f"≤ {_MEMORY_MB} (10,000)",
                good=restart.peak_rss_mb <= _MEMORY_MB,
            ),
            _at_most("API writes", restart.writes, 0),
            _at_most("LiveKit calls", restart.calls, OBJECTS_PER_NUMBER),
        ]
    return restart


async def measure_idle(stage: Stage, operator: Operator) -> None:
    """Ten seconds in which nothing happens."""
    with stage.section(f"idle for {IDLE_S:.0f} s") as rows:
        meter = await stage.meter(operator)
        await asyncio.sleep(IDLE_S)
        spent = await asyncio.to_thread(meter.spent)
        rows += [
            Row("CPU, s", f"{spent.cpu_s:.2f}"),
            _at_most("API writes", spent.writes, 0),
            _at_most("LiveKit calls", spent.calls, 0),
        ]


async def measure_foreign_secrets(stage: Stage, without: Restart) -> None:
    """Memory after a restart with many large Secrets of others, beside a restart without them."""
    count = stage.options.foreign_secrets
    with stage.section(f"{count} Secrets of others, {FOREIGN_BYTES // 1000} kB each") as rows:
        await stage.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": "foreign"}})

        async def make(index: int) -> None:
            await stage.kube.request("POST", secrets_path("foreign"), foreign_secret("foreign", index, FOREIGN_BYTES))

        await stage.kube.for_each(range(count), make)
        beside = await restarted(stage)
        await stage.leave(beside.operator)
        await stage.kube.request("DELETE", secrets_path("foreign"))
        more_mb = beside.rss_mb - without.rss_mb
        rows += [
            Row("memory, MB", f"{beside.rss_mb:.0f}"),
            Row(
                "more than without, MB",
                f"{more_mb:+.1f}",
                bar=f"0 (± {_MEMORY_NOISE_MB:.0f})",
                good=more_mb <= _MEMORY_NOISE_MB,
            ),
        ]


async def measure_sweep(stage: Stage) -> None:
    """Sweeps that find everything in step."""
    restart = await restarted(stage, SWEEP_EVERY_S)
    operator = restart.operator
    with stage.section(f"a sweep of {stage.options.numbers:,} numbers in step") as rows:
        before = await _just_swept(stage, operator)
        meter = await stage.meter(operator)
        await asyncio.sleep(SWEEPS * SWEEP_EVERY_S)
        after = await _just_swept(stage, operator)
        spent = await asyncio.to_thread(meter.spent)
        sweeps = after - before
        rows += [
            Row("CPU, s", f"{spent.cpu_s / sweeps:.3f}"),
            Row("LiveKit CPU, s", f"{spent.livekit_cpu_s / sweeps:.3f}"),
            _at_most("API writes", spent.writes, 0),
            _at_most("LiveKit calls", spent.calls / sweeps, OBJECTS_PER_NUMBER),
        ]
    await stage.leave(operator)


async def _just_swept(stage: Stage, operator: Operator) -> float:
    """Wait for a moment soon after a sweep, so that only whole ones are counted; how many there were so far."""
    deadline = time.monotonic() + stage.patience_s
    while True:
        swept_at = await asyncio.to_thread(operator.last_sweep_at)
        if time.time() - swept_at < SWEEP_EVERY_S / 4:
            return await asyncio.to_thread(operator.total, "byoc_sweeps_total")
        if time.monotonic() > deadline:
            raise NotReached("the operator does not sweep")
        await asyncio.sleep(SWEEP_EVERY_S / 8)


def _at_most(what: str, counted: float, bar: int) -> Row:
    return Row(what, f"{counted:g}", bar=f"{bar}", good=counted <= bar)
