"""`kubectl byoc refresh`: sets the annotation in waves, and waits for the answers in the statuses."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..api.resource import Key, PhoneNumber
from ..cluster.answers import Conflict, NotFound
from .cluster import Cluster
from .durations import seconds_in
from .exit_codes import ExitCode, Refused
from .formats import Format
from .options import Target, over_numbers, targeted, with_output
from .output import Listing, show_listing, tell_unread
from .refresh_job import Answer, Job, Report, Result, answer, cause, divided, job_for, waves
from .terminal import progress, tell

_R = TypeVar("_R")

AT_ONCE = 10
"""Requests to the API server at the same time."""

LOOK_EVERY_S = 1.0
"""Pause between two looks at the statuses of a wave."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast, and when to stop. `wave`: numbers at once. `answer_s`: how long a wave waits for its answers."""

    wave: int
    max_failures: int
    pause_s: int
    answer_s: int


class Refresher:
    """Asks for a refresh of numbers, wave after wave."""

    def __init__(self, cluster: Cluster, target: Target, job: Job, pace: Pace) -> None:
        self._cluster = cluster
        self._clock = target.outside.clock
        self._sleep: Callable[[float], Awaitable[None]] = target.outside.sleep
        self._job = job
        self._pace = pace
        self.answers: list[Answer] = []

    @property
    def failed(self) -> int:
        """How many numbers failed so far."""
        return sum(each.result is Result.FAILED for each in self.answers)

    async def run(self, numbers: Sequence[PhoneNumber], report: Report) -> None:
        """Refresh the numbers, unless too many fail. `answers` grows meanwhile, and is right at each moment."""
        left = len(numbers)
        for index, wave in enumerate(waves(numbers, self._pace.wave)):
            if index and self._pace.pause_s:
                await self._sleep(self._pace.pause_s)
            report(self.answers, left)
            left -= len(wave)
            await self._one(wave, left, report)
            if self.failed > self._pace.max_failures:
                break
        report(self.answers, left)

    async def _one(self, wave: Sequence[PhoneNumber], after: int, report: Report) -> None:
        """Ask one wave, and wait until each of its numbers has an answer or too many have failed.

        `after`: how many numbers are in later waves.
        """
        begun_s = self._clock()
        waiting = {each.key: each for each in wave}
        self._take(await _together(self._ask, wave), waiting)
        while waiting and self.failed <= self._pace.max_failures:
            await self._sleep(LOOK_EVERY_S)
            waited_s = self._clock() - begun_s
            seen = await _together(self._look, list(waiting.values()))
            found = [answer(self._job, waiting[key], now, waited_s) for key, now in seen]
            self._take(found, waiting)
            if waited_s > self._pace.answer_s:
                self._take([self._silent(waiting[key], now) for key, now in seen if key in waiting], waiting)
            report(self.answers, after + len(waiting))

    def _take(self, found: Sequence[Answer | None], waiting: dict[Key, PhoneNumber]) -> None:
        for each in found:
            if each is not None:
                self.answers.append(each)
                del waiting[each.number.key]

    async def _ask(self, number: PhoneNumber) -> Answer | None:
        try:
            await self._cluster.annotate(number, {self._job.annotation: self._job.token})
        except (NotFound, Conflict):  # the object is gone, or has a successor with its name
            return answer(self._job, number, None, 0.0)
        return None

    async def _look(self, number: PhoneNumber) -> tuple[Key, PhoneNumber | None]:
        return number.key, await self._cluster.present(number.key)

    def _silent(self, number: PhoneNumber, now: PhoneNumber | None) -> Answer:
        why = f"no answer in {self._pace.answer_s} s; {cause(now or number)}"
        return Answer(number, Result.FAILED, why)


