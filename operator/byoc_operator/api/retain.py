"""The setting `BYOC_RETAIN`: how many numbers of a namespace may stay in LiveKit after `deletionPolicy: Retain`."""

from enum import StrEnum

MOST = 100_000


class RetainPolicy(StrEnum):
    """`Allow`: all of them may stay. `Deny`: none may."""

    ALLOW = "Allow"
    DENY = "Deny"


def parse_retain(text: str) -> RetainPolicy | int:
    """The setting: `Allow`, `Deny`, or a count from 1 to `MOST`. Raises ValueError for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 0 < int(text) <= MOST:
        return int(text)
    if text not in tuple(RetainPolicy):
        message = f"must be Allow, Deny or a number from 1 to {MOST}"
        raise ValueError(message)
    return RetainPolicy(text)


def at_most(retain: RetainPolicy | int) -> int | None:
    """How many numbers of a namespace may stay; None for no limit."""
    if isinstance(retain, int):
        return retain
    return None if retain is RetainPolicy.ALLOW else 0
