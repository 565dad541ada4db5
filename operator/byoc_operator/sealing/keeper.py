"""The keeper of the sealing keys, a task of the leader: it makes the keys, and tells when they are lost or unusable."""

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from typing import Protocol

from ..cluster.answers import ApiRefused
from ..cluster.events import Announce
from ..errors import OperatorError
from .store import SealingKeys

log = logging.getLogger(__name__)

RETRY_S = 15.0
"""The longest pause in seconds after a look that the API server did not answer."""

JITTER = 0.1
"""The random part of a pause, so that several installations do not read at the same second for ever."""


class SealedValues(Protocol):
    """Knows whether anything in the cluster is sealed. Both methods name one thing that is, or return an empty text."""

    def known(self) -> str:
        """What is sealed as far as it is known, without a request."""
        ...

    async def found(self) -> str:
        """What is sealed, after a look also at the Secrets that only a GET shows. Raises `Unavailable`."""
        ...


class Keeper:
    """Keeps `keys`: looks at the Secret every `interval_s` seconds. `count_bug`: called when a bug ends a look."""

    def __init__(
        self,
        keys: SealingKeys,
        announce: Announce,
        interval_s: float,
        *,
        may_create: bool,
        count_bug: Callable[[], object],
    ) -> None:
        self.keys = keys
        self._announce = announce
        self._interval_s = interval_s
        self._may_create = may_create
        self._count_bug = count_bug
        self._answered = False
        self._told = ""
        self._told_bug = ""
        self.lost = False
        """Whether the last look found no usable keys although keys were in use or something is sealed."""

    async def run(self, sealed: SealedValues) -> None:
        """Look for ever, sooner again after a look that failed. The leader has called `look` before its first run."""
        while True:
            pause_s = self._interval_s if self._answered else min(RETRY_S, self._interval_s)
            # S311: nothing secret depends on the time of a look
            await asyncio.sleep(pause_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            await self.look(sealed)

    async def look(self, sealed: SealedValues) -> None:
        """Look at the keys once: make them if there never were any, tell if they are missing.

        Does not raise: a number whose credentials are plain needs no keys, and one that needs them says so itself.
        """
        self._answered = False
        try:
            await self._look(sealed)
        except OperatorError as exc:
            log.debug("the sealing keys cannot be read: %s", exc.message)
        except Exception as exc:  # noqa: BLE001 - a bug that one Secret meets must not end the process
            self._bug(exc)
        else:
            self._answered, self._told_bug = True, ""

    async def _look(self, sealed: SealedValues) -> None:
        """Make keys, or tell what is wrong with them.

        Keys are made only when the API server says that there is no such Secret (404), nothing is sealed and the
        settings allow it. A process that has read keys once never makes others.
        """
        keys = self.keys
        await keys.refresh()
        if not keys.problem:
            self._told, self.lost = "", False
            return
        makes = keys.ring is None and keys.absent and self._may_create
        reason = "SealingKeysMissing" if keys.absent else "SealingKeysUnusable"
        if keys.ring is not None:
            self.lost = True
            todo = "The operator has the keys in memory only, and seals nothing: restore them before it restarts"
            self._tell(reason, f"{keys.problem}. {todo}.")
        elif used := await sealed.found() if makes else sealed.known():
            self.lost = True
            todo = "Restore it from its backup. No new keys are made, as they would not open that"
            self._tell(reason, f"{keys.problem}, and something is sealed: {used}. {todo}.")
        elif makes:
            self.lost = False
            await self._make()
        else:
            self.lost = False

    async def _make(self) -> None:
        try:
            made = await self.keys.create()
        except ApiRefused as exc:
            self._tell("SealingKeysNotMade", f"{self.keys.where} could not be made (HTTP {exc.status}).")
            return
        if made and self.keys.ring is not None:
            key = self.keys.ring.fingerprints()[0]
            self._tell("SealingKeysMade", f"made {self.keys.where} with the sealing key {key}. Back it up.")

    def _tell(self, reason: str, note: str) -> None:
        """Say it once, until it is over or something else is to be said."""
        if note == self._told:
            return
        self._told = note
        log.warning("%s", note)
        self._announce(reason, note)

    def _bug(self, exc: Exception) -> None:
        """Count the bug; log it once, until a look goes well. The frames only: a text may hold what it was handed."""
        self._count_bug()
        frames = "".join(traceback.format_tb(exc.__traceback__)[-4:])
        if frames != self._told_bug:
            self._told_bug = frames
            log.error("a bug: %s while looking at the sealing keys\n%s", type(exc).__name__, frames)
