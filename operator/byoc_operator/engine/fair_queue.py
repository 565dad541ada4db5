"""A fair queue: one queue per namespace, and the namespaces take turns.

Thousands of keys of one namespace delay each key of another namespace by one key only.
"""

from collections import OrderedDict
from collections.abc import Iterable


class FairQueue:
    """First in, first out within a namespace. A key may wait in the queues of several namespaces.

    `add` and `next` take O(1); `drop` takes O(1) for each namespace.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def add(self, namespace: str, key: str) -> None:
        """Put the key at the end of the namespace's queue. A key that is in that queue already keeps its place."""
        if namespace not in self._queues:
            self._queues[namespace] = OrderedDict()
        self._queues[namespace][key] = None

    def next(self) -> str:
        """The first key of the namespace whose turn it is. The next namespace has the next turn.

        The key stays in the queue until `drop`. Raises `StopIteration` if all queues are empty.
        """
        namespace = next(iter(self._queues))
        self._queues.move_to_end(namespace)
        return next(iter(self._queues[namespace]))

    def drop(self, key: str, namespaces: Iterable[str]) -> None:
        """Take the key out of the queues of these namespaces. A namespace without keys gets no turns."""
        for namespace in namespaces:
            keys = self._queues[namespace]
            del keys[key]
            if not keys:
                del self._queues[namespace]

    def clear(self) -> None:
        """Drop all keys."""
        self._queues.clear()
