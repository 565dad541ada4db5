"""Limits the log lines that anybody can cause who reaches a port: so many of a kind in a minute."""

import logging
import time
from collections.abc import Callable

LIMITED = ("aiohttp.server", "asyncio", "byoc_operator.admission.server")
"""The loggers of the ports, which need no authentication, and of connections."""

LINES, WITHIN_S = 20, 60.0
_MAX_KINDS = 256
_KIND_LENGTH = 120


class Rationed(logging.Filter):
    """Lets through `LINES` lines of a kind within `WITHIN_S`; the last one says that more follow.

    Lines are of one kind if logger and format string are equal, whatever their arguments.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the line."""
        if record.name not in LIMITED:
            return True
        now = self._clock()
        kind = self._kind(record, now)
        began, count = self._told.get(kind, (now, 0))
        if now - began >= WITHIN_S:
            began, count = now, 0
        self._told[kind] = began, count + 1
        if count + 1 == LINES:
            record.msg = f"{record.msg} (more lines like this are left out for a while)"
        return count < LINES

    def _kind(self, record: logging.LogRecord, now: float) -> str:
        """The kind of a line: logger and first line of the format string. asyncio puts values into further lines."""
        kind = f"{record.name} {str(record.msg).partition(chr(10))[0]}"[:_KIND_LENGTH]
        if kind in self._told or len(self._told) < _MAX_KINDS:
            return kind
        self._told = {each: told for each, told in self._told.items() if now - told[0] < WITHIN_S}
        return kind if len(self._told) < _MAX_KINDS else record.name
