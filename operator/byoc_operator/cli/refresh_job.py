"""A refresh of many numbers: which numbers it still has to do, and what the status of each one answers. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ..api.conditions import Reason
from ..api.names import RECREATE, REFRESH
from ..api.resource import PhoneNumber

MARKER = "kubectl-byoc"
"""The values that this command writes begin so."""

CONTINUED_FOR_S = 24 * 3600
"""How old an unfinished job may be to be continued. An older one is forgotten, and a new job begins."""

AHEAD_S = 300
"""How far the clock of whoever began a job may be ahead. Tenants write annotations too: a job from the far future would
never grow old, and so would be continued for ever."""

STALLED_FOR_S = 10.0
"""How long a number may read Stalled after it was asked. The operator needs a moment to look at the number again."""

_MAX_TIME_DIGITS = 12
"""Digits of a time in seconds, enough for 30,000 years."""

_DIGEST_LENGTH = 8
"""Hex characters: enough to tell the selections of one cluster apart."""


class Result(StrEnum):
    """What became of one number."""

    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    LEFT = "Left"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one number, and why; `why` is empty where nothing is to be said."""

    number: PhoneNumber
    result: Result
    why: str = ""


Report = Callable[[Sequence[Answer], int], None]
"""Is told the answers so far, and how many numbers are left."""


@dataclass(frozen=True, slots=True)
class Job:
    """One refresh of a selection. Who starts the same command again continues the job.

    `token`: the value of the annotation. Its parts are the time at which the job began and a digest of the selection.
    `recreate`: the trunks and rules are deleted and created anew, instead of replaced in place.
    """

    token: str
    recreate: bool = False

    @property
    def annotation(self) -> str:
        """The annotation that asks."""
        return RECREATE if self.recreate else REFRESH

    def asked(self, number: PhoneNumber) -> bool:
        """Whether the annotation of the number has the value of this job."""
        return (number.requested.recreate if self.recreate else number.requested.refresh) == self.token

    def handled(self, number: PhoneNumber) -> bool:
        """Whether the status says that the operator did what this job asks for."""
        status = number.status
        return (status.last_handled_recreate if self.recreate else status.last_handled_refresh) == self.token


def job_for(
    numbers: Sequence[PhoneNumber], selection: Iterable[str], now_s: float, *, recreate: bool, anew: bool = False
) -> Job:
    """The job that an earlier run of the same command did not finish, else a new one.

    `selection`: the words that name the numbers; `now_s`: epoch seconds; `anew`: never continue an earlier job.
    """
    text = "\n".join([str(recreate), *selection])
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
    begun = [_begun_at(each.requested.recreate if recreate else each.requested.refresh, digest) for each in numbers]
    latest_s = max((each for each in begun if each is not None and each <= now_s + AHEAD_S), default=0)
    if not anew and now_s - latest_s < CONTINUED_FOR_S:
        job = Job(_token(latest_s, digest), recreate)
        if any(job.asked(each) for each in numbers) and not all(map(_nothing_left(job, latest_s), numbers)):
            return job
    return Job(_token(int(now_s), digest), recreate)


def _nothing_left(job: Job, begun_s: int) -> Callable[[PhoneNumber], bool]:
    """Whether a number has nothing left of a job. The job did not know of an object that was created after it began."""
    begun = datetime.fromtimestamp(begun_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return lambda number: job.handled(number) or bool(_why_not(number)) or number.created_at > begun


def divided(job: Job, numbers: Iterable[PhoneNumber]) -> tuple[list[PhoneNumber], list[Answer]]:
    """The numbers that are still to be asked, and the answers of those that are not."""
    to_do: list[PhoneNumber] = []
    known: list[Answer] = []
    for number in numbers:
        why = _why_not(number)
        if why:
            known.append(Answer(number, Result.SKIPPED, why))
        elif job.handled(number):
            known.append(Answer(number, Result.DONE))
        else:
            to_do.append(number)
    return to_do, known


def answer(job: Job, asked: PhoneNumber, now: PhoneNumber | None, waited_s: float) -> Answer | None:
    """What the present state of a number answers, None as long as it answers nothing.

    `now`: None if the object is gone. `waited_s`: seconds since the number was asked.
    """
    if now is None or now.uid != asked.uid:
        return Answer(asked, Result.SKIPPED, "the object was deleted meanwhile")
    if job.handled(now) and now.status.ready.status == "True":
        return Answer(now, Result.DONE)
    if _why_not(now):
        return Answer(now, Result.SKIPPED, _why_not(now))
    stalled = any(each.type == "Stalled" and each.status == "True" for each in now.status.conditions)
    if stalled and waited_s > STALLED_FOR_S:
        return Answer(now, Result.FAILED, cause(now))
    return None


def cause(number: PhoneNumber) -> str:
    """Why a number is not Ready, in the words of its status."""
    ready = number.status.ready
    return f"{ready.reason}: {ready.message}" if ready.reason else "the operator has not looked at the object yet"


def waves(numbers: Sequence[PhoneNumber], size: int) -> Iterable[Sequence[PhoneNumber]]:
    """The numbers in groups of at most `size`."""
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def _why_not(number: PhoneNumber) -> str:
    """Why a number cannot be refreshed now, empty if it can."""
    reasons: tuple[tuple[bool, str], ...] = (
        (number.deleting, "the object is being deleted"),
        (number.requested.paused, f"{Reason.PAUSED}: the operator writes nothing to LiveKit until the annotation goes"),
        (number.observes, "managementPolicy is Observe: the operator writes nothing to LiveKit"),
    )
    return next((text for applies, text in reasons if applies), "")


def _token(begun_s: int, digest: str) -> str:
    return f"{MARKER}-{begun_s}-{digest}"


def _begun_at(value: str, digest: str) -> int | None:
    """When the job began that wrote a value, in epoch seconds; None for a value of another job or of a person."""
    begun = value.removeprefix(f"{MARKER}-").removesuffix(f"-{digest}")
    if not (begun.isascii() and begun.isdigit() and len(begun) <= _MAX_TIME_DIGITS):
        return None
    return int(begun) if _token(int(begun), digest) == value else None
