"""Unexpected exceptions in one part of a sweep: counted each time, logged once."""

import logging
import traceback

from ..telemetry.metrics import Metrics

log = logging.getLogger(__name__)


class Bugs:
    """Logs each bug once per exception type and source line, not in each sweep and for each number."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._told: set[tuple[str, str, str]] = set()
        self._met: set[tuple[str, str, str]] = set()

    def met(self, part: str, exc: Exception, when: str) -> None:
        """Count a bug; log it if it is new.

        `part`: one of `telemetry.table.SWEEP_PARTS`. `when`: the rest of the log's sentence.
        """
        self._metrics.sweep_bugs.labels(part).inc()
        frames = traceback.format_tb(exc.__traceback__)[-4:]  # no text: it may contain a credential
        cause = (part, type(exc).__name__, frames[-1] if frames else "")
        self._met.add(cause)
        if cause not in self._told:
            self._told.add(cause)
            log.error("a bug: %s %s\n%s", type(exc).__name__, when, "".join(frames))

    def round_ended(self) -> None:
        """Forget the bugs that the sweep which has just ended did not meet: if one comes back, it is logged again."""
        self._told &= self._met
        self._met = set()
