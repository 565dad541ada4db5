"""A map with one value per object. The value goes with the object, so that nothing else has to clean up."""

from collections.abc import Callable
from typing import Generic, TypeVar

from ..api.resource import PhoneNumber

T = TypeVar("T")


class PerObject(Generic[T]):
    """One value per object. `Cache.per_object` makes it, and calls `forget` for an object that is gone.

    `is_there`: whether the cache has the object with this UID. `put` ignores any other object, so that a run which ends
    after its object is gone leaves no value behind.
    """

    __slots__ = ("_is_there", "_values")

    def __init__(self, is_there: Callable[[PhoneNumber], bool]) -> None:
        self._is_there = is_there
        self._values: dict[str, T] = {}

    def __len__(self) -> int:
        """How many objects have a value."""
        return len(self._values)

    def __contains__(self, number: PhoneNumber) -> bool:
        """Whether this object has a value."""
        return number.uid in self._values

    def get(self, number: PhoneNumber) -> T | None:
        """The value of this object; None if it has none."""
        return self._values.get(number.uid)

    def put(self, number: PhoneNumber, value: T) -> None:
        """Set the value of this object, if the object still exists."""
        if self._is_there(number):
            self._values[number.uid] = value

    def drop(self, number: PhoneNumber) -> None:
        """Remove the value of this object, if it has one."""
        self._values.pop(number.uid, None)

    def forget(self, uid: str) -> None:
        """Remove the value of an object that is gone."""
        self._values.pop(uid, None)
