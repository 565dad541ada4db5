"""What a part of the engine remembers of each object. It dies with the object, and nothing else has to clean up."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ..api.resource import PhoneNumber

T = TypeVar("T")


class PerObject(Generic[T]):
    """One value per object that there is. `Cache.per_object` makes one, and tells it which objects are gone.

    `is_there`: whether the cache has this very object. A run that ends after its object is gone leaves nothing here.
    """

    __slots__ = ("_is_there", "_values")

    def __init__(self, is_there: Callable[[PhoneNumber], bool]) -> None:
        self._is_there = is_there
        self._values: dict[str, T] = {}

    def __len__(self) -> int:
        """Of how many objects there is a value."""
        return len(self._values)

    def __contains__(self, number: PhoneNumber) -> bool:
        """Whether there is a value of this object."""
        return number.uid in self._values

    def get(self, number: PhoneNumber) -> T | None:
        """The value of this object, None if there is none."""
        return self._values.get(number.uid)

    def put(self, number: PhoneNumber, value: T) -> None:
        """Remember a value of this object, instead of the one before."""
        if self._is_there(number):
            self._values[number.uid] = value

    def drop(self, number: PhoneNumber) -> None:
        """Remember nothing of this object any more."""
        self._values.pop(number.uid, None)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._values.pop(uid, None)
