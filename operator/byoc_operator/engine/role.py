"""Whether this replica works or stands by."""

from dataclasses import dataclass


@dataclass(slots=True)
class Role:
    """One for the whole engine. `leading`: this replica leads and has taken over; only then does it queue runs."""

    leading: bool = False
