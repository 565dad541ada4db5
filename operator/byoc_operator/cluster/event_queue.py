"""The Events that wait until the API server has time for them. Their number is bounded, and namespaces take turns."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..api.names import GROUP, KIND, VERSION
from ..api.resource import Key, PhoneNumber

MAX_WAITING = 10_000
"""Enough for an Event about every number of a large installation at once; 40 MB at most."""


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about. `uid` and `version` (its resourceVersion) are empty if they are not known."""

    api_version: str
    kind: str
    key: Key
    uid: str = ""
    version: str = ""

    @classmethod
    def number(cls, number: PhoneNumber) -> "Regarding":
        """An object as it was read."""
        return cls(f"{GROUP}/{VERSION}", KIND, number.key, number.uid, str(number.resource_version))

    @classmethod
    def named(cls, key: Key) -> "Regarding":
        """A ByocPhoneNumber of which only namespace and name are known."""
        return cls(f"{GROUP}/{VERSION}", KIND, key)

    @classmethod
    def lease(cls, key: Key) -> "Regarding":
        """A Lease, whether it exists or not."""
        return cls("coordination.k8s.io/v1", "Lease", key)

    def json(self) -> dict[str, Any]:
        """As the API server reads it."""
        fields = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "uid": self.uid,
            "resourceVersion": self.version,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True)
class Event:
    """An Event that waits. `id`: the part of its name that is its own; `at`: when it happened.

    `due_s`: until when it is tried, in seconds of the monotonic clock.
    """

    regarding: Regarding
    type: str
    reason: str
    action: str
    note: str
    id: str
    at: datetime
    due_s: float

    @property
    def namespace(self) -> str:
        """The namespace of the object and of the Event."""
        return self.regarding.key.namespace

    @property
    def name(self) -> str:
        """The name of the Event: that of the object, as far as there is room, and its own part."""
        return f"{self.regarding.key.name[:200].rstrip('-.')}.{self.id}"


class EventQueue:
    """Events in the order in which they happened, except that namespaces take turns. `most`: how many may wait.

    So an Event about the installation, or about one number, does not wait for the thousands of another namespace.
    """

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """How many Events wait."""
        return self._count

    def put(self, event: Event) -> Event | None:
        """Add an Event. Returns the Event that is dropped for it: the oldest of the namespace that has most."""
        self._waiting.setdefault(event.namespace, deque()).append(event)
        self._count += 1
        if self._count <= self._most:
            return None
        return self._out_of(max(self._waiting, key=lambda namespace: len(self._waiting[namespace])))

    def give_back(self, event: Event) -> None:
        """Put an Event back that was taken and is to be taken again, as the first of its namespace."""
        self._waiting.setdefault(event.namespace, deque()).appendleft(event)
        self._count += 1

    def take(self) -> Event | None:
        """The next Event; None if none waits. Its namespace goes to the end of the turns."""
        namespace = next(iter(self._waiting), None)
        if namespace is None:
            return None
        self._waiting.move_to_end(namespace)
        return self._out_of(namespace)

    def _out_of(self, namespace: str) -> Event:
        waiting = self._waiting[namespace]
        event = waiting.popleft()
        self._count -= 1
        if not waiting:
            del self._waiting[namespace]
        return event
