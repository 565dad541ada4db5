"""The engine's background tasks. If a task that must keep running ends, the process ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]


class Ended(RuntimeError):
    """A task that must keep running ended without an exception."""


class Tasks:
    """Starts tasks and holds references to them. Made inside a running event loop.

    `died`: its result is the error of the first task that ended although it must not.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def keep_running(self, work: Work, name: str) -> None:
        """Start a task that must not end before `stop`. If it ends, `died` gets a result."""
        self._start(work, name).add_done_callback(self._ended)

    def run_once(self, work: Work, name: str) -> None:
        """Start a task that may end, but must not raise. If it raises, `died` gets a result."""
        self._start(work, name).add_done_callback(self._done)

    def run_aside(self, work: Work, name: str) -> None:
        """Start a task whose failure does not matter."""
        self._start(work, name).add_done_callback(self._tasks.discard)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def stop(self) -> None:
        """Allow every task to end from now on."""
        self._stopping = True

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Work, name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._ended(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._stopping or self.died.done():
            return
        exc = None if task.cancelled() else task.exception()
        self.died.set_result(exc or Ended(f"{task.get_name()} ended"))
