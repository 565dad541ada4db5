"""Tells /readyz whether the engine makes progress."""

from .intake import Intake
from .leader import Leadership
from .outside import RefusalRecord
from .queue import WorkQueue
from .role import Role
from .worker import Worker

STUCK_RUN_S = 120.0
STUCK_QUEUE_S = 600.0
"""When a run or a queued number counts as stuck. LiveKit needs minutes for ten thousand numbers at once."""


class Health:
    """Collects the problems of the engine's parts for each request."""

    def __init__(
        self,
        *,
        intake: Intake,
        queue: WorkQueue,
        worker: Worker,
        leader: Leadership,
        refusals: RefusalRecord,
        role: Role,
    ) -> None:
        self._intake = intake
        self._queue = queue
        self._worker = worker
        self._leader = leader
        self._refusals = refusals
        self._role = role

    def problems(self) -> list[str]:
        """The problems that /readyz lists, one line each; empty if the engine is ready."""
        listed, no_leader = self._intake.listed, self._leader.problem()
        found = [] if listed else [self._intake.trouble]
        if self._worker.oldest_s > STUCK_RUN_S:
            found.append(f"a run has taken more than {STUCK_RUN_S:.0f} s")
        if self._role.leading and self._queue.oldest_s > STUCK_QUEUE_S:
            found.append(f"a number has waited for more than {STUCK_QUEUE_S:.0f} s for its run")
        found += [no_leader] if listed and no_leader else []
        return [*found, *self._refusals.problems()]
