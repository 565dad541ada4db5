"""An event loop with a virtual clock: a wait takes no real time, and events have the same order in every run."""

import asyncio
import functools
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` stands still while there is work, and jumps to the next timer when there is none.

    For code without sockets and threads: waiting for nothing at all is an error and not a hang.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            message = "every task waits, and nothing will ever wake one"
            raise RuntimeError(message)
        self._loop.jump(max(0.0, timeout))
        return super().select(0)


def in_virtual_time(
    test: Callable[_Parameters, Coroutine[Any, Any, _Result]],
) -> Callable[_Parameters, _Result]:
    """Make a plain function of an async one: it runs in a loop of its own, with repeatable randomness."""

    @functools.wraps(test)
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        state = random.getstate()
        random.seed(0)
        try:
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                return runner.run(test(*args, **kwargs))
        finally:
            random.setstate(state)

    return run
