"""The Secret with the sealing keys: read at start and when an unknown key is met, made once, never overwritten."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..api.conditions import Reason, Verdict
from ..api.encoding import from_base64, to_base64
from ..cluster.api import ApiRefused
from ..cluster.numbers import CONFLICT, NOT_FOUND
from ..cluster.port import JsonApi
from ..cluster.reading import Unreadable
from ..core.credentials import KEYS_SECRET, Field
from ..errors import Stalled, Waiting
from .sealed import KeyRing, open_with

log = logging.getLogger(__name__)

DATA_KEY = "keys"
"""In it: one 44-character Fernet key a line, newest first."""

LOOK_S = 2.0
"""The shortest time between two looks at the Secret: anybody can write values that no key opens."""

NOTE = "The keys that open sealed SIP credentials. Back this Secret up: without it, nothing that is sealed can be used."

Say = Callable[[str, str], Awaitable[None]]
"""Posts an Event on the installation: reason, note."""

InUse = Callable[[bool], Awaitable[str]]
"""Something that is sealed, by name, empty if nothing is; with True it also asks for what is not known yet."""


def secret_path(namespace: str) -> str:
    """Where the Secret is."""
    return f"/api/v1/namespaces/{namespace}/secrets/{KEYS_SECRET}"


def keys_in(raw: Mapping[str, Any]) -> KeyRing:
    """The key ring in the Secret. Raises ValueError that says what is wrong with it, never what it holds."""
    data = raw.get("data") or {}
    if DATA_KEY not in data:
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
    """The key ring of the operator as far as it is known. What was known once stays, whatever becomes of the Secret."""

    def __init__(
        self, api: JsonApi, namespace: str, *, may_create: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._may_create = may_create
        self._clock = clock
        self._where = f"Secret {namespace}/{KEYS_SECRET}"
        self._absent = False
        self._told = ""
        self._began = float("-inf")
        self._one_at_a_time = asyncio.Lock()
        self.problem = "the operator has not yet read its keys"
        """What is wrong with the Secret as the last look found it, in words; empty: nothing."""
        self.ring: KeyRing | None = None
        self.changed: Callable[[], None] = lambda: None

    def open(self, text: str, namespace: str, field: Field) -> str | Verdict:
        """`core.credentials.Opener` with the keys that are known now."""
        try:
            return open_with(self.ring, self.problem, text, namespace, field)
        except Stalled as exc:
            return Verdict(Reason(exc.reason), exc.message)

    async def look(self, since: float) -> None:
        """Read the keys again, unless that was done hardly any time ago and after `since` (on our clock).

        Returns when a look begun after `since` is over. Raises `Waiting` where it is too early for one, `Unavailable`.
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

    async def keep(self, in_use: InUse, say: Say) -> None:
        """Look at the keys, have some made if there never were any, and say so while they are missing.

        Made only when the API server says that there is no such Secret (404), nothing is sealed and the settings
        allow it; by POST, so that of two replicas one makes it and the other reads it. Once this process knew keys it
        never makes others. Raises `Unavailable`.
        """
        async with self._one_at_a_time:
            if self.ring is None or self._began + LOOK_S <= self._clock():
                await self._read()
        if not self.problem:
            return
        makes = self.ring is None and self._absent and self._may_create
        reason = "SealingKeysMissing" if self._absent else "SealingKeysUnusable"
        if self.ring is not None:
            todo = "The operator has the keys in memory only, and seals nothing: restore them before it restarts"
            await self._tell(reason, f"{self.problem}. {todo}.", say)
        elif used := await in_use(makes):  # not under the lock: whoever meets a sealed value looks at the keys
            todo = "Restore it from its backup. No new keys are made, as they would not open that"
            await self._tell(reason, f"{self.problem}, and something is sealed: {used}. {todo}.", say)
        elif makes:
            async with self._one_at_a_time:
                if self.ring is None:
                    await self._make(say)

    async def _make(self, say: Say) -> None:
        ring = KeyRing.generate()
        path = secret_path(self._namespace).rpartition("/")[0]
        try:
            await self._api.request("POST", path, resource="secrets", body=keys_secret(self._namespace, ring))
        except ApiRefused as exc:
            if exc.status == CONFLICT:
                await self._read()  # another replica was faster
                return
            await self._tell("SealingKeysNotMade", f"{self._where} could not be made (HTTP {exc.status}).", say)
            return
        self._use(ring)
        note = f"made {self._where} with the sealing key {ring.fingerprints()[0]}. Back it up."
        await self._tell("SealingKeysMade", note, say)

    async def _read(self) -> None:
        began, self._absent = self._clock(), False
        try:
            raw = await self._api.request("GET", secret_path(self._namespace), resource="secrets")
            ring = keys_in(raw)
        except ApiRefused as exc:
            self._absent = exc.status == NOT_FOUND
            if self._absent:
                self._without(f"there is no {self._where} with the keys")
            else:
                self._without(f"the operator may not read {self._where} (HTTP {exc.status})")
        except Unreadable as exc:
            self._without(f"{self._where} cannot be read: {exc.message}")
        except ValueError as exc:
            self._without(f"{self._where} cannot be used: {exc}")
        else:
            self._use(ring)
        self._began = began

    def _use(self, ring: KeyRing) -> None:
        if self._told:
            log.info("%s can be read", self._where)
        self.problem = self._told = ""
        if ring == self.ring:
            return
        self.ring = ring
        log.info("sealing keys in use: %s", ", ".join(ring.fingerprints()))
        self.changed()

    def _without(self, problem: str) -> None:
        """Keys that are known go on opening: who takes the Secret away must not stop numbers that work."""
        if problem != self.problem:
            known = "; those read before still open what is sealed" if self.ring is not None else ""
            # The first installation begins without them.
            level = logging.INFO if self._absent and self.ring is None else logging.WARNING
            log.log(level, "sealing keys: %s%s", problem, known)
        self.problem = problem

    async def _tell(self, reason: str, note: str, say: Say) -> None:
        if note == self._told:
            return
        self._told = note
        log.warning("%s", note)
        await say(reason, note)
