"""Measures changes while N numbers exist: one number, a Secret, a refresh of all."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.actors import Operator, quiet
from bench.creation import OBJECTS_PER_NUMBER
from bench.meters import percentile
from bench.objects import MERGE_PATCH, REFRESH, encoded, number, numbers_path, secrets_path
from bench.stage import Stage
from bench.table import Row
from bench.watcher import NotReached, Watcher, gone, ready

SINGLES = 40
PAUSE_S = 0.1
SECRETS = 100
PROBE_EVERY_S = 0.05
_SINGLE_MS = 50
_SECRET_S = 1.0
_IN_FLIGHT = 2.0
"""A quarter of the default concurrency of 8."""


async def measure_single(stage: Stage, watcher: Watcher, namespace: str) -> None:
    """One number at a time, then LiveKit alone with the same three creates."""
    with stage.section(f"one number, idle operator, {SINGLES} times") as rows:
        taken_ms = [await _single_ms(stage, watcher, namespace, index) for index in range(SINGLES)]
        livekit_ms = [await _creates_ms(stage, namespace, index) for index in range(SINGLES)]
        await _remove_singles(stage, watcher, namespace)
        bar_ms = _SINGLE_MS + percentile(livekit_ms, 0.5)
        for share, label in ((0.5, "p50"), (0.9, "p90"), (1.0, "max")):
            ours, theirs = percentile(taken_ms, share), percentile(livekit_ms, share)
            bar, good = (f"≤ {_SINGLE_MS} + LiveKit's own", ours <= bar_ms) if share == 0.5 else ("", None)
            rows.append(
                Row(f"asked → Ready {label}, ms (bare: LiveKit)", f"{ours:.0f}", f"{theirs:.0f}", "", bar, good)
            )


async def _single_ms(stage: Stage, watcher: Watcher, namespace: str, index: int) -> float:
    with watcher.collecting(ready) as moments:
        asked = time.monotonic()
        await stage.make_number(namespace, stage.options.numbers + index, 0)
        reached = await moments.reach(1, stage.patience_s)
    await asyncio.sleep(PAUSE_S)
    return (reached - asked) * 1000


async def _creates_ms(stage: Stage, namespace: str, index: int) -> float:
    one = number(namespace, stage.options.numbers + SINGLES + index, "")
    started = time.monotonic()
    ids = await stage.sip.create(one)
    taken = time.monotonic() - started
    await stage.sip.delete(ids)
    return taken * 1000


async def _remove_singles(stage: Stage, watcher: Watcher, namespace: str) -> None:
    with watcher.collecting(gone) as moments:
        for index in range(SINGLES):
            name = number(namespace, stage.options.numbers + index, "")["metadata"]["name"]
            await stage.kube.request("DELETE", numbers_path(namespace, name))
        await moments.reach(SINGLES, stage.patience_s)


async def measure_secrets(stage: Stage, watcher: Watcher, namespace: str) -> None:
    """New passwords, one Secret after the other."""
    users: dict[str, set[str]] = {}
    for index in range(stage.options.numbers):
        made = number(namespace, index, stage.secret_of(index))
        users.setdefault(stage.secret_of(index), set()).add(made["metadata"]["name"])
    chosen = list(users)[:SECRETS]
    title = f"new password in {len(chosen)} Secrets, {len(users[chosen[0]])} numbers each, one Secret at a time"
    with stage.section(title) as rows:
        taken_s = [await _new_password_s(stage, watcher, namespace, name, users[name]) for name in chosen]
        held = (await stage.sip.stored()).passwords
        wrong = sum(
            held[f"{number(namespace, index, '')['spec']['phoneNumber']}"] != _password(stage.secret_of(index))
            for index in range(stage.options.numbers)
            if stage.secret_of(index) in chosen
        )
        if wrong:
            raise NotReached(f"{wrong} outbound trunks have not got their new password")
        p99_s = percentile(taken_s, 0.99)
        rows += [
            Row("changed → all its trunks replaced p50, s", f"{percentile(taken_s, 0.5):.3f}"),
            Row(
                "changed → all its trunks replaced p99, s",
                f"{p99_s:.3f}",
                bar=f"≤ {_SECRET_S:.0f}",
                good=p99_s <= _SECRET_S,
            ),
        ]


def _password(secret: str) -> str:
    return f"new-password-of-{secret}"


async def _new_password_s(stage: Stage, watcher: Watcher, namespace: str, name: str, users: set[str]) -> float:
    path = secrets_path(namespace, name)
    before = (await stage.kube.get(path))["metadata"]["resourceVersion"]

    def follows(_kind: str, raw: Mapping[str, Any]) -> bool:
        # The operator writes this after the trunk, so the trunk is a little earlier than what is measured.
        written = raw.get("status", {}).get("credentials", {}).get("resourceVersion")
        return raw["metadata"]["name"] in users and written != before

    with watcher.collecting(follows) as moments:
        asked = time.monotonic()
        await stage.kube.request("PATCH", path, {"data": {"password": encoded(_password(name))}}, MERGE_PATCH)
        reached = await moments.reach(len(users), stage.patience_s)
    await asyncio.sleep(PAUSE_S)
    return reached - asked


@dataclass
class _Probe:
    """Checks again and again that every trunk and rule is still there."""

    expected: frozenset[str]
    looks: int = 0
    slowest_s: float = 0.0
    missed: set[str] = field(default_factory=set)

    async def run(self, stage: Stage) -> None:
        """For ever."""
        while True:
            started = time.monotonic()
            self.missed |= self.expected - (await stage.sip.stored()).ids
            self.looks += 1
            taken_s = time.monotonic() - started
            self.slowest_s = max(self.slowest_s, taken_s)
            await asyncio.sleep(max(0.0, PROBE_EVERY_S - taken_s))


async def measure_refresh(stage: Stage, watcher: Watcher, operator: Operator, namespace: str) -> None:
    """All numbers asked for a refresh at once, and an observer who wants to see every trunk and rule all the time."""
    total = stage.options.numbers
    with stage.section(f"refresh of {total:,} numbers") as rows:
        probe = _Probe((await stage.sip.stored()).ids)
        busy_before_s = await asyncio.to_thread(operator.total, "byoc_livekit_request_seconds_sum")
        meter = await stage.meter(operator)
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(probe.run(stage))
            wall_s = await _refresh_s(stage, watcher, namespace)
            probing.cancel()
        await quiet(operator, stage.patience_s)
        spent = await asyncio.to_thread(meter.spent)
        busy_s = await asyncio.to_thread(operator.total, "byoc_livekit_request_seconds_sum") - busy_before_s
        rows += [
            Row("all answered, s", f"{wall_s:.1f}"),
            Row("numbers a second", f"{total / wall_s:.0f}"),
            Row(
                "LiveKit calls at once, mean",
                f"{busy_s / wall_s:.1f}",
                bar=f"≤ {_IN_FLIGHT:.0f}",
                good=busy_s / wall_s <= _IN_FLIGHT,
            ),
            Row("CPU per number, ms", f"{spent.cpu_s * 1000 / total:.2f}"),
            Row("API writes per number", f"{spent.writes / total:.2f}", bar="1", good=spent.writes <= total),
            Row(
                "LiveKit calls per number",
                f"{spent.calls / total:.2f}",
                bar=f"{OBJECTS_PER_NUMBER}",
                good=spent.calls <= OBJECTS_PER_NUMBER * total,
            ),
            Row("looks at all trunks and rules", f"{probe.looks}"),
            Row("slowest look, ms", f"{probe.slowest_s * 1000:.0f}"),
            Row("objects missing in any look", f"{len(probe.missed)}", bar="0", good=not probe.missed),
        ]


async def _refresh_s(stage: Stage, watcher: Watcher, namespace: str) -> float:
    value = "bench"
    patch = {"metadata": {"annotations": {REFRESH: value}}}

    async def ask(index: int) -> None:
        name = number(namespace, index, "")["metadata"]["name"]
        await stage.kube.request("PATCH", numbers_path(namespace, name), patch, MERGE_PATCH)

    def answered(_kind: str, raw: Mapping[str, Any]) -> bool:
        return bool(raw.get("status", {}).get("lastHandledRefresh") == value)

    with watcher.collecting(answered) as moments:
        started = time.monotonic()
        await stage.kube.for_each(range(stage.options.numbers), ask)
        return await moments.reach(stage.options.numbers, stage.patience_s) - started
