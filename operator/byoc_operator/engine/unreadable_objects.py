"""Keeps account of the objects that cannot be read: each is reported once, counted, and never taken for deleted."""

import logging
from collections.abc import Callable

from ..api.names import PLURAL
from ..api.resource import Key
from ..cluster.reading import Unreadable
from .outside import EventSink

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""How many unreadable objects are remembered by name. Beyond that, one entry per resource stands for all others."""

Place = tuple[str, str, str]
"""Resource, namespace and name; namespace and name may be empty if they cannot be read."""


class UnreadableObjects:
    """The objects that cannot be read at this time. `count`: called with a resource and how many there are."""

    def __init__(self, events: EventSink, count: Callable[[str, int], None]) -> None:
        self._events = events
        self._count = count
        self._known: dict[Place, tuple[str, str]] = {}
        self._unconfirmed: set[Place] = set()
        for resource in (PLURAL, "secrets"):
            count(resource, 0)

    def told(self, found: Unreadable) -> None:
        """Report an object that cannot be read, once per version: in the log, and in an Event if it is a number."""
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
            self._events.about_key(key, "Unreadable", "Read", note)

    def readable(self, resource: str, namespace: str, name: str) -> None:
        """Note that an object was read, or is gone."""
        place = (resource, namespace, name)
        self._unconfirmed.discard(place)
        if place in self._known:
            del self._known[place]
            self._recount(resource)

    def listing(self, resource: str) -> None:
        """Note that a LIST of all objects begins."""
        self._unconfirmed |= {place for place in self._known if place[0] == resource}

    def listed(self, resource: str) -> None:
        """Note that the LIST has ended: forget the unreadable objects that it did not report again."""
        for place in [place for place in self._unconfirmed if place[0] == resource]:
            self.readable(*place)

    def hides(self, resource: str, namespace: str, name: str) -> bool:
        """Whether an object of this name may exist that cannot be read. An entry without a name may be any object."""
        places = ((namespace, name), (namespace, ""), ("", ""))
        return bool(self._known) and any((resource, *place) in self._known for place in places)

    def _recount(self, resource: str) -> None:
        self._count(resource, sum(place[0] == resource for place in self._known))
