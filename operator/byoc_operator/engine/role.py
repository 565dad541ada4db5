"""Whether this replica works or stands by."""

from dataclasses import dataclass


@dataclass(slots=True)
class Role:
    """The role of the engine. `leading`: this replica leads and has taken over; only then does it queue runs."""

    leading: bool = False