async def _together(act: Callable[[PhoneNumber], Awaitable[_R]], numbers: Sequence[PhoneNumber]) -> list[_R]:
    """The results for all numbers, in order; `AT_ONCE` at the same time. Raises the first error."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: PhoneNumber) -> _R:
        async with slots:
            return await act(number)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(each)) for each in numbers]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [each.result() for each in running]


@click.command(short_help="Have the operator write numbers to LiveKit anew, in waves.")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All numbers of -n, -A and -l.")
@click.option("--recreate", is_flag=True, help="Delete and create anew: new IDs, and running calls may end.")
@click.option("--wave", default=50, show_default=True, type=click.IntRange(1, 1000), help="Numbers at once.")
@click.option(
    "--max-failures", default=5, show_default=True, type=click.IntRange(0), help="Stop after more failures than this."
)
@click.option("--pause", default="0s", show_default=True, help="Pause between two waves, such as 10s.")
@click.option("--answer-timeout", default="2m", show_default=True, help="How long a wave may take to be answered.")
@click.option("--anew", is_flag=True, help="Begin again, even if an earlier refresh was not finished.")
@click.option("--dry-run", is_flag=True, help="Only say which numbers would be refreshed.")
@over_numbers
@with_output
@targeted
async def refresh(
    target: Target,
    names: tuple[str, ...],
    *,
    everything: bool,
    recreate: bool,
    anew: bool,
    dry_run: bool,
    **pace: Any,
) -> int:
    """Have the operator write the trunks and rules of numbers to LiveKit anew.

    NAMES are objects, or phone numbers (+…); without NAMES: --all or -l. A refresh replaces in place: no number is
    without its trunk, and calls go on. The command sets an annotation on a wave of objects and waits until their
    statuses answer. Who interrupts the command and starts it again goes on where it was.

    \b
    Examples:
      kubectl byoc refresh main-support -n voice
      kubectl byoc refresh --all -A --wave 20 --pause 10s
      kubectl byoc refresh -l carrier=twilio --recreate --dry-run
    """  # noqa: D301 - for click, \b keeps the lines of a paragraph
    if bool(names) == (everything or bool(target.selector)):
        raise Refused("name the numbers, or give --all or -l for several; not both", ExitCode.USAGE)
    chosen = _pace(**pace)
    async with target.reached() as cluster:
        numbers = await _selected(cluster, names)
        scope = cluster.scope
        if not numbers:
            tell(scope.nowhere("ByocPhoneNumber"))
        tell_unread(cluster.unread)
        selection = [scope.namespace if not scope.everywhere else "*", scope.selector, *sorted(names)]
        job = job_for(numbers, selection, target.outside.clock(), recreate=recreate, anew=anew)
        to_do, known = divided(job, numbers)
        if dry_run:
            _show([*known, *(Answer(each, Result.LEFT) for each in to_do)], target.output)
            tell(f"dry run: {len(to_do)} numbers would be refreshed; nothing was changed")
            return ExitCode.OK
        if any(job.asked(each) for each in numbers):
            left = f"{len(to_do)} of {len(numbers)} numbers are left"
            tell(f"going on with a refresh that was interrupted; {left} (--anew refreshes all of them)")
        return await _run(Refresher(cluster, target, job, chosen), to_do, known, target.output)


def _pace(*, wave: int, max_failures: int, pause: str, answer_timeout: str) -> Pace:
    return Pace(wave, max_failures, seconds_in("--pause", pause), seconds_in("--answer-timeout", answer_timeout))


async def _selected(cluster: Cluster, names: Sequence[str]) -> list[PhoneNumber]:
    if not names:
        return sorted([each async for each in cluster.numbers()], key=lambda each: (each.key.namespace, each.key.name))
    found = [number for name in names for number in await cluster.found(name)]
    return list({each.key: each for each in found}.values())


async def _run(refresher: Refresher, to_do: Sequence[PhoneNumber], known: Sequence[Answer], output: Format) -> int:
    """Run the job and show what became of it, also when Ctrl-C ends it."""
    interrupted = False
    with progress("refreshing", len(to_do)) as shown:

        def report(answers: Sequence[Answer], left: int) -> None:
            shown(sum(each.result is Result.DONE for each in answers), refresher.failed, left)

        try:
            await refresher.run(to_do, report)
        except asyncio.CancelledError:
            interrupted = True
    answered = {each.number.key for each in refresher.answers}
    left = [Answer(each, Result.LEFT) for each in to_do if each.key not in answered]
    _show([*known, *refresher.answers, *left], output)
    if interrupted:
        tell("interrupted; the same command goes on where this one ended")
        return ExitCode.INTERRUPTED
    if left:
        tell(f"stopped: {refresher.failed} numbers failed; the same command goes on, see `kubectl byoc doctor`")
    return ExitCode.FAILED if refresher.failed or left else ExitCode.OK


def _show(answers: Sequence[Answer], output: Format) -> None:
    """All results as JSON or YAML; as a table those that are not Done, and one line that sums up."""
    told = [each for each in answers if each.result is not Result.DONE]
    counts = {result: sum(each.result is result for each in answers) for result in Result}
    show_listing(
        Listing(
            kind="RefreshList",
            columns=("NAMESPACE", "NAME", "NUMBER", "RESULT", "WHY"),
            rows=[
                (each.number.key.namespace, each.number.key.name, each.number.phone_number, each.result, each.why)
                for each in told
            ],
            items=[
                {
                    "namespace": each.number.key.namespace,
                    "name": each.number.key.name,
                    "phoneNumber": each.number.phone_number,
                    "result": str(each.result),
                    "why": each.why,
                }
                for each in answers
            ],
            summary=", ".join(f"{counts[result]} {result.lower()}" for result in Result),
        ),
        output,
    )
