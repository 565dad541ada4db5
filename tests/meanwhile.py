"""Repeats an action in the background of a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def over_and_over(act: Callable[[int], None]) -> Iterator[None]:
    """Call `act` with 0, 1, 2, … without a pause, in a thread, until this is left."""
    over = threading.Event()

    def run() -> None:
        count = 0
        while not over.is_set():
            act(count)
            count += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
