"""Rows that take turns: thousands of keys in one row delay the other rows by no more than one key a turn."""

from collections import OrderedDict
from collections.abc import Iterable


class Turns:
    """Keys in rows, first in, first out within a row; a key may stand in several. Each operation is O(1) a row."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def add(self, row: str, key: str) -> None:
        """Put the key at the end of the row; where it stands already, it keeps its place."""
        if row not in self._rows:
            self._rows[row] = OrderedDict()
        self._rows[row][key] = None

    def next(self) -> str:
        """The first key of the row whose turn it is; the turn passes on. The key stays until it is dropped."""
        row = next(iter(self._rows))
        self._rows.move_to_end(row)
        return next(iter(self._rows[row]))

    def drop(self, key: str, rows: Iterable[str]) -> None:
        """Take the key out of its rows; an empty row has no turn."""
        for row in rows:
            keys = self._rows[row]
            del keys[key]
            if not keys:
                del self._rows[row]

    def clear(self) -> None:
        """Drop all keys."""
        self._rows.clear()
