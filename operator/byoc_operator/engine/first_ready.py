"""How long numbers take from their creation until they are Ready for the first time."""

from datetime import datetime

from ..api.resource import PhoneNumber
from ..telemetry.metrics import Metrics
from .per_object import PerObject


class FirstReady:
    """Measures each object at most once, across restarts and changes of the leader too.

    Nothing in a status says whether the object was Ready before. So only an object counts whose every status this
    process wrote: it saw the object without a status of the operator (`observedGeneration` -1). A number that is not
    Ready yet when the leader changes is not measured; it would be wrong to measure one twice.
    """

    def __init__(self, metrics: Metrics, memory: PerObject[bool]) -> None:
        self._metrics = metrics
        self._waits = memory

    def judged(self, number: PhoneNumber) -> None:
        """The status of an object is about to be written."""
        if number not in self._waits:
            self._waits.put(number, not number.status.seen_before)

    def ready(self, number: PhoneNumber, now_s: float) -> None:
        """A status with Ready=True is written. `now_s`: epoch seconds."""
        if not self._waits.get(number):
            return
        self._waits.put(number, False)
        created = _epoch_s(number.created_at)
        if created is not None:
            self._metrics.first_ready_seconds.observe(max(0.0, now_s - created))


def _epoch_s(at: str) -> float | None:
    """Epoch seconds of a time in RFC 3339, whole seconds; None if it is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None
