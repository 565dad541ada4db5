"""Plays kube-proxy for one Service: forwards each connection to the Service's address to one of its backends."""

import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Self

_CHUNK = 65_536
_CONNECT_WITHIN_S = 5


class ServiceProxy:
    """Listens on a Service's cluster IP while it is entered; `backend` gives a port of 127.0.0.1, None for nobody.

    The test bed gives Services addresses of the loopback range, so that nothing leaves the machine.
    """

    def __init__(self, address: str, port: int, backend: Callable[[], int | None]) -> None:
        self._address = (address, port)
        self._backend = backend

    def __enter__(self) -> Self:
        try:
            self._server = _Server(self._address, self._backend)
        except PermissionError as exc:
            told = "or sysctl net.ipv4.ip_unprivileged_port_start=0"
            raise RuntimeError(f"to listen on port {self._address[1]} takes root, {told}") from exc
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], backend: Callable[[], int | None]) -> None:
        self.backend = backend
        super().__init__(address, _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        port = self.server.backend()
        if port is None:
            return
        try:
            behind = socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_WITHIN_S)
        except OSError:
            return
        with behind:
            behind.settimeout(None)
            answers = threading.Thread(target=_pump, args=(behind, self.request), daemon=True)
            answers.start()
            _pump(self.request, behind)
            answers.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes, until an end or a broken connection; the other side is told of it."""
    try:
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
