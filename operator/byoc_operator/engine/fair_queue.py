"""A fair queue: one queue per namespace, and the namespaces take turns.

Thousands of keys of one namespace delay another namespace by no more than one key a turn.
"""

from collections import OrderedDict
from collections.abc import Iterable


class FairQueue:
    """First in, first out within a namespace. A key may wait for several namespaces. Operations are O(1) for each."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def add(self, namespace: str, key: str) -> None:
        """Put the key at the end of the namespace's queue; a key that waits there already keeps its place."""
        if namespace not in self._queues:
            self._queues[namespace] = OrderedDict()
        self._queues[namespace][key] = None

    def next(self) -> str:
        """The first key of the namespace whose turn it is; the turn passes on. The key stays until it is dropped."""
        namespace = next(iter(self._queues))
        self._queues.move_to_end(namespace)
        return next(iter(self._queues[namespace]))

    def drop(self, key: str, namespaces: Iterable[str]) -> None:
        """Take the key out of the queues of these namespaces; an empty queue has no turn."""
        for namespace in namespaces:
            keys = self._queues[namespace]
            del keys[key]
            if not keys:
                del self._queues[namespace]

    def clear(self) -> None:
        """Drop all keys."""
        self._queues.clear()
