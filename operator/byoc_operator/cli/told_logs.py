"""Tells what libraries and our own modules log while a command runs: safe for a terminal, each message once."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from .terminal import tell

MAX_MESSAGES = 20
"""Different messages of one command that are told: a server may cause any number."""


class _Teller(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a message; never its exception, whose text others may have written."""
        message = record.getMessage()
        if message in self._told or len(self._told) >= MAX_MESSAGES:
            return
        self._told.add(message)
        tell(message, head=f"{record.levelname.lower()}:")


@contextmanager
def logs_told() -> Iterator[None]:
    """Tell warnings and errors of all loggers for as long as the block runs."""
    teller = _Teller()
    logging.getLogger().addHandler(teller)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(teller)
