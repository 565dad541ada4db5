"""Fixtures of the test bed. A run without a test that asks for one starts nothing."""

import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.bed import Bed
from testbed.livekit_parts import LiveKit, livekit_alone

_STARTING_PARTS = frozenset({"bed", "livekit_server"})
_directories = pytest.StashKey[list[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_directories] = []
    if not hasattr(config, "workerinput") and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts what it runs in the background so, and children inherit it: no command would hear Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the bed, so that `-m "not bed"` is the quick run and no test can forget the mark."""
    for item in items:
        if _STARTING_PARTS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.bed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for directory in config.stash[_directories]:
        if directory.exists():
            terminalreporter.write_line(f"logs of the test bed: {directory}")


@pytest.fixture(scope="session")
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The whole test bed, which all tests of a run share."""
    directory = tmp_path_factory.mktemp("bed")
    with _kept_on_failure(request, directory), Bed.start(directory) as running:
        yield running


@pytest.fixture(scope="session")
def livekit_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKit]:
    """A LiveKit with its own Redis and no Kubernetes."""
    directory = tmp_path_factory.mktemp("livekit")
    with _kept_on_failure(request, directory), livekit_alone(directory) as running:
        yield running


@pytest.fixture
def namespace(bed: Bed) -> Iterator[str]:
    """A new namespace. It is deleted afterwards, without waiting."""
    name = f"test-{secrets.token_hex(4)}"
    bed.kubectl("create", "namespace", name)
    yield name
    bed.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def _kept_on_failure(request: pytest.FixtureRequest, directory: Path) -> Iterator[None]:
    """Remove the directory afterwards; after a failed test it stays, because of its logs."""
    request.config.stash[_directories].append(directory)
    yield
    if not request.session.testsfailed:
        shutil.rmtree(directory)
