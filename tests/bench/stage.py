"""The stage of a run: the bed, the harness' own connections, the measurements of a phase, and the figures."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from bench.actors import Actor
from bench.kube import Kube
from bench.meters import Speed, cpu_s
from bench.objects import number, numbers_path, secret, secret_name, secrets_path
from bench.options import Options
from bench.sip import Sip
from bench.table import Row, Section
from testbed.bed import Bed

_Actor = TypeVar("_Actor", bound=Actor)


def api_writes(bed: Bed, user: str) -> int:
    """Writes so far, without the Lease, which is renewed whatever happens, and Events, which are posted aside."""
    return sum(entry.resource not in ("leases", "events") for entry in bed.writes_by(user))


@dataclass(frozen=True, slots=True)
class Spent:
    """What a phase used: processor seconds of the actor, LiveKit and the API server; API writes; LiveKit calls."""

    cpu_s: float
    livekit_cpu_s: float
    api_cpu_s: float
    writes: int
    calls: int


class Meter:
    """Counts from when it is opened. Looking costs the actor a little, so that is kept out of its processor time."""

    def __init__(self, bed: Bed, actor: Actor) -> None:
        self._bed = bed
        self._actor = actor
        self._writes = api_writes(bed, actor.user)
        self._calls = actor.calls()
        self._cpu = self._processors()

    def spent(self) -> Spent:
        """Since it was opened."""
        used = [now - before for now, before in zip(self._processors(), self._cpu, strict=True)]
        writes = api_writes(self._bed, self._actor.user) - self._writes
        return Spent(used[0], used[1], used[2], writes, self._actor.calls() - self._calls)

    def _processors(self) -> tuple[float, float, float]:
        return (
            cpu_s(self._actor.pid),
            cpu_s(self._bed.livekit.process.pid),
            cpu_s(self._bed.api_server.process.pid),
        )


@dataclass
class Stage:
    """One run. `kube`: the loader's connections; `eyes`: the watcher's; `sip`: the harness' own LiveKit client."""

    bed: Bed
    options: Options
    kube: Kube
    eyes: Kube
    sip: Sip
    speed: Speed
    sections: list[Section] = field(default_factory=list)
    _actors: list[Actor] = field(default_factory=list)

    @property
    def patience_s(self) -> float:
        """How long a phase may take before it counts as failed."""
        return 60 + self.options.numbers * 0.2

    def enter(self, actor: _Actor, what: str) -> _Actor:
        """Remember an actor, so that it is stopped whatever happens."""
        self._actors.append(actor)
        tell(f"{what}: process {actor.pid}")
        return actor

    async def leave(self, actor: Actor) -> None:
        """Stop it."""
        self._actors.remove(actor)
        await asyncio.to_thread(actor.stop)

    def leave_all(self) -> None:
        """Stop whatever still runs."""
        while self._actors:
            self._actors.pop().stop()

    async def meter(self, actor: Actor) -> Meter:
        """Count from now on."""
        return await asyncio.to_thread(Meter, self.bed, actor)

    @contextmanager
    def section(self, title: str) -> Iterator[list[Row]]:
        """A phase: what the block puts into the list is printed under the title."""
        tell(title)
        before = self.speed.now()
        rows: list[Row] = []
        yield rows
        self.sections.append(Section(title, (before, self.speed.now()), tuple(rows)))

    def secret_of(self, index: int) -> str:
        """Name of the Secret of a number."""
        return secret_name(index // self.options.numbers_per_secret)

    async def make_namespace(self, name: str) -> None:
        """A namespace with all Secrets of the numbers to come."""
        await self.kube.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        names = dict.fromkeys(self.secret_of(index) for index in range(self.options.numbers))

        async def make(each: str) -> None:
            await self.kube.request("POST", secrets_path(name), secret(name, each))

        await self.kube.for_each(names, make)

    async def make_number(self, namespace: str, index: int, secret_index: int) -> str:
        """Create one number; its name."""
        made = number(namespace, index, self.secret_of(secret_index))
        await self.kube.request("POST", numbers_path(namespace), made)
        return str(made["metadata"]["name"])


def tell(line: str) -> None:
    """Progress, beside the table."""
    print(line, file=sys.stderr, flush=True)
