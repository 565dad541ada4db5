"""The life of the engine: it starts, waits to lead, takes over, works and stops. Knows nothing of kopf."""

import asyncio
import contextlib
from dataclasses import dataclass

from byoc_operator.errors import Failure

from .gauges import export
from .health import Health
from .intake import Intake
from .leader import Leadership
from .orphan_search import Announce, OrphanRules, OrphanSearch
from .ports import Ports
from .priority import Priority
from .queue import WorkQueue
from .reconcile import Reconciler
from .release import Releases
from .rights_watch import RightsWatch
from .role import Role
from .secret_look import SealedInUse
from .sweep import LiveKitState, Sweeper
from .tasks import Tasks
from .worker import Worker

FRESH_S = 2.0
"""Who leads so soon after the lists need not list again; what happened since is listed when the watches begin."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once. `workers`: runs; `refreshes`: of them for refresh and recreate; times in seconds."""

    workers: int
    refreshes: int
    sweep_interval_s: float


class Engine:
    """Made inside a running event loop. `start` it, feed events to its `intake`; `stop` ends it."""

    def __init__(
        self,
        ports: Ports,
        pace: Pace,
        leader: Leadership,
        orphans: OrphanRules,
        say: Announce,
    ) -> None:
        self._ports = ports
        self._pace = pace
        self._leader = leader
        self._say = say
        self._role = Role()
        self.tasks = Tasks()
        self.queue = WorkQueue(refresh_limit=pace.refreshes, paced_limit=lambda: ports.guard.pace.value)
        self.intake = Intake(ports, self.queue, self._role, self.tasks)
        self._reconciler = Reconciler(ports)
        self.orphans = OrphanSearch(ports, orphans, say, self._freed)
        self._rights = RightsWatch(ports.regained, self.queue, self._role, self.tasks)
        self._worker = Worker(ports, self.queue, self._reconciler)
        self._sweeper = Sweeper(ports, self.queue, self._reconciler, self.orphans, pace.sweep_interval_s)
        self._sealed = SealedInUse(ports, self._sweeper.secrets)
        self._health = Health(
            intake=self.intake,
            queue=self.queue,
            worker=self._worker,
            leader=leader,
            refusals=ports.regained.refusals,
            role=self._role,
        )
        ports.keeper.keys.listen(self.intake.other_keys)
        self.releases = Releases(self.orphans, self._role, self.tasks)
        leader.listen(self.releases.asked)
        export(ports, self._role, self.queue, self._worker, self._sweeper, self.orphans)

    @property
    def leading(self) -> bool:
        """Whether this process works, and does not only stand by."""
        return self._role.leading

    @property
    def livekit(self) -> LiveKitState:
        """What the last sweep saw of LiveKit."""
        return self._sweeper.state

    def problems(self) -> list[str]:
        """What keeps the engine from its work, one line each; empty: nothing does."""
        return self._health.problems()

    async def start(self) -> None:
        """List what there is, then work as soon as this process leads. Waits for the API server."""
        self._rights.right_missing()
        await self.intake.first_lists()
        await self._ports.rights.look()
        self.tasks.keep_running(self._lead(), "leader")

    async def _lead(self) -> None:
        """Work for as long as this process leads. When it leads no longer, the process ends."""
        await self._leader.acquire()
        self.tasks.run_once(self._take_over(), "take-over")
        await self._leader.keep()
        self._role.leading = False
        self.queue.stop()

    async def _take_over(self) -> None:
        """Look again at what happened while this process stood by, then work."""
        if self.intake.age_s > FRESH_S:
            await self.intake.patiently(self.intake.look_again)
        await self._ports.keeper.look(self._sealed)  # before the first run: a run may need keys
        self._reconciler.claims.begin()
        self._sweeper.state.swept_at_s = self._ports.wall()
        self._role.leading = True
        for index in range(self._pace.workers):
            self.tasks.keep_running(self._worker.work(), f"worker {index}")
        self.tasks.keep_running(self._sweeper.run(self._tell_trouble), "sweeper")
        self.tasks.keep_running(self._ports.keeper.run(self._sealed), "keeper of the sealing keys")

    async def stop(self, grace_s: float) -> None:
        """Take nothing more in, let runs under way end for up to `grace_s` seconds, then end."""
        self.tasks.stop()
        self.queue.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self.queue.drained()
        await self.tasks.cancel()
        await self._ports.inventory.aclose()
        await self._ports.secrets.aclose()
        self._role.leading = False
        await self._leader.release()

    def _freed(self, phone: str, released: bool) -> None:  # noqa: FBT001 - `orphan_search.Freed`
        """A trunk that belonged to nobody is deleted: an object that waits for its number may have it."""
        if released:
            self._reconciler.claims.forget(phone)
        if self._role.leading:
            self.queue.add(phone, Priority.SWEEP)

    def _tell_trouble(self, exc: Failure) -> None:
        self.tasks.run_aside(self._say(exc.reason, exc.message), "event about LiveKit")
