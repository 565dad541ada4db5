"""What a run is for, and so how soon it runs."""

from enum import IntEnum


class Priority(IntEnum):
    """What a run is for; a smaller value goes first, nearly always.

    USER: somebody changed this number. FOLLOW: one change concerns many numbers. In these two, namespaces take turns.
    All but USER can wait, and share `paced_limit`.
    """

    USER = 0
    FOLLOW = 1
    REFRESH = 2
    SWEEP = 3


def followers(count: int) -> Priority:
    """The priority of runs that follow from one change, by how many numbers it concerns: one goes at once."""
    return Priority.USER if count == 1 else Priority.FOLLOW
