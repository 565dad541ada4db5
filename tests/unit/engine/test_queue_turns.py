"""Namespaces take turns in the work queue."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.engine.priority import Priority
from byoc_operator.engine.queue import WorkQueue
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


async def taken(waiting: WorkQueue, count: int) -> list[str]:
    """The next keys, each run at once and with success."""
    keys = []
    for _ in range(count):
        keys.append(await waiting.get())
        waiting.done(keys[-1])
    return keys


@in_virtual_time
async def test_thousands_of_one_namespace_delay_another_by_no_more_than_one_run() -> None:
    waiting = queue()
    for count in range(5000):
        waiting.add(f"a{count}", Priority.USER, "a")
    assert await taken(waiting, 3) == ["a0", "a1", "a2"]
    waiting.add("b0", Priority.USER, "b")
    assert "b0" in await taken(waiting, 2)
    assert waiting.depth == 4996


@in_virtual_time
async def test_within_a_namespace_keys_keep_their_order_and_run_once() -> None:
    waiting = queue()
    for key in ("a0", "a1", "b0", "a0", "a2", "b1", "b0", "a1"):
        waiting.add(key, Priority.USER, key[0])
    assert waiting.depth == 5
    keys = await taken(waiting, 5)
    assert [key for key in keys if key[0] == "a"] == ["a0", "a1", "a2"]
    assert [key for key in keys if key[0] == "b"] == ["b0", "b1"]
    assert await idle(waiting)


@QUICK
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), max_size=60))
def test_nobody_waits_for_more_turns_than_there_are_namespaces(asked: list[tuple[str, int]]) -> None:
    _in_turns(asked)


@in_virtual_time
async def _in_turns(asked: list[tuple[str, int]]) -> None:
    waiting = queue()
    wanted = list(dict.fromkeys((asker, f"{asker}{number}") for asker, number in asked))
    for asker, key in wanted:
        waiting.add(key, Priority.USER, asker)
    rows = [[key for asker, key in wanted if asker == each] for each in dict.fromkeys(asker for asker, _ in wanted)]
    longest = max(map(len, rows), default=0)
    rounds = [[row[turn] for row in rows if turn < len(row)] for turn in range(longest)]
    assert await taken(waiting, len(wanted)) == [key for each in rounds for key in each]


@in_virtual_time
async def test_who_asks_for_anothers_key_does_not_put_it_behind_its_own() -> None:
    """Any user can name the phone number of another user in an object."""
    waiting = queue()
    for count in range(50):
        waiting.add(f"a{count}", Priority.USER, "a")
    waiting.add("shared", Priority.USER, "a")
    waiting.add("shared", Priority.USER, "b")
    assert "shared" in await taken(waiting, 2)
    assert "shared" not in await taken(waiting, 49)
    assert await idle(waiting)


@in_virtual_time
async def test_a_key_that_comes_back_by_itself_waits_in_the_row_of_who_asked() -> None:
    waiting = queue()
    waiting.add("b0", Priority.USER, "b")
    waiting.later(await waiting.get(), 1.0)
    waiting.add("b1", Priority.USER, "b")
    waiting.park(await waiting.get())
    for count in range(50):
        waiting.add(f"a{count}", Priority.USER, "a")
    waiting.unpark()
    await asyncio.sleep(1.1)
    assert {"b0", "b1"} < set(await taken(waiting, 4))


@in_virtual_time
async def test_who_asks_during_a_run_gets_the_next_one_at_its_turn() -> None:
    waiting = queue()
    waiting.add("shared", Priority.USER, "a")
    key = await waiting.get()
    for count in range(50):
        waiting.add(f"a{count}", Priority.USER, "a")
    waiting.add(key, Priority.USER, "b")
    waiting.done(key)
    assert "shared" in await taken(waiting, 2)
    assert "shared" not in await taken(waiting, 49)


@in_virtual_time
async def test_refreshes_and_sweeps_wait_for_all_namespaces() -> None:
    waiting = queue()
    waiting.add("s", Priority.SWEEP)
    waiting.add("r", Priority.REFRESH, "c")
    for key in ("a0", "a1", "b0"):
        waiting.add(key, Priority.USER, key[0])
    assert await taken(waiting, 5) == ["a0", "b0", "a1", "r", "s"]


@in_virtual_time
async def test_a_sweeps_key_that_a_user_changes_moves_up_into_the_users_row() -> None:
    waiting = queue()
    waiting.add("b0", Priority.SWEEP)
    for count in range(50):
        waiting.add(f"a{count}", Priority.USER, "a")
    waiting.add("b0", Priority.USER, "b")
    assert "b0" in await taken(waiting, 2)


@in_virtual_time
async def test_what_can_wait_shares_a_limit_that_moves_and_users_do_not() -> None:
    limit = 1
    waiting = queue()
    waiting.paced_limit = lambda: limit
    for index in range(3):
        waiting.add(f"s{index}", Priority.SWEEP)
        waiting.add(f"f{index}", Priority.FOLLOW, "a")
    assert await waiting.get() == "f0"
    assert await idle(waiting)
    waiting.add("u", Priority.USER, "b")
    assert await waiting.get() == "u"
    limit = 3
    assert await taken(waiting, 2) == ["f1", "f2"]
    waiting.done("f0")
    assert await waiting.get() == "s0"
    limit = 1
    assert await idle(waiting)
    waiting.done("s0")
    assert await waiting.get() == "s1"


@in_virtual_time
async def test_what_follows_from_one_change_takes_turns_with_other_namespaces() -> None:
    waiting = queue()
    for index in range(50):
        waiting.add(f"a{index}", Priority.FOLLOW, "a")
    waiting.add("b0", Priority.FOLLOW, "b")
    waiting.add("a7", Priority.USER, "a")
    assert await taken(waiting, 4) == ["a7", "a0", "b0", "a1"]


@in_virtual_time
async def test_what_follows_from_one_change_and_must_come_back_waits_there_again() -> None:
    waiting = queue()
    waiting.add("f", Priority.FOLLOW, "a")
    waiting.later(await waiting.get(), 1.0)
    await asyncio.sleep(1.1)
    waiting.paced_limit = lambda: 0
    assert await idle(waiting)
