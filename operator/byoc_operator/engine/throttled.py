"""Counts the waits that LiveKit and the API server ask for (Retry-After)."""

from ..api.conditions import Reason
from ..errors import OperatorError, Unavailable
from ..telemetry.metrics import Metrics


def count_wait(metrics: Metrics, reason: Reason | None, wait_s: float) -> None:
    """Count a wait of `wait_s` seconds, unless it is 0: then the server asked for none."""
    if wait_s:
        metrics.told_to_wait("livekit" if reason is Reason.LIVEKIT_RATE_LIMITED else "kubernetes", wait_s)


def count_wait_of(metrics: Metrics, exc: OperatorError) -> None:
    """Count the wait that a failure asks for, if it asks for one."""
    if isinstance(exc, Unavailable):
        count_wait(metrics, exc.reason, exc.retry_after_s or 0.0)
