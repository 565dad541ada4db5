"""`python -m bench --numbers 1000`: everything, as one table on standard output; progress on standard error."""

import asyncio
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click

from bench import sip
from bench.actors import BareClient
from bench.bare import CONNECTIONS
from bench.changes import measure_refresh, measure_secrets, measure_single
from bench.creation import Pair, Round, create, creation_rows, delete, deletion_rows
from bench.install import install, policy_works
from bench.kube import Kube, RequestRefused
from bench.meters import Speed
from bench.options import Options, with_options
from bench.sealing import opening_rows
from bench.stage import Stage, tell
from bench.standing import measure_foreign_secrets, measure_idle, measure_restart, measure_sweep, restarted
from bench.table import rendered
from bench.watcher import NotReached, watching
from testbed.bed import Bed
from testbed.part import NotReady
from testbed.tool import ToolMissing

WARM_UP = 200


@click.command()
@with_options
def main(options: Options) -> None:
    """Measure the operator against a bare client.

    Prints one table. Exit code 1 if something does not work, whatever the figures.
    """
    sys.exit(_measured(options))


def _measured(options: Options) -> int:
    """The exit code."""
    directory = Path(tempfile.mkdtemp(prefix="byoc-bench-"))
    started = time.monotonic()
    try:
        with Bed.start(directory) as bed:
            table = asyncio.run(_on(bed, options))
    except (NotReady, ToolMissing) as error:
        print(error, file=sys.stderr)
        return 1
    except BaseExceptionGroup as group:
        wrong, other = group.split((NotReached, RequestRefused, NotReady))
        if other is not None or wrong is None:
            raise
        print("\n".join(map(str, _leaves(wrong))), f"logs: {directory}", sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(directory)
    print(table)
    print(f"\n{time.monotonic() - started:.0f} s in all; ratios and bars as in the design, on whatever machine this is")
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _on(bed: Bed, options: Options) -> str:
    speed = Speed()
    await asyncio.to_thread(install, bed, policy=options.policy)
    livekit = (bed.livekit.url, bed.livekit.key, bed.livekit.secret)
    async with (
        Kube(bed.kubeconfig, CONNECTIONS) as kube,
        Kube(bed.kubeconfig, 1) as eyes,
        sip.Sip(*livekit) as own,
        asyncio.TaskGroup() as group,
    ):
        stage = Stage(bed, options, kube, eyes, own, speed)
        try:
            await group.create_task(_run(stage))
        finally:
            stage.leave_all()
    return rendered(stage.sections)


async def _run(stage: Stage) -> None:
    if stage.options.policy:
        await policy_works(stage.kube, "default")
    await _warm_up(stage)
    with stage.section("sealed credentials") as opening:
        opening.extend(opening_rows())
    made = Pair([], [])
    removed = Pair([], [])
    title = _title(stage.options)
    with stage.section(title) as creation:
        for turn in range(1, stage.options.pairs):
            await _bare_turn(stage, turn, made.bare, removed.bare)
            await _operator_turn(stage, turn, made.operator, removed.operator)
        await _bare_turn(stage, stage.options.pairs, made.bare, removed.bare)
        namespace = await _fresh(stage, "operator", stage.options.pairs)
        operator = (await restarted(stage)).operator
        async with watching(stage.eyes, namespace) as watcher:
            made.operator.append(await create(stage, operator, watcher, namespace))
        creation.extend(creation_rows(made, writes=1 if stage.options.policy else 2))
    await measure_idle(stage, operator)
    await stage.leave(operator)
    await _with_all(stage, namespace, removed)


def _title(options: Options) -> str:
    policy = "admission policy on" if options.policy else "no admission policy"
    return f"creating {options.numbers:,} numbers, {options.pairs} time(s) each, {policy}"


async def _with_all(stage: Stage, namespace: str, removed: Pair) -> None:
    """What needs all numbers to be there, and in the end their deletion."""
    restart = await measure_restart(stage)
    await stage.leave(restart.operator)
    if stage.options.foreign_secrets:
        await measure_foreign_secrets(stage, restart)
    await measure_sweep(stage)
    operator = (await restarted(stage)).operator
    async with watching(stage.eyes, namespace) as watcher:
        await measure_single(stage, watcher, namespace)
        await measure_secrets(stage, watcher, namespace)
        await measure_refresh(stage, watcher, operator, namespace)
        with stage.section(f"deleting {stage.options.numbers:,} numbers") as rows:
            removed.operator.append(await delete(stage, operator, watcher, namespace))
            rows.extend(deletion_rows(removed))
    await stage.leave(operator)


async def _fresh(stage: Stage, who: str, turn: int) -> str:
    tell(f"{who}, turn {turn}")
    sip.clear(stage.bed.redis.port)
    namespace = f"{who}-{turn}"
    await stage.make_namespace(namespace)
    return namespace


async def _warm_up(stage: Stage) -> None:
    """A round that is not measured, because an API server that has just started is slower."""
    few = replace(stage.options, numbers=min(stage.options.numbers, WARM_UP))
    await _bare_turn(replace(stage, options=few), 0, [], [])


async def _bare_turn(stage: Stage, turn: int, made: list[Round], removed: list[Round]) -> None:
    namespace = await _fresh(stage, "bare", turn)
    bare = stage.enter(BareClient(stage.bed, namespace), "bare client")
    await bare.ready()
    async with watching(stage.eyes, namespace) as watcher:
        made.append(await create(stage, bare, watcher, namespace))
        removed.append(await delete(stage, bare, watcher, namespace))
    await stage.leave(bare)


async def _operator_turn(stage: Stage, turn: int, made: list[Round], removed: list[Round]) -> None:
    namespace = await _fresh(stage, "operator", turn)
    operator = (await restarted(stage)).operator
    async with watching(stage.eyes, namespace) as watcher:
        made.append(await create(stage, operator, watcher, namespace))
        removed.append(await delete(stage, operator, watcher, namespace))
    await stage.leave(operator)


if __name__ == "__main__":
    main(prog_name="python -m bench")
