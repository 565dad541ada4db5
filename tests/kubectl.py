"""`kubectl byoc` on a cluster in memory."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner, Result

from byoc_operator.cli.kubectl_byoc import kubectl_byoc
from byoc_operator.cli.outside import Outside
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import FakeApi, Refuse
from byoc_operator.core.credential_values import field_of
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, keys_in
from operated import NAMESPACE, PASSWORD, SYSTEM, USER
from rooms_played import RoomsPlayed

FORBIDDEN = Refuse(403, "you may not")


class Cluster:
    """A cluster in memory with sealing keys, and the command line on it.

    `around`: what else the commands find, as `Outside` has it; no environment variable unless a test says so.
    """

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.api = FakeApi(lambda: self.now)
        self.ring = KeyRing.generate()
        self.waited: list[float] = []
        self.rooms = RoomsPlayed()
        self.around: dict[str, Any] = {"environ": {}, "rooms": lambda _: self.rooms}
        self.meanwhile: Callable[[], object] = lambda: None
        self.put(self.ring)

    def put(self, ring: KeyRing) -> None:
        self.api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: ring.text()}, watched=False)

    def run(self, *args: str, stdin: str | bytes = "") -> Result:
        async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
            return self.api, "from-context"

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)
            self.now += seconds
            self.meanwhile()
            await asyncio.sleep(0)  # a signal is handled between two steps of the loop

        outside = Outside(connect, lambda: self.now, sleep, **self.around)
        result = CliRunner().invoke(kubectl_byoc, args, input=stdin, obj=outside)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert PASSWORD not in result.output
        assert not any(key in result.output for key in self.stored().text().split())
        return result

    def stored(self) -> KeyRing:
        return keys_in(self.api._objects["secrets", SYSTEM, KEYS_SECRET])

    def keys_written(self, *ago_s: float) -> None:
        """The keys were last written so many seconds ago, by one writer each."""
        times = [datetime.fromtimestamp(self.now - each, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in ago_s]
        fields = [{"manager": "m", "operation": "Update", "time": each} for each in times]
        self.api._objects["secrets", SYSTEM, KEYS_SECRET]["metadata"]["managedFields"] = fields

    def sealed_secret(self, name: str, ring: KeyRing | None = None, *, watched: bool = True) -> None:
        sealing = ring or self.ring
        values = {key: sealing.seal(text, NAMESPACE, field_of(key)) for key, text in CREDENTIALS.items()}
        self.api.put_secret(NAMESPACE, name, values, watched=watched)

    def value(self, name: str, key: str = "password") -> str:
        data = self.api._objects["secrets", NAMESPACE, name]["data"]
        return base64.b64decode(data[key]).decode()


CREDENTIALS = {"username": USER, "password": PASSWORD}
