"""Waits for rights that the operator is missing, and notices when it has them again."""

import asyncio

from .outside import MissingRights
from .queue import WorkQueue
from .role import Role
from .tasks import Tasks

ASK_S = 5.0
"""How often the engine asks whether a missing right is back."""


class RightsWatch:
    """Asks for missing rights until none is missing. When one is back, the numbers in back-off run at once."""

    def __init__(self, regained: MissingRights, queue: WorkQueue, role: Role, tasks: Tasks) -> None:
        self._regained = regained
        self._queue = queue
        self._role = role
        self._tasks = tasks
        self._asks = False
        regained.refusals.listen(self)

    def right_missing(self) -> None:
        """Begin to ask, if a right is missing and the engine does not stop."""
        if not self._asks and not self._tasks.stopping and self._regained.refusals.missing():
            self._asks = True
            self._tasks.run_once(self._ask(), "rights")

    def right_regained(self) -> None:
        """Run the numbers in back-off at once, because its cause may be gone."""
        if self._role.leading:
            self._queue.unpark()

    async def _ask(self) -> None:
        while self._regained.refusals.missing():
            await asyncio.sleep(ASK_S)
            await self._regained.look()
        self._asks = False
