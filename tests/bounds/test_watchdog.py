"""The ends of the process: the thread and the loop alone, and small whole processes that hang on purpose."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from byoc_operator.process.vitals import THREADS_BEATS, Vital, Vitals
from byoc_operator.process.watchdog import BLOCKED_TICKS, ENDED, ENDING_TICKS, FINISHING_TICKS, Watchdog
from virtual_time import in_virtual_time

DEADLINE_S = 60
VALUE = "sekrit"


class Ends:
    """Records exit codes instead of ending the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def __call__(self, code: int) -> None:
        """Takes the place of `os._exit`."""
        self.codes.append(code)


def watching(ends: Ends, stops: list[str] | None = None) -> Watchdog:
    watchdog = Watchdog(ends)
    watchdog.follow(asyncio.get_running_loop(), lambda: None if stops is None else stops.append("stop"))
    return watchdog


def ticks(watchdog: Watchdog, count: int) -> None:
    for _ in range(count):
        watchdog.tick()


# The thread


@in_virtual_time
async def test_a_loop_that_does_not_turn_is_ended() -> None:
    ends = Ends()
    watchdog = watching(ends)
    for _ in range(3):
        ticks(watchdog, BLOCKED_TICKS - 1)
        watchdog.beat()
    assert ends.codes == []
    ticks(watchdog, BLOCKED_TICKS + 1)
    assert ends.codes[:1] == [ENDED]


@in_virtual_time
async def test_a_process_that_was_told_to_end_and_does_not_is_ended() -> None:
    ends, stops = Ends(), list[str]()
    watchdog = watching(ends, stops)
    watchdog.signalled(signal.SIGTERM)
    await asyncio.sleep(0)
    assert stops == ["stop"]
    for _ in range(ENDING_TICKS):
        watchdog.beat()
        watchdog.tick()
    assert ends.codes == []
    watchdog.tick()
    assert ends.codes == [ENDED]


@in_virtual_time
async def test_a_second_signal_ends_at_once() -> None:
    ends = Ends()
    watchdog = watching(ends)
    watchdog.signalled(signal.SIGTERM)
    watchdog.signalled(signal.SIGINT)
    assert ends.codes == [128 + signal.SIGINT]


@in_virtual_time
async def test_a_signal_that_came_before_the_loop_is_not_lost() -> None:
    watchdog, stops = Watchdog(Ends()), list[str]()
    watchdog.signalled(signal.SIGTERM)
    watchdog.follow(asyncio.get_running_loop(), lambda: stops.append("stop"))
    assert stops == ["stop"]


@in_virtual_time
async def test_the_first_failure_is_the_one_that_is_told(caplog: pytest.LogCaptureFixture) -> None:
    watchdog, stops = Watchdog(Ends()), list[str]()
    watchdog.follow(asyncio.get_running_loop(), lambda: stops.append("stop"))
    watchdog.fail("this")
    watchdog.fail("that, which follows from it")
    await asyncio.sleep(0)
    assert watchdog.failure == "this"
    assert stops[:1] == ["stop"]
    assert [record.getMessage() for record in caplog.records] == ["ending: this"]


@in_virtual_time
async def test_what_is_left_when_all_is_put_away_gets_a_moment() -> None:
    ends = Ends()
    watchdog = watching(ends)
    watchdog.finish()
    ticks(watchdog, FINISHING_TICKS)
    assert ends.codes == []
    watchdog.tick()
    assert ends.codes == [ENDED]


# The loop


@in_virtual_time
async def test_a_vital_part_that_fails_fails_the_process() -> None:
    watchdog, broken = Watchdog(Ends()), list[str]()
    vitals = Vitals(watchdog)
    vitals._vitals = [Vital(lambda: "".join(broken), beats=5)]
    vitals.begin()
    for _ in range(3):
        broken.append("it is broken")
        await asyncio.sleep(4)
        broken.clear()
        await asyncio.sleep(2)
    assert watchdog.failure == ""
    broken.append("it is broken")
    await asyncio.sleep(10)
    assert watchdog.failure == "it is broken"
    vitals.end()


