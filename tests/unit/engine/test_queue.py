"""The work queue, in virtual time."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.engine.priority import Priority
from byoc_operator.engine.queue import AHEAD, WorkQueue
from strategies import QUICK
from virtual_time import in_virtual_time


def queue(refresh_limit: int = 2) -> WorkQueue:
    """A queue without jitter: each back-off is as long as its ceiling."""
    return WorkQueue(refresh_limit, lambda _, most: most, asyncio.get_running_loop().time)


async def idle(waiting: WorkQueue) -> bool:
    """Whether nothing can run now."""
    try:
        async with asyncio.timeout(0.001):
            key = await waiting.get()
    except TimeoutError:
        return True
    waiting.done(key)
    return False


steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(Priority),
        st.sampled_from(["", "one", "two"]),
        st.sampled_from([0.0, 0.3, 1.1]),
    ),
    max_size=25,
)
ends = st.lists(st.sampled_from(["done", "retry", "later"]), min_size=1, max_size=10)


@QUICK
@given(steps, ends)
def test_no_key_runs_twice_at_once_and_none_is_forgotten(
    asked: list[tuple[str, Priority, str, float]], endings: list[str]
) -> None:
    _interleaved(asked, endings)


@in_virtual_time
async def _interleaved(asked: list[tuple[str, Priority, str, float]], endings: list[str]) -> None:
    waiting, running = queue(refresh_limit=1), Counter[str]()
    seen: dict[str, int] = {}

    async def work() -> None:
        for turn in range(10_000):
            key = await waiting.get()
            running[key] += 1
            assert running[key] == 1
            seen[key] = clock[0]
            await asyncio.sleep(0.2)
            running[key] -= 1
            match endings[turn] if turn < len(endings) else "done":
                case "done":
                    waiting.done(key)
                case "retry":
                    waiting.retry(key, 0.0, 600.0)
                case _:
                    waiting.later(key, 0.7)

    clock = [0]
    workers = [asyncio.create_task(work()) for _ in range(3)]
    last: dict[str, int] = {}
    for key, lane, asker, pause_s in asked:
        clock[0] += 1
        waiting.add(key, lane, asker)
        last[key] = clock[0]
        await asyncio.sleep(pause_s)
    await asyncio.sleep(5000)
    assert [each for each in workers if each.done()] == []
    assert (waiting.depth, waiting.delayed, waiting.active) == (0, 0, 0)
    assert {key for key, at in last.items() if seen.get(key, 0) < at} == set()
    assert waiting._items == {}
    assert waiting._fair[Priority.USER]._queues == {}
    for each in workers:
        each.cancel()


@in_virtual_time
async def test_users_go_before_refreshes_before_sweeps() -> None:
    waiting = queue()
    for key, lane in (("s", Priority.SWEEP), ("r", Priority.REFRESH), ("u", Priority.USER), ("u2", Priority.USER)):
        waiting.add(key, lane)
    assert [await waiting.get() for _ in range(4)] == ["u", "u2", "r", "s"]


@in_virtual_time
async def test_changes_without_end_do_not_keep_refreshes_and_sweeps_waiting_for_ever() -> None:
    waiting = queue()
    waiting.add("s", Priority.SWEEP)
    await asyncio.sleep(1)
    waiting.add("r", Priority.REFRESH)
    order = []
    for count in range(4 * AHEAD):
        for more in range(2):
            waiting.add(f"u{count}-{more}", Priority.USER, "a")
        key = await waiting.get()
        order.append(key[0])
        waiting.done(key)
    assert "".join(order[: 2 * AHEAD + 2]) == "u" * AHEAD + "s" + "u" * AHEAD + "r"


@in_virtual_time
async def test_a_waiting_key_moves_up_but_never_down() -> None:
    waiting = queue()
    waiting.add("a", Priority.SWEEP)
    waiting.add("b", Priority.REFRESH)
    waiting.add("a", Priority.USER)
    waiting.add("a", Priority.SWEEP)
    assert waiting.depth == 2
    assert [await waiting.get() for _ in range(2)] == ["a", "b"]


@in_virtual_time
async def test_refreshes_leave_room_for_others() -> None:
    waiting = queue(refresh_limit=1)
    for key in "ab":
        waiting.add(key, Priority.REFRESH)
    waiting.add("s", Priority.SWEEP)
    assert [await waiting.get(), await waiting.get()] == ["a", "s"]
    assert await idle(waiting)
    waiting.done("a")
    assert await waiting.get() == "b"


@in_virtual_time
async def test_the_back_off_doubles_up_to_its_limit() -> None:
    waiting, loop = queue(), asyncio.get_running_loop()
    waiting.add("a", Priority.USER)
    pauses = []
    for _ in range(12):
        key = await waiting.get()
        failed_at = loop.time()
        assert waiting.retry(key, 0.0, 600.0) <= 600.0
        await asyncio.sleep(0)
        pending = await waiting.get()
        pauses.append(loop.time() - failed_at)
        waiting.add(pending, Priority.SWEEP)
        waiting._finish(pending)
        waiting._schedule(pending, waiting._items[pending], 0.0)
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600])


@in_virtual_time
async def test_what_the_server_asks_for_is_waited_at_least() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    assert waiting.retry(await waiting.get(), 30.0, 600.0) == 30.0
    await asyncio.sleep(29)
    assert await idle(waiting)
    await asyncio.sleep(1.1)
    assert await waiting.get() == "a"


@in_virtual_time
async def test_a_users_change_ends_a_back_off_and_a_sweep_does_not() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    for _ in range(5):
        waiting.retry(await waiting.get(), 0.0, 600.0)
    waiting.add("a", Priority.SWEEP)
    assert (waiting.delayed, await idle(waiting)) == (1, True)
    waiting.add("a", Priority.USER)
    assert (waiting.delayed, await waiting.get()) == (0, "a")
    assert waiting.retry("a", 0.0, 600.0) == 1.0


@in_virtual_time
async def test_a_users_change_during_a_failing_run_is_tried_at_once() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    key = await waiting.get()
    waiting.add(key, Priority.USER)
    waiting.retry(key, 0.0, 600.0)
    assert await waiting.get() == "a"


@in_virtual_time
async def test_a_sweep_during_a_failing_run_does_not_shorten_its_back_off() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    key = await waiting.get()
    waiting.add(key, Priority.SWEEP)
    waiting.retry(key, 0.0, 600.0)
    assert await idle(waiting)
    assert waiting.delayed == 1


@in_virtual_time
async def test_many_changes_during_a_run_are_one_more_run() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    key = await waiting.get()
    for _ in range(5):
        waiting.add(key, Priority.USER)
    assert waiting.running(key)
    assert waiting.depth == 0
    waiting.done(key)
    assert await waiting.get() == "a"
    waiting.done(key)
    assert await idle(waiting)


@in_virtual_time
async def test_stop_drops_what_waits_and_lets_runs_end() -> None:
    waiting = queue()
    for key in "abc":
        waiting.add(key, Priority.USER)
    running = await waiting.get()
    waiting.retry(await waiting.get(), 0.0, 600.0)
    waiting.add(running, Priority.USER)
    waiting.stop()
    assert (waiting.depth, waiting.delayed, waiting.active) == (0, 0, 1)
    drained = asyncio.create_task(waiting.drained())
    await asyncio.sleep(1)
    assert not drained.done()
    waiting.done(running)
    await drained
    await asyncio.sleep(1000)
    assert await idle(waiting)


@in_virtual_time
async def test_after_stop_a_failed_run_comes_not_back() -> None:
    waiting = queue()
    waiting.add("a", Priority.USER)
    key = await waiting.get()
    waiting.stop()
    waiting.retry(key, 0.0, 600.0)
    waiting.add("b", Priority.USER)
    await asyncio.sleep(1000)
    assert await idle(waiting)


@in_virtual_time
async def test_the_wait_of_the_oldest() -> None:
    waiting = queue()
    assert waiting.oldest_s == 0.0
    waiting.add("a", Priority.SWEEP)
    await asyncio.sleep(7)
    waiting.add("b", Priority.USER)
    assert waiting.oldest_s == pytest.approx(7)
