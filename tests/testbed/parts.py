"""Parts that belong together: started in groups, stopped together, the last started first."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from testbed.part import Part


class Parts:
    """What runs until `stop`, or until the end of a `with`."""

    def __init__(self) -> None:
        self._running = ExitStack()

    def start_together(self, *parts: Part) -> None:
        """Start these beside each other; return when all are ready. Raises NotReady."""
        for part in parts:
            self._running.callback(part.stop)
        with ThreadPoolExecutor(len(parts)) as pool:
            for started in [pool.submit(part.start) for part in parts]:
                started.result()

    def stop(self) -> None:
        """Stop all parts; their files stay."""
        self._running.close()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Nothing stays running if this is left by an exception."""
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
