"""The setting that says how many numbers may stay in LiveKit without their object, by deletionPolicy Retain."""

from enum import StrEnum

MOST = 100_000


class RetainPolicy(StrEnum):
    """`Allow`: any number of them may stay; `Deny`: none may."""

    ALLOW = "Allow"
    DENY = "Deny"


def parse_retain(text: str) -> RetainPolicy | int:
    """`Allow`, `Deny`, or how many numbers of a namespace. Raises ValueError for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) and 0 < int(text) <= MOST:
        return int(text)
    if text not in tuple(RetainPolicy):
        message = f"must be Allow, Deny or a number from 1 to {MOST}"
        raise ValueError(message)
    return RetainPolicy(text)


def at_most(retain: RetainPolicy | int) -> int | None:
    """How many numbers a namespace may leave, None for any."""
    if isinstance(retain, int):
        return retain
    return None if retain is RetainPolicy.ALLOW else 0
