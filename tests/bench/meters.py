"""Measures: processor time, memory, percentiles, and how fast the machine itself is at the moment."""

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_LONG, _SHORT = 300_000, 15_000
"""Steps of the loop: about 20 ms and 1 ms."""

_SAMPLE_EVERY_S = 0.1
_KIBIBYTES_PER_MEBIBYTE = 1024


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_rss_mb(pid: int) -> float:
    """The most memory a process ever had resident, in MiB (Linux keeps count)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / _KIBIBYTES_PER_MEBIBYTE
    raise RuntimeError(f"process {pid} has no peak of memory: it has ended")


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed; `share` from 0 to 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Speed:
    """How fast the machine is, compared with when this was made: 0.5 means that a fixed loop takes twice as long."""

    def __init__(self) -> None:
        self._turn_s = min(_loop_s(_LONG, time.perf_counter) for _ in range(5))
        self._work_s = min(_loop_s(_SHORT, time.thread_time) for _ in range(50))

    def now(self) -> float:
        """The factor at this moment, waiting for a processor included; takes a few hundredths of a second."""
        return self._turn_s * 2 / (_loop_s(_LONG, time.perf_counter) + _loop_s(_LONG, time.perf_counter))

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator["Samples"]:
        """The factor during the block, waiting for a processor left out: what a second of processor time is worth."""
        samples = Samples(self._work_s)

        async def sample() -> None:
            while True:
                samples.taken_s.append(_loop_s(_SHORT, time.thread_time))
                await asyncio.sleep(_SAMPLE_EVERY_S)

        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(sample())
            try:
                yield samples
            finally:
                sampling.cancel()


@dataclass(frozen=True, slots=True)
class Samples:
    """Times of one loop, taken again and again, and the time at the start."""

    at_start_s: float
    taken_s: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """The mean factor."""
        return self.at_start_s / statistics.mean(self.taken_s)


def _loop_s(steps: int, clock: Callable[[], float]) -> float:
    started = clock()
    total = 0
    for step in range(steps):
        total += step % 7
    return clock() - started
