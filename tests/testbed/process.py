"""A child process that ends when this process ends, even if this process is killed."""

import atexit
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its exit code (negative: killed by that signal) and how long it took."""

    exit_code: int
    seconds: float


class Process:
    """A running child with its output in `log` (appended).

    It has its own session, so that Ctrl-C in the terminal reaches only us and we can stop things in order. It is
    killed by the kernel when our process dies (Linux), and by `atexit` elsewhere.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, directory: Path) -> None:
        with log.open("ab") as output:
            self._child = _spawn(command, environment, output.fileno(), directory)
        self.pid = self._child.pid
        atexit.register(self.kill)

    def wait(self, timeout_s: float) -> int | None:
        """Exit code, or None if it still runs after `timeout_s`."""
        try:
            exit_code = self._child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        atexit.unregister(self.kill)
        return exit_code

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.wait(0)

    def stop(self, grace_s: float = 10) -> Ending:
        """Ask it to end (SIGTERM); after `grace_s` make it end (SIGKILL)."""
        started = time.monotonic()
        if self.exit_code is None:
            self.resume()  # a suspended process would sleep through the signal
            self._child.terminate()
        exit_code = self.wait(grace_s)
        if exit_code is None:
            exit_code = self.kill().exit_code
        return Ending(exit_code, time.monotonic() - started)

    def kill(self) -> Ending:
        """End it at once (SIGKILL), and with it whatever it started itself."""
        started = time.monotonic()
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)  # it leads its session, hence its group
        exit_code = self._child.wait()
        atexit.unregister(self.kill)
        return Ending(exit_code, time.monotonic() - started)

    def suspend(self) -> None:
        """Let it hang: connections stay open, nothing answers (SIGSTOP)."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended process go on (SIGCONT)."""
        self._child.send_signal(signal.SIGCONT)


def clean_environment() -> dict[str, str]:
    """PATH, HOME and LANG of ours and nothing else: no proxy, no kubeconfig, no settings of the developer's shell."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def _spawn(
    command: Sequence[str], environment: Mapping[str, str], output: int, directory: Path
) -> subprocess.Popen[bytes]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,
            # Safe beside threads: the hook calls one C function that is resolved already, and takes no lock.
            preexec_fn=_death_hook(),  # noqa: PLW1509
        )

    return _spawner().submit(start).result()


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    """The one thread that starts children.

    PR_SET_PDEATHSIG speaks of the *thread* that forked: a child started in a worker thread would die with the worker.
    This thread lives as long as the interpreter.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="testbed-spawner")


@functools.cache
def _death_hook() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return die_with_parent