@in_virtual_time
async def test_a_look_that_fails_fails_the_process() -> None:
    def look() -> str:
        raise KeyError(VALUE)

    watchdog = Watchdog(Ends())
    vitals = Vitals(watchdog)
    vitals._vitals = [Vital(look)]
    vitals.begin()
    assert watchdog.failure == "a look at what is vital failed: KeyError"
    vitals.end()


async def test_threads_that_are_all_stuck_fail_the_process() -> None:
    watchdog, free = Watchdog(Ends()), threading.Event()
    loop = asyncio.get_running_loop()
    for _ in range(64):
        loop.run_in_executor(None, free.wait)
    vitals = Vitals(watchdog)
    for _ in range(THREADS_BEATS):
        vitals._look()
    assert watchdog.failure == ""
    for _ in range(3):
        vitals._look()
    assert "no thread has been free" in watchdog.failure
    free.set()


async def test_free_threads_are_no_failure() -> None:
    watchdog = Watchdog(Ends())
    vitals = Vitals(watchdog)
    for _ in range(2 * THREADS_BEATS):
        vitals._look()
        while vitals._asked is not None and not vitals._asked.done():  # noqa: ASYNC110 - a thread answers, not a task
            await asyncio.sleep(0.001)
    assert watchdog.failure == ""


@pytest.fixture
async def vitals() -> Any:
    made = Vitals(Watchdog(Ends()))
    made.begin()
    yield made
    made.end()


async def test_an_error_in_a_callback_is_told_once_and_counted(
    vitals: Vitals, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError(VALUE)

    for _ in range(3):
        asyncio.get_running_loop().call_soon(fails)
        await asyncio.sleep(0)
    assert vitals.unhandled == 3
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "ValueError in a callback" in record.getMessage()
    assert "in fails" in record.getMessage()
    assert VALUE not in caplog.text


async def test_an_error_of_a_task_that_nobody_waits_for_is_told(
    vitals: Vitals, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise ValueError(VALUE)

    task = asyncio.create_task(fails(), name="forgotten")
    await asyncio.sleep(0.01)
    del task
    assert vitals.unhandled == 1
    assert "ValueError in forgotten" in caplog.text
    assert VALUE not in caplog.text


async def test_what_a_peer_does_to_its_connection_is_no_bug(vitals: Vitals, caplog: pytest.LogCaptureFixture) -> None:
    context = {"message": "SSL handshake failed", "exception": ConnectionResetError(), "transport": object()}
    asyncio.get_running_loop().call_exception_handler(context)
    assert (vitals.unhandled, caplog.records) == (0, [])


async def test_no_memory_fails_the_process(vitals: Vitals) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "m", "exception": MemoryError()})
    assert vitals._watchdog.failure == "out of memory in a callback"


# Whole processes

PROGRAM = """
import asyncio, logging, os, re, signal, sys, threading, time
from byoc_operator.process import watchdog as module
from byoc_operator.telemetry.logs import set_up
from byoc_operator.process.vitals import Vitals

module.BLOCKED_TICKS, module.ENDING_TICKS, module.FINISHING_TICKS, module.BLOCKED_CPU_S = 12, 4, 3, 6.0
module.TICK_S = 0.3
set_up(as_json=True, level="INFO")
dog = module.Watchdog()
dog.start()

async def life(stop):
    await stop.wait()

async def run():
    stop = asyncio.Event()
    vitals = Vitals(dog)
    dog.follow(asyncio.get_running_loop(), stop.set)
    vitals.begin()
    print("begun", flush=True)
    try:
        await life(stop)
    finally:
        vitals.end()
        dog.finish()
{}
asyncio.run(run())
sys.exit(bool(dog.failure))
"""


