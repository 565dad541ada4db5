"""Which objects cannot be read: told once each, counted, and never taken for deleted."""

import asyncio
import logging
from collections.abc import Callable

from ..api.names import PLURAL
from ..api.resource import Key
from ..cluster.events import Events
from ..cluster.reading import Unreadable

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""For more unreadable objects than that one without a name stands, for each resource; they may be told of again."""

Place = tuple[str, str, str]
"""Resource, namespace and name; empty where it could not be had."""


class Unread:
    """The unreadable objects of this moment, as far as they are known. `count`: given their number by resource."""

    def __init__(self, events: Events, count: Callable[[str, int], None]) -> None:
        self._events = events
        self._count = count
        self._known: dict[Place, tuple[str, str]] = {}
        self._unconfirmed: set[Place] = set()
        self._telling: set[asyncio.Task[None]] = set()
        for resource in (PLURAL, "secrets"):
            count(resource, 0)

    def told(self, found: Unreadable) -> None:
        """An object was passed over. Once per object and version: a line in the log, and an Event on a number."""
        place = (found.resource, found.namespace, found.name)
        if place not in self._known and len(self._known) >= REMEMBERED:
            place = (found.resource, "", "")
        said = (found.version, found.message)
        self._unconfirmed.discard(place)
        known = self._known.get(place)
        self._known[place] = said
        self._recount(found.resource)
        if known == said:
            return
        log.warning("passed over %s: %s", found.where, found.message)
        if found.resource == PLURAL and found.namespace and found.name:
            key = Key(found.namespace, found.name)
            note = f"The operator cannot read this object and passes it over: {found.message}"
            task = asyncio.create_task(self._events.about_key(key, "Unreadable", "Read", note), name="event")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    def readable(self, resource: str, namespace: str, name: str) -> None:
        """An object was read, or is gone."""
        place = (resource, namespace, name)
        self._unconfirmed.discard(place)
        if place in self._known:
            del self._known[place]
            self._recount(resource)

    def listing(self, resource: str) -> None:
        """A LIST of everything begins."""
        self._unconfirmed |= {place for place in self._known if place[0] == resource}

    def listed(self, resource: str) -> None:
        """A LIST of everything has ended: what it did not pass over again is not unreadable any more."""
        for place in [place for place in self._unconfirmed if place[0] == resource]:
            self.readable(*place)

    def hides(self, resource: str, namespace: str, name: str) -> bool:
        """Whether there may be an object of this name that could not be read: one without a name may be any."""
        places = ((namespace, name), (namespace, ""), ("", ""))
        return bool(self._known) and any((resource, *place) in self._known for place in places)

    def _recount(self, resource: str) -> None:
        self._count(resource, sum(place[0] == resource for place in self._known))
