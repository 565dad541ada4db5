"""The Secret with the sealing keys, which is never overwritten, and the keys that the operator has read from it."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..api.conditions import Reason, Verdict
from ..api.encoding import from_base64, to_base64
from ..cluster.answers import ApiRefused, Conflict, NotFound
from ..cluster.port import JsonApi
from ..cluster.reading import Unreadable
from ..core.credential_values import Field
from ..core.credentials import KEYS_SECRET
from ..errors import Stalled, Waiting
from .sealed import KeyRing, open_with

log = logging.getLogger(__name__)

DATA_KEY = "keys"
"""In it: one 44-character Fernet key a line, newest first."""

LOOK_S = 2.0
"""The shortest time in seconds between two reads of the Secret: anybody can write values that no key opens."""

NOTE = "The keys that open sealed SIP credentials. Back this Secret up: without it, nothing that is sealed can be used."

Listener = Callable[[], None]
"""Hears that the keys in use are others than before."""


def secret_path(namespace: str) -> str:
    """Where the Secret is."""
    return f"/api/v1/namespaces/{namespace}/secrets/{KEYS_SECRET}"


def keys_in(raw: Mapping[str, Any]) -> KeyRing:
    """The key ring in the Secret. Raises ValueError that says what is wrong with it, never what it holds."""
    data = raw.get("data")
    if not isinstance(data, Mapping) or DATA_KEY not in data:
        raise ValueError(f"it has no key `{DATA_KEY}`")
    text = from_base64(data[DATA_KEY])
    if text is None:
        raise ValueError("it holds no text")
    return KeyRing.parse(text)


def encoded(ring: KeyRing) -> dict[str, str]:
    """The Secret's data for a key ring."""
    return {DATA_KEY: to_base64(ring.text())}


def keys_secret(namespace: str, ring: KeyRing) -> dict[str, Any]:
    """The Secret that holds a key ring, as it is created."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": KEYS_SECRET,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "byoc-operator"},
            "annotations": {"kubernetes.io/description": NOTE},
        },
        "type": "Opaque",
        "data": encoded(ring),
    }


class SealingKeys:
    """The key ring as the operator has read it last. A ring once read stays in use if the Secret is lost or spoiled."""

    def __init__(self, api: JsonApi, namespace: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._began = float("-inf")
        self._warned = False
        self._one_at_a_time = asyncio.Lock()
        self._listeners: list[Listener] = []
        self.where = f"Secret {namespace}/{KEYS_SECRET}"
        self.absent = False
        """Whether the API server said at the last read that there is no such Secret (404)."""
        self.problem = "the operator has not yet read its keys"
        """What was wrong with the Secret at the last read, in words; empty: nothing."""
        self.ring: KeyRing | None = None

    def listen(self, listener: Listener) -> None:
        """Call the listener whenever other keys come into use."""
        self._listeners.append(listener)

    def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
        """The value of a sealed text with the keys that are known now, or why it does not open."""
        try:
            return open_with(self.ring, self.problem, text, namespace, field)
        except Stalled as exc:
            return Verdict(exc.reason, exc.message)

    async def read_again(self, since: float) -> None:
        """Return once the keys were read in a read that began after `since` (seconds on this object's clock).

        Raises `Waiting` if the last read is so recent that another one is not due yet, `Unavailable`.
        """
        async with self._one_at_a_time:
            wait_s = self._began + LOOK_S - self._clock()
            if wait_s <= 0:
                await self._read()
            elif self._began < since:
                raise Waiting(Reason.PENDING, "The sealing keys are read again.", delay_s=wait_s)

    async def load(self) -> None:
        """Read the keys now. Raises `Unavailable`."""
        async with self._one_at_a_time:
            await self._read()

    async def refresh(self) -> None:
        """Read the keys, unless they are known and were read less than `LOOK_S` ago. Raises `Unavailable`."""
        async with self._one_at_a_time:
            if self.ring is None or self._began + LOOK_S <= self._clock():
                await self._read()

    async def create(self) -> bool:
        """Create the Secret with one new key, unless keys are known; whether this call has created it.

        It is a POST: where another replica has created the Secret first, this one reads it. Raises `ApiRefused`,
        `Unavailable`.
        """
        async with self._one_at_a_time:
            if self.ring is not None:
                return False
            ring = KeyRing.generate()
            path = secret_path(self._namespace).rpartition("/")[0]
            try:
                await self._api.request("POST", path, resource="secrets", body=keys_secret(self._namespace, ring))
            except Conflict:
                await self._read()
                return False
            self._use(ring)
            return True

    async def _read(self) -> None:
        began, self.absent = self._clock(), False
        try:
            raw = await self._api.request("GET", secret_path(self._namespace), resource="secrets")
            ring = keys_in(raw)
        except NotFound:
            self.absent = True
            self._keep_known(f"there is no {self.where} with the keys")
        except ApiRefused as exc:
            self._keep_known(f"the operator may not read {self.where} (HTTP {exc.status})")
        except Unreadable as exc:
            self._keep_known(f"{self.where} cannot be read: {exc.message}")
        except ValueError as exc:
            self._keep_known(f"{self.where} cannot be used: {exc}")
        else:
            self._use(ring)
        self._began = began

    def _use(self, ring: KeyRing) -> None:
        if self._warned:
            log.info("%s can be read", self.where)
        self.problem, self._warned = "", False
        if ring == self.ring:
            return
        self.ring = ring
        log.info("sealing keys in use: %s", ", ".join(ring.fingerprints()))
        for listener in self._listeners:
            listener()

    def _keep_known(self, problem: str) -> None:
        """Note the problem. Known keys still open: a Secret that is taken away must not stop numbers that work."""
        if problem != self.problem:
            known = "; those read before still open what is sealed" if self.ring is not None else ""
            # A first installation begins without keys: that is no warning.
            self._warned = not self.absent or self.ring is not None
            log.log(logging.WARNING if self._warned else logging.INFO, "sealing keys: %s%s", problem, known)
        self.problem = problem
