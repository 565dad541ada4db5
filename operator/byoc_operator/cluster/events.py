"""Posts Kubernetes Events, by a task of its own: nobody waits for an Event.

Each Event is a write to the API server, so Events report changes only, and the task posts them one after the other.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from ..api.names import GROUP
from ..api.printable import printable_bytes
from ..api.resource import Key, PhoneNumber
from ..errors import OperatorError, Unavailable
from .answers import AlreadyExists, ApiRefused
from .event_queue import MAX_WAITING, Event, EventQueue, Regarding
from .port import JsonApi
from .refusals import without_names

log = logging.getLogger(__name__)

COMPONENT = "byoc-operator"
MAX_NOTE = 1024
"""Bytes; the API server refuses longer notes."""

SPACING_S = 0.02
"""At most 50 Events a second, as the kubelet's `eventRecordQPS` allows: an import leaves the API server room."""

RETRY_S, LONGEST_RETRY_S = 1.0, 15.0
"""The first and the longest pause in seconds while the API server does not answer."""

MAX_AGE_S = 600.0
"""An Event that could not be posted for so long is dropped; the status of its object has told it since."""

MAX_CAUSES = 64
TOLD_AGAIN_S = 600.0
"""The most causes of lost Events that are remembered, and how often the log repeats one."""

Announce = Callable[[str, str], None]
"""Posts an Event on the installation: reason, note."""


class Dropped(StrEnum):
    """Why an Event was dropped."""

    FULL = "full"
    LATE = "late"
    REFUSED = "refused"
    STOPPED = "stopped"
    BUG = "bug"


class Events:
    """Takes Events and posts them while `run` runs. An Event that cannot be written is dropped; no method raises.

    `instance`: the name of this process; `dropped`: called with the cause for every dropped Event; `clock`: monotonic
    seconds; `most`: how many Events may wait.
    """

    def __init__(
        self,
        api: JsonApi,
        instance: str,
        dropped: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
        most: int = MAX_WAITING,
    ) -> None:
        self._api = api
        self._instance = instance
        self._count_dropped = dropped
        self._clock = clock
        self._most = most
        self._queue = EventQueue(most)
        self._came = asyncio.Event()
        self._under_way = 0
        self._failures = 0
        self._told: dict[str, float] = {}

    @property
    def waiting(self) -> int:
        """How many Events are not posted yet."""
        return len(self._queue) + self._under_way

    def about_number(
        self, number: PhoneNumber, type_: Literal["Normal", "Warning"], reason: str, action: str, note: str
    ) -> None:
        """Have an Event posted that `kubectl describe` shows with the number. `note`: without credentials."""
        self._put(Regarding.number(number), type_, (reason, action, note))

    def about_key(self, key: Key, reason: str, action: str, note: str) -> None:
        """Have a warning posted about a number of which only namespace and name are known."""
        self._put(Regarding.named(key), "Warning", (reason, action, note))

    def about_lease(self, namespace: str, lease: str, reason: str, note: str) -> None:
        """Have a warning posted on the operator's Lease, about the installation as a whole."""
        self._put(Regarding.lease(Key(namespace, lease)), "Warning", (reason, "Observe", note))

    async def run(self) -> None:
        """Post what comes until cancelled. An Event that is under way then waits for `finish`."""
        while True:
            event = await self._first()
            await asyncio.sleep(await self._post(event))

    async def finish(self, within_s: float) -> None:
        """Post what waits, for up to `within_s` seconds and while the API server answers; drop the rest.

        `run` must have ended.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for event in iter(self._next, None):
                    pause_s = await self._post(event)
                    if pause_s > SPACING_S:
                        break
                    await asyncio.sleep(pause_s)
        left = 0
        while self._queue.take() is not None:
            left += 1
            self._count_dropped(Dropped.STOPPED)
        if left:
            log.warning("%d Events were not written before the end of the process", left)

    def _put(self, regarding: Regarding, type_: str, said: tuple[str, str, str]) -> None:
        reason, action, note = said
        event = Event(
            regarding=regarding,
            type=type_,
            reason=reason,
            action=action,
            note=printable_bytes(note, MAX_NOTE),
            id=uuid.uuid4().hex[:16],
            at=datetime.now(UTC),
            due_s=self._clock() + MAX_AGE_S,
        )
        if self._queue.put(event) is not None:
            self._drop(Dropped.FULL, f"more than {self._most} Events wait for the API server")
        self._came.set()

    async def _first(self) -> Event:
        """Wait for an Event, and take it."""
        while (event := self._next()) is None:
            self._came.clear()
            await self._came.wait()
        return event

    def _next(self) -> Event | None:
        """Take the next Event that is not too old; None if none waits."""
        while (event := self._queue.take()) is not None and self._clock() >= event.due_s:
            self._drop(Dropped.LATE, f"it waited for {MAX_AGE_S:.0f} s")
        return event

    async def _post(self, event: Event) -> float:
        """Post an Event. Returns the seconds until the next one."""
        self._under_way = 1
        try:
            await self._api.request(
                "POST",
                f"/apis/events.k8s.io/v1/namespaces/{event.namespace}/events",
                resource="events",
                body=self._json(event),
            )
        except asyncio.CancelledError:
            self._queue.give_back(event)
            raise
        except AlreadyExists:
            log.debug("an Event was written by an earlier try whose answer was lost")
        except Unavailable as exc:
            self._queue.give_back(event)
            return self._pause_s(exc)
        except OperatorError as exc:
            self._drop(Dropped.REFUSED, None if isinstance(exc, ApiRefused) and exc.missing_right else exc.message)
        except Exception as exc:  # noqa: BLE001 - as the class says, no method raises
            self._drop(Dropped.BUG, f"a bug: {type(exc).__name__}")
        finally:
            self._under_way = 0
        self._failures = 0
        return SPACING_S

    def _pause_s(self, exc: Unavailable) -> float:
        """Seconds until the next try: more after each failure, and as many as the API server asks for."""
        self._tell(f"Events wait until they can be written: {exc.message}")
        pause_s = min(RETRY_S * 2.0**self._failures, LONGEST_RETRY_S)
        self._failures = min(self._failures + 1, 10)
        return max(pause_s, exc.retry_after_s or 0.0)

    def _drop(self, cause: Dropped, why: str | None) -> None:
        """Count a dropped Event and log it once per cause. `why`: None if the log tells it already (`Refusals`)."""
        self._count_dropped(cause)
        if why is not None:
            self._tell(f"an Event could not be written: {why}")

    def _tell(self, said: str) -> None:
        """Log a cause, unless the log had it within `TOLD_AGAIN_S`."""
        cause, now = without_names(said), self._clock()
        if now - self._told.get(cause, float("-inf")) < TOLD_AGAIN_S:
            return
        self._told.pop(cause, None)
        while len(self._told) >= MAX_CAUSES:
            del self._told[next(iter(self._told))]
        self._told[cause] = now
        log.warning("%s", said)

    def _json(self, event: Event) -> dict[str, Any]:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"namespace": event.namespace, "name": event.name},
            "eventTime": event.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": f"{GROUP}/{COMPONENT}",
            "reportingInstance": self._instance[:128],
            "type": event.type,
            "reason": event.reason,
            "action": event.action,
            "note": event.note,
            "regarding": event.regarding.json(),
        }
