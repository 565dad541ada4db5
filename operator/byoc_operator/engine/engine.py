"""Runs the engine: it starts, waits until it leads, takes over, works and stops. It does not use kopf."""

import asyncio
import contextlib
from dataclasses import dataclass

from ..cluster.events import Announce
from ..errors import Failure
from .gauges import export
from .health import Health
from .intake import Intake
from .leader import Leadership
from .orphan_search import OrphanRules, OrphanSearch
from .ports import EnginePorts
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
"""If the process becomes leader within this time after its first lists, it does not list the objects again.

The watches list again when they begin, so no change is missed.
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """`workers`: how many runs at once. `refreshes`: how many of them for refresh and recreate.

    `sweep_interval_s`: seconds from one sweep to the next.
    """

    workers: int
    refreshes: int
    sweep_interval_s: float


class Engine:
    """The engine, made inside a running event loop. `start` begins, `intake` takes events, `stop` ends."""

    def __init__(
        self,
        ports: EnginePorts,
        pace: Pace,
        leader: Leadership,
        orphans: OrphanRules,
        announce: Announce,
    ) -> None:
        self._ports = ports
        self._pace = pace
        self._leader = leader
        self._announce = announce
        self._role = Role()
        self.tasks = Tasks()
        self.queue = WorkQueue(refresh_limit=pace.refreshes, paced_limit=lambda: ports.guard.pace.value)
        self.intake = Intake(ports, self.queue, self._role, self.tasks)
        self._reconciler = Reconciler(ports)
        self.orphans = OrphanSearch(ports, orphans, announce, self._freed)
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
        """Whether this replica leads and has taken over."""
        return self._role.leading

    @property
    def livekit(self) -> LiveKitState:
        """The state of LiveKit in the last sweep."""
        return self._sweeper.state

    @property
    def carriers_problem(self) -> str:
        """Why the file of presets cannot be used now, empty if it can."""
        return self._ports.carriers.problem

    def problems(self) -> list[str]:
        """The problems that /readyz lists, one line each; empty if the engine is ready."""
        return self._health.problems()

    async def start(self) -> None:
        """List numbers and Secrets, then wait in the background to lead. Returns when the API server gave the lists."""
        self.tasks.keep_running(self._ports.events.run(), "Events")
        self._rights.right_missing()
        await self.intake.first_lists()
        await self._ports.rights.look()
        self.tasks.keep_running(self._lead(), "leader")

    async def _lead(self) -> None:
        """Work while this process leads. The return ends the process, because `Tasks.keep_running` requires that."""
        await self._leader.acquire()
        self.tasks.run_once(self._take_over(), "take-over")
        await self._leader.keep()
        self._role.leading = False
        self.queue.stop()

    async def _take_over(self) -> None:
        """Catch up with the changes that happened during standby, then start the workers and the sweeper."""
        if self.intake.age_s > FRESH_S:
            await self.intake.until_listed(self.intake.list_numbers)
        await self._ports.keeper.look(self._sealed)  # before the first run, which may need the sealing keys
        self._reconciler.claims.begin()
        self._sweeper.state.swept_at_s = self._ports.wall()
        self._role.leading = True
        for index in range(self._pace.workers):
            self.tasks.keep_running(self._worker.work(), f"worker {index}")
        self.tasks.keep_running(self._sweeper.run(self._announce_failure), "sweeper")
        self.tasks.keep_running(self._ports.keeper.run(self._sealed), "keeper of the sealing keys")

    async def stop(self, grace_s: float) -> None:
        """Stop the queue, wait for the runs under way, end all tasks, post the Events that still wait.

        `grace_s`: how many seconds the waiting may take in all. The Events come after the Lease, so that no replica
        waits for them.
        """
        until_s = self._ports.clock() + grace_s
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
        await self._ports.events.finish(until_s - self._ports.clock())

    def _freed(self, phone: str, released: bool) -> None:  # noqa: FBT001 - `orphan_search.Freed`
        """Run the number of a deleted orphan or retained trunk: a claimant may get the number now."""
        if released:
            self._reconciler.claims.forget(phone)
        self.intake.let_go([phone])
        if self._role.leading:
            self.queue.add(phone, Priority.SWEEP)

    def _announce_failure(self, exc: Failure) -> None:
        self._announce(exc.reason, exc.message)
