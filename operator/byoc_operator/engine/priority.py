"""What a run is for, and so how soon it runs."""

from enum import IntEnum


class Priority(IntEnum):
    """Why a number needs a run. A smaller value goes first; see `queue.AHEAD` for the exception.

    USER: a user changed the number. FOLLOW: one change concerns many numbers. REFRESH: a refresh or recreate. SWEEP: a
    sweep found a difference, or a failed run is tried again. In USER and FOLLOW the namespaces take turns. The runs of
    all priorities but USER share `paced_limit`.
    """

    USER = 0
    FOLLOW = 1
    REFRESH = 2
    SWEEP = 3


def followers(count: int) -> Priority:
    """The priority of the runs after a change that concerns `count` numbers: USER for one number, else FOLLOW."""
    return Priority.USER if count == 1 else Priority.FOLLOW
