"""Candidates for leadership on one Lease, each with its own clock."""

import asyncio
from collections.abc import Awaitable

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.engine.leader import Leader
from byoc_operator.errors import Unavailable
from operated import candidate

API_DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")


def now() -> float:
    return asyncio.get_running_loop().time()


def two(api: FakeApi) -> tuple[Leader, Leader]:
    return candidate(api, "a", 1e6), candidate(api, "b", -500.0)


class Runs:
    """A task that records the time at which it ended."""

    def __init__(self, work: Awaitable[None]) -> None:
        self.ended_at = float("inf")
        self._work = work
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self._work
        self.ended_at = now()

    @property
    def done(self) -> bool:
        return self._task.done()

    async def cancel(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def ends(self, within_s: float) -> float:
        """Wait for the task; return when it ended."""
        await asyncio.wait_for(asyncio.shield(self._task), within_s)
        return self.ended_at
