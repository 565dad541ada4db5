"""An HTTP proxy on 127.0.0.1 that opens tunnels (CONNECT), in a thread of its own so that tests may block."""

import base64
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Self

_CHUNK = 65_536
_WITHIN_S = 10
_MAX_HEAD = 16_384


class ConnectProxy:
    """Listens on `port` while it is entered.

    `login`: `user:password` that clients must send; empty: none. `status`: answer to every CONNECT, such as 403.
    `tunnels`: `host:port` of each tunnel that was opened; `refused`: of each that was not.
    """

    def __init__(self, login: str = "", status: int = 200) -> None:
        self.tunnels: list[str] = []
        self.refused: list[str] = []
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._status = status

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self.answer)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str, authorization: str) -> int:
        """The status for a CONNECT to `target` with this Proxy-Authorization."""
        status = 407 if authorization != self._wanted else self._status
        (self.tunnels if status == 200 else self.refused).append(target)
        return status


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], answer: Callable[[str, str], int]) -> None:
        self.answer = answer
        super().__init__(address, _Connection)


class _Connection(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        head = b""
        self.request.settimeout(_WITHIN_S)
        while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
            if not (part := self.request.recv(_CHUNK)):
                return
            head += part
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, _ = first.split(" ")
        status = 405 if method != "CONNECT" else self.server.answer(target, headers.get("proxy-authorization", ""))
        self.request.sendall(f"HTTP/1.1 {status} told\r\n\r\n".encode())
        if status == 200:
            self._tunnel(target)

    def _tunnel(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_WITHIN_S) as behind:
            for each in (self.request, behind):
                each.settimeout(None)
            back = threading.Thread(target=_copy, args=(behind, self.request), daemon=True)
            back.start()
            _copy(self.request, behind)
            back.join(_WITHIN_S)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while part := source.recv(_CHUNK):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # one side hung up
        return
