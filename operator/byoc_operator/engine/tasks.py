"""The engine's background tasks. A task that ends when it must not ends the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]


class Ended(RuntimeError):
    """A task that must not end did, without an error of its own."""


class Tasks:
    """Starts tasks and keeps them. Made inside a running event loop.

    `died`: has the error as its result when the first task ended against the rules.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def keep_running(self, work: Work, name: str) -> None:
        """Start a task that must not end before `stop`. Without it the operator would look healthy and do nothing."""
        self._start(work, name).add_done_callback(self._ended)

    def run_once(self, work: Work, name: str) -> None:
        """Start a task that may end, but must not fail."""
        self._start(work, name).add_done_callback(self._done)

    def run_aside(self, work: Work, name: str) -> None:
        """Start a task on which nothing depends."""
        self._start(work, name).add_done_callback(self._tasks.discard)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def stop(self) -> None:
        """From now on every task may end."""
        self._stopping = True

    async def cancel(self) -> None:
        """Cancel all tasks and wait for their ends."""
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
