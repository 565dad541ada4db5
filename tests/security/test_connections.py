"""Connections that are held open to the ports of the real operator: nobody else notices, and memory is bounded."""

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from integration.deployment import Deployment
from integration.scene import Scene
from testbed.http_probe import get
from testbed.operator_process import OperatorProcess
from testbed.part import free_port

HELD = 400
GROWTH_MB = 40.0


class Held:
    """Connections that are held open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []

    def hold(self, count: int, *, tls: bool, sent: bytes = b"") -> None:
        """Open so many, each with a whole handshake if `tls`; those that are closed at once count as well."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for _ in range(count):
            held = socket.create_connection(("127.0.0.1", self._port), timeout=10)
            with contextlib.suppress(OSError):
                held = context.wrap_socket(held) if tls else held
                held.sendall(sent)
            self._sockets.append(held)

    def all_closed(self) -> bool:
        """Whether the other side has closed all of them."""
        return all(_closed(held) for held in self._sockets)

    def leave(self) -> None:
        """Close them."""
        for held in self._sockets:
            held.close()


def _closed(held: socket.socket) -> bool:
    held.settimeout(0.001)
    try:
        while held.recv(65536):
            pass
    except (TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:
        pass
    return True


@pytest.fixture(scope="module")
def admission_port() -> int:
    return free_port()


@pytest.fixture
def sealing(stage: Scene, deployment: Deployment, admission_port: int) -> Scene:
    """An operator that also listens for the API server."""
    deployment.ensure(
        {
            "BYOC_ADMISSION": "true",
            "BYOC_ADMISSION_PORT": str(admission_port),
            "BYOC_ADMISSION_SERVICE": "byoc-operator-admission.byoc-system.svc,127.0.0.1",
        }
    )
    stage.until(lambda: _ready(admission_port), "the webhook is ready")
    return stage


def _ready(port: int) -> bool:
    return get(port, "/readyz", any_certificate=True).status == 200


@pytest.fixture
def holding(sealing: Scene, admission_port: int, request: pytest.FixtureRequest) -> Iterator[Held]:
    process = sealing.deployment.process
    made = Held(admission_port if request.param == "admission" else process.port)
    yield made
    made.leave()


def _well(process: OperatorProcess, admission_port: int) -> None:
    assert get(process.port, "/healthz").status == 200
    assert get(process.port, "/readyz").status == 200
    assert _ready(admission_port)


@pytest.mark.parametrize("holding", ["admission", "http"], indirect=True)
@pytest.mark.parametrize("sent", [b"", b"GET /readyz HTTP/1.1\r\nHost: a\r\n"], ids=["idle", "half a head"])
def test_held_connections_cost_little_and_keep_nobody_out(
    sealing: Scene, holding: Held, admission_port: int, sent: bytes
) -> None:
    process = sealing.deployment.process
    before = process.rss_mb()
    holding.hold(HELD, tls=holding._port == admission_port, sent=sent)
    _well(process, admission_port)
    sealing.number()
    sealing.ready(within_s=10)
    assert process.rss_mb() - before < GROWTH_MB
    sealing.until(holding.all_closed, "all are closed", within_s=30)
    _well(process, admission_port)


@pytest.mark.parametrize("holding", ["admission"], indirect=True)
def test_handshakes_that_nobody_goes_on_with_keep_nobody_out(
    sealing: Scene, holding: Held, admission_port: int
) -> None:
    process = sealing.deployment.process
    holding.hold(HELD, tls=False, sent=b"\x16\x03\x01\x02\x00\x01")
    _well(process, admission_port)
    sealing.until(holding.all_closed, "all are closed", within_s=30)


@pytest.mark.parametrize("holding", ["http"], indirect=True)
@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"400"),
        (b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n", b"400"),
    ],
    ids=["POST", "POST of a body", "HEAD", "a body", "a long line", "many headers"],
)
def test_what_no_probe_sends_is_refused(holding: Held, request_line: bytes, status: bytes) -> None:
    holding.hold(1, tls=False, sent=request_line)
    assert holding._sockets[0].recv(65536).split()[1] == status
