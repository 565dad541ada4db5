"""Where Kubernetes' programs cannot be downloaded, this is known at once and said in one line."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from testbed import envtest, tools
from unit.testbed.machines import Machine, entered

pytestmark = pytest.mark.slow

OTHER_VERSIONS = (
    b"releases:\n  v1.36.0:\n    envtest-v1.36.0-linux-amd64.tar.gz: {hash: 00, selfLink: http://127.0.0.1/}\n"
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that may download, with a Go that notes whether anything is built."""
    machine = entered(Machine(tmp_path), monkeypatch)
    machine.has_go()
    envtest._folder.cache_clear()
    monkeypatch.delenv(envtest.ALLOWED)
    monkeypatch.setattr(envtest, "_ANSWER_WITHIN_S", 0.5)
    return machine


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of an index that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.yaml"
        server.shutdown()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/index.yaml"


@contextmanager
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield f"http://127.0.0.1:{port}/index.yaml"


@contextmanager
def no_address() -> Iterator[str]:
    """A word in place of an address."""
    yield "mirror"


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (lambda: answering(403, b"no"), "Forbidden"),
        (lambda: answering(200, OTHER_VERSIONS), "lists no version 1.37"),
        (lambda: answering(200, b""), "lists no version 1.37"),
        (silent, "timed out"),
        (nobody, "Connection refused"),
        (no_address, "unknown url type"),
    ],
    ids=["refused", "other versions", "empty", "silent", "nobody", "no address"],
)
def test_a_download_that_is_not_to_be_had_is_one_line(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], index: object, reason: str
) -> None:
    assert callable(index)
    with index() as address:
        monkeypatch.setenv(envtest.INDEX, address)
        assert [envtest.download(tool) for tool in (tools.ETCD, tools.KUBE_APISERVER, tools.KUBECTL)] == [None] * 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Kubernetes' programs are not downloaded (")
    assert reason in line
    assert not machine.go_calls.exists()


def test_a_download_may_be_forbidden(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(200, b"envtest-v1.37.0-linux-amd64.tar.gz") as address:
        monkeypatch.setenv(envtest.INDEX, address)
        monkeypatch.setenv(envtest.ALLOWED, "no")
        assert envtest.download(tools.KUBE_APISERVER) is None
    assert "BYOC_TESTBED_DOWNLOAD forbids it" in capsys.readouterr().err
    assert not machine.go_calls.exists()


def test_what_no_archive_holds_is_not_asked_for(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert [envtest.download(tool) for tool in (tools.LIVEKIT_SERVER, tools.KUBE_CONTROLLER_MANAGER)] == [None, None]
    assert capsys.readouterr().err == ""
    assert not machine.go_calls.exists()
