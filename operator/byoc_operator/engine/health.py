"""Whether the engine makes progress; what /readyz tells of it."""

from ..cluster.refusals import Refusals
from .intake import Intake
from .leader import Leadership
from .queue import WorkQueue
from .role import Role
from .worker import Worker

STUCK_RUN_S = 120.0
STUCK_QUEUE_S = 600.0
"""From when /readyz says so. Ten thousand numbers at once take LiveKit minutes."""


class Health:
    """Looks at the parts of the engine when somebody asks."""

    def __init__(
        self,
        *,
        intake: Intake,
        queue: WorkQueue,
        worker: Worker,
        leader: Leadership,
        refusals: Refusals,
        role: Role,
    ) -> None:
        self._intake = intake
        self._queue = queue
        self._worker = worker
        self._leader = leader
        self._refusals = refusals
        self._role = role

    def problems(self) -> list[str]:
        """What keeps the engine from its work, one line each; empty: nothing does."""
        listed, no_leader = self._intake.listed, self._leader.problem()
        found = [] if listed else [self._intake.trouble]
        if self._worker.oldest_s > STUCK_RUN_S:
            found.append(f"a run has taken more than {STUCK_RUN_S:.0f} s")
        if self._role.leading and self._queue.oldest_s > STUCK_QUEUE_S:
            found.append(f"a number has waited for more than {STUCK_QUEUE_S:.0f} s for its run")
        found += [no_leader] if listed and no_leader else []
        return [*found, *self._refusals.problems()]
