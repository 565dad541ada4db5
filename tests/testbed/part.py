"""A server of the test bed: free ports, readiness with a deadline, stop and start again on the same port and data."""

import os
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from testbed.process import Ending, Process, clean_environment

_POLL_S = 0.05
_PORTS = range(20_000, 32_000)
_LOG_TAIL_LINES = 15
_taken: set[int] = set()
_taking = threading.Lock()


class NotReady(RuntimeError):
    """A part did not come up; the message holds the end of its log."""


class AddressInUse(NotReady):
    """Another process has taken one of the part's ports."""


def free_port() -> int:
    """A free TCP port below the range that the system gives to outgoing connections.

    Not `bind(0)`: that port comes out of the outgoing range. While a part is down on purpose, its clients keep
    dialling its port, and one of these calls may be given that very port as its own: it is then connected to itself,
    and the part cannot come back.
    """
    with _taking:
        for _ in range(1000):
            port = _PORTS[secrets.randbelow(len(_PORTS))]
            if port not in _taken and _bindable(port):
                _taken.add(port)
                return port
    raise RuntimeError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def _bindable(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Part(ABC):
    """One server with its own folder below `parent`: data, settings and `<name>.log`.

    `start` may be called again after `stop` or `kill`: same ports, same data.
    """

    name: str
    ready_within_s: float = 300
    """Generous: a loaded build machine needs ten times what an idle one does."""
    stop_within_s: float = 10

    def __init__(self, program: Path, parent: Path) -> None:
        self._program = program
        self.directory = parent / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / f"{self.name}.log"
        self._process: Process | None = None
        self._ever_ready = False
        self.choose_ports()

    @abstractmethod
    def choose_ports(self) -> None:
        """Take free ports; called again when one was gone by the time of the first start."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """Command line after the program; writes the files it names. No secrets: everybody may read it."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers as it should; False, never an exception, while it does not."""

    def start(self) -> None:
        """Start it and wait until it is ready. Raises NotReady."""
        try:
            self._start()
        except AddressInUse:
            if self._ever_ready:
                time.sleep(1)  # Other parts know the port already, so wait until the other process gives it back.
            else:
                self.choose_ports()
            self._start()
        self._ever_ready = True

    def stop(self) -> Ending | None:
        """Stop it (SIGTERM, then SIGKILL); None if it did not run."""
        process, self._process = self._process, None
        return process.stop(self.stop_within_s) if process else None

    def kill(self) -> Ending | None:
        """Crash it (SIGKILL); None if it did not run."""
        process, self._process = self._process, None
        return process.kill() if process else None

    @property
    def process(self) -> Process:
        """The running process, to suspend it or to ask for its id."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process

    def environment(self) -> Mapping[str, str]:
        """Environment of the process."""
        return clean_environment() | {"HOME": str(self.directory)}

    def _start(self) -> None:
        if self._process is not None:
            raise RuntimeError(f"{self.name} runs already")
        log_start = self.log.stat().st_size if self.log.exists() else 0
        command = [str(self._program), *self.arguments()]
        self._process = Process(command, environment=self.environment(), log=self.log, directory=self.directory)
        try:
            self._wait_ready(self._process, log_start)
        except BaseException:
            self.kill()
            raise

    def _wait_ready(self, process: Process, log_start: int) -> None:
        deadline = time.monotonic() + self.ready_within_s
        while not self.is_ready():
            if (exit_code := process.exit_code) is not None:
                kind = AddressInUse if "address already in use" in self._log_since(log_start).lower() else NotReady
                raise kind(f"{self.name} ended with {exit_code}\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} not ready after {self.ready_within_s:.0f} s\n{self._log_tail()}")
            time.sleep(_POLL_S)

    def _log_since(self, position: int) -> str:
        with self.log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _log_tail(self) -> str:
        return "\n".join([str(self.log), *self._log_since(0).splitlines()[-_LOG_TAIL_LINES:]])


def write_private(path: Path, text: str) -> Path:
    """Write a file that only we can read; never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return path