@contextmanager
def program(text: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that lives as `life` says, begun."""
    code = PROGRAM.format(textwrap.dedent(text))
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "begun\n"
            yield running
        finally:
            running.kill()


def last_line(running: subprocess.Popen[str]) -> str:
    """Wait for the end; the message of the last line of the log."""
    told = running.communicate(timeout=DEADLINE_S)[1]
    return str(json.loads(told.splitlines()[-1])["message"])


def test_a_process_that_ends_when_it_is_told_to_ends_well() -> None:
    with program() as running:
        running.terminate()
        assert last_line(running) == "SIGTERM: ending"
        assert running.returncode == 0


def test_a_blocked_loop_ends_the_process_with_a_line_that_says_where() -> None:
    blocked = """
        async def life(stop):
            time.sleep(1000)
        """
    with program(blocked) as running:
        assert "the event loop has not turned" in (line := last_line(running))
        assert "in life (" in line
        assert running.returncode == ENDED


def test_code_that_lets_no_thread_run_is_ended_by_the_kernel() -> None:
    blocked = """
        async def life(stop):
            re.match("(a+)+$", "a" * 60 + "b")
        """
    with program(blocked) as running:
        told = running.communicate(timeout=DEADLINE_S)[1]
        assert running.returncode == signal.SIGPROF, "not -SIGPROF: a container's first process has no default action"
        assert "in life" in told


@pytest.mark.parametrize(
    "hanging",
    [
        "async def life(stop):\n    await asyncio.Event().wait()",
        "async def life(stop):\n    await stop.wait()\n    await asyncio.Event().wait()",
        "async def life(stop):\n    await stop.wait()\n    threading.Thread(target=time.sleep, args=(1000,)).start()",
        "async def life(stop):\n    dog._loop.run_in_executor(None, time.sleep, 99)\n    await stop.wait()",
        """
async def stubborn():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
async def life(stop):
    task = asyncio.create_task(stubborn())
    await stop.wait()
""",
    ],
    ids=["deaf", "cleaning up", "a thread", "an executor's thread", "a task that cannot be cancelled"],
)
def test_whatever_hangs_a_signal_ends_the_process(hanging: str) -> None:
    with program(hanging) as running:
        running.terminate()
        assert "not ended in time" in last_line(running)
        assert running.returncode == ENDED


def test_a_second_signal_ends_a_process_that_hangs_at_once() -> None:
    with program("async def life(stop):\n    dog._begin_to_end(10**6)\n    await asyncio.Event().wait()") as running:
        for _ in range(2):
            running.terminate()
            time.sleep(0.2)
        assert last_line(running) == "ended: a second signal, SIGTERM"
        assert running.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("method", ["tick", "signalled"])
def test_a_dead_thread_of_the_watchdog_ends_the_process(method: str) -> None:
    dying = f"""
        def dies(self, *args, real=module.Watchdog.{method}):
            if threading.current_thread().name.startswith("watchdog"):
                raise SystemExit
            real(self, *args)
        module.Watchdog.{method} = dies
        async def life(stop):
            await asyncio.Event().wait()
        """
    with program(dying) as running:
        running.terminate()
        assert "not ended in time after a thread of the watchdog has ended" in last_line(running)
        assert running.returncode == ENDED


def test_a_suspended_process_is_not_blocked() -> None:
    with program() as running:
        os.kill(running.pid, signal.SIGSTOP)
        time.sleep(5)  # seventeen ticks, had it run
        os.kill(running.pid, signal.SIGCONT)
        time.sleep(1)
        assert running.poll() is None
        running.terminate()
        assert last_line(running) == "SIGTERM: ending"
        assert running.returncode == 0


def test_a_log_that_nobody_reads_does_not_keep_a_process_alive() -> None:
    """A pipe that is full blocks the loop in the middle of a line, with the lock of the log in its hands."""
    flooding = """
        async def life(stop):
            while True:
                logging.getLogger("byoc_operator").error("x" * 4096)
        """
    with program(flooding) as running:
        assert running.wait(DEADLINE_S) == ENDED
