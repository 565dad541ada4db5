"""Posts Kubernetes Events. Each Event is a write to the API server, so Events report changes only."""

import logging
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Literal

from ..api.names import GROUP, KIND, VERSION
from ..api.printable import printable_bytes
from ..api.resource import Key, PhoneNumber
from ..errors import OperatorError
from .answers import ApiRefused
from .port import JsonApi
from .refusals import without_names

log = logging.getLogger(__name__)

COMPONENT = "byoc-operator"
MAX_NOTE = 1024
"""Bytes; the API server refuses longer notes."""


Announce = Callable[[str, str], Coroutine[Any, Any, None]]
"""Posts an Event on the installation: reason, note."""


class Events:
    """Posts Events. An Event that cannot be written is logged and dropped; no method raises."""

    def __init__(self, api: JsonApi, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._told = ""

    async def about_number(
        self, number: PhoneNumber, type_: Literal["Normal", "Warning"], reason: str, action: str, note: str
    ) -> None:
        """Post an Event that `kubectl describe` shows with the number. `note`: without credentials."""
        regarding = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "namespace": number.key.namespace,
            "name": number.key.name,
            "uid": number.uid,
            "resourceVersion": str(number.resource_version),
        }
        await self._post(number.key.namespace, regarding, type_, (reason, action, note))

    async def about_key(self, key: Key, reason: str, action: str, note: str) -> None:
        """Post a warning about a number of which only namespace and name are known."""
        regarding = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "namespace": key.namespace,
            "name": key.name,
        }
        await self._post(key.namespace, regarding, "Warning", (reason, action, note))

    async def about_lease(self, namespace: str, lease: str, reason: str, note: str) -> None:
        """Post a warning on the operator's Lease, about the installation as a whole."""
        regarding = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "namespace": namespace,
            "name": lease,
        }
        await self._post(namespace, regarding, "Warning", (reason, "Observe", note))

    async def _post(self, namespace: str, regarding: dict[str, Any], type_: str, said: tuple[str, str, str]) -> None:
        reason, action, note = said
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "namespace": namespace,
                "name": f"{regarding['name'][:200].rstrip('-.')}.{uuid.uuid4().hex[:16]}",
            },
            "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": f"{GROUP}/{COMPONENT}",
            "reportingInstance": self._instance[:128],
            "type": type_,
            "reason": reason,
            "action": action,
            "note": printable_bytes(note, MAX_NOTE),
            "regarding": regarding,
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        try:
            await self._api.request("POST", path, resource="events", body=event)
        except OperatorError as exc:
            self._tell(exc)
        except Exception as exc:  # noqa: BLE001 - as the class says, no method raises
            log.error("a bug: an Event could not be written (%s)", type(exc).__name__)  # noqa: TRY400 - as in runs
        else:
            self._told = ""

    def _tell(self, exc: OperatorError) -> None:
        """Log a failure once per cause, until an Event can be written again."""
        if isinstance(exc, ApiRefused) and exc.missing_right:
            return  # `Refusals` logs a missing right
        cause = without_names(exc.message)
        if cause != self._told:
            self._told = cause
            log.warning("an Event could not be written: %s", exc.message)
