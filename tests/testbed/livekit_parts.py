"""Redis and livekit-server. livekit-sip is not needed: trunks and rules are rows that livekit-server keeps in Redis."""

import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from testbed import tools
from testbed.http_probe import get
from testbed.part import Part, free_port, write_private
from testbed.tool import Tool

_RTP_PORTS = (19_000, 19_999)
"""No test sends media, so nothing is ever bound there and two beds may share the range."""


class Redis(Part):
    """Where LiveKit keeps trunks and rules; `persistent=False` loses them with every stop."""

    name = "redis"

    def __init__(self, parent: Path, *, persistent: bool = True) -> None:
        super().__init__(tools.find(tools.REDIS_SERVER), parent)
        self._persistent = persistent

    def choose_ports(self) -> None:
        self.port = free_port()

    def arguments(self) -> list[str]:
        return [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.directory),
            "--appendonly",
            "no",
            "--save",
            # A snapshot one second after a change: a crash loses no more than that.
            *(("1", "1") if self._persistent else ("",)),
        ]

    def is_ready(self) -> bool:
        # "-LOADING" while it reads its snapshot.
        return self._answer("PING", timeout_s=1) == "+PONG"

    def save(self) -> None:
        """Write the snapshot now, so that a crash right after this loses nothing."""
        deadline = time.monotonic() + 10
        while (answer := self._answer("SAVE", timeout_s=10)) != "+OK":
            # Redis may be saving a snapshot by itself at this moment.
            if "in progress" not in answer or time.monotonic() > deadline:
                raise RuntimeError(f"Redis did not save: {answer}")
            time.sleep(0.05)

    def _answer(self, command: str, timeout_s: float) -> str:
        """First line of its answer to an inline command; empty when it is not there."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
                connection.sendall(f"{command}\r\n".encode())
                with connection.makefile("r") as lines:
                    return lines.readline().strip()
        except OSError:
            return ""


class LiveKit(Part):
    """livekit-server with one API key; `url`, `key` and `secret` are what a client needs."""

    name = "livekit-server"
    key = "devkey"

    def __init__(self, parent: Path, redis: Redis, tool: Tool = tools.LIVEKIT_SERVER) -> None:
        super().__init__(tools.find(tool), parent)
        self._redis = redis
        self.secret = secrets.token_hex(32)  # LiveKit warns below 32 characters

    def choose_ports(self) -> None:
        self.port = free_port()
        self._rtc_port = free_port()

    @property
    def url(self) -> str:
        """Address for API clients."""
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        settings = {
            "port": self.port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {self.key: self.secret},
            "redis": {"address": f"127.0.0.1:{self._redis.port}"},
            "rtc": {
                "tcp_port": self._rtc_port,
                "port_range_start": _RTP_PORTS[0],
                "port_range_end": _RTP_PORTS[1],
                # Loopback only: otherwise it asks a STUN server on the internet for its address.
                "use_external_ip": False,
                "node_ip": "127.0.0.1",
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
            },
        }
        path = write_private(self.directory / "livekit.yaml", yaml.safe_dump(settings))
        return [f"--config={path}"]

    def is_ready(self) -> bool:
        # 406 while Redis is away.
        return get(self.port, "/").status == 200


@contextmanager
def livekit_alone(directory: Path) -> Iterator[LiveKit]:
    """LiveKit with its Redis and no Kubernetes: ready in a quarter of a second, for contract tests."""
    redis = Redis(directory)
    try:
        redis.start()
        livekit = LiveKit(directory, redis)
        try:
            livekit.start()
            yield livekit
        finally:
            livekit.stop()
    finally:
        redis.stop()
