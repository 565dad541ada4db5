"""The sweep: one snapshot of LiveKit, compared in memory with every number; only those that differ get a run.

It is the start of the operator, its drift detection, and its healing after an outage, all one code path.
"""

import asyncio
import logging
import random
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from ..cluster.api import ApiRefused
from ..cluster.reading import Unreadable
from ..errors import OperatorError, Unavailable
from .orphanage import Announce, Orphanage
from .ports import Ports
from .queue import Lane, WorkQueue, followers

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 15.0
"""While LiveKit does not answer, it is asked again after 1 s, doubling to 15 s: one cheap question for all numbers."""

GETS_AT_ONCE = 8

BREATH = 50
"""Numbers compared before the event loop gets a turn; a comparison takes about 0.1 ms."""

JITTER = 0.1
"""Sweeps of several installations must not fall on the same second for ever."""


class Judge(Protocol):
    """Who knows what a run would do."""

    def in_step(self, phone: str) -> bool:
        """Whether a run of this phone number would find nothing to do."""
        ...

    async def tidy(self) -> None:
        """Forget what is remembered for nothing."""
        ...


@dataclass(slots=True)
class LiveKitState:
    """What the last sweep saw of LiveKit as a whole; `trouble` None: it answered.

    `swept_at_s`: when the last good sweep ended, or sweeps began; epoch seconds.
    """

    trouble: OperatorError | None = None
    asked: bool = False
    swept_at_s: float | None = None

    @property
    def up(self) -> bool | None:
        """Whether it answered; None before anybody asked."""
        return self.trouble is None if self.asked else None


class Sweeper:
    """Sweeps at start and then every `interval_s` seconds, until cancelled."""

    def __init__(
        self,
        ports: Ports,
        queue: WorkQueue,
        judge: Judge,
        orphanage: Orphanage,
        interval_s: float,
        say: Announce,
    ) -> None:
        self._say = say
        self._orphanage = orphanage
        self._ports = ports
        self._guard = ports.guard
        self._queue = queue
        self._judge = judge
        self._interval_s = interval_s
        self._failures = 0
        self._looked_at_keys = float("-inf")
        self._told_bugs: set[tuple[str, str, str]] = set()
        self._met_bugs: set[tuple[str, str, str]] = set()
        self.state = LiveKitState()

    async def run(self, told: Callable[[OperatorError], None]) -> None:
        """Sweep for ever. `told` hears when LiveKit as a whole begins to fail, or fails in another way.

        While the guard is open this is the one that asks, for everybody.
        """
        while True:
            settled = await self._keys_settled()  # to have keys takes no LiveKit
            try:
                if self._guard.is_open:
                    await self._guard.probe()
                    self._queue.unpark()
                await self.sweep()
            except OperatorError as exc:
                self._failed(self._guard.trouble or exc, told)
                if self._failures == 1:
                    self._queue_unseen()
                await asyncio.sleep(self._retry_s())
                continue
            self._answered()
            # S311: nothing secret hangs on when a sweep runs
            pause_s = self._interval_s if settled else min(LONGEST_RETRY_S, self._interval_s)
            await self._guard.wait_open(pause_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            if self._guard.trouble:
                self._failed(self._guard.trouble, told)
                await asyncio.sleep(self._retry_s())

    async def sweep(self) -> None:
        """One sweep. Raises what LiveKit, or the API server for unlabelled Secrets, had to say."""
        await self._ports.inventory.refresh()
        await self._apart("secrets", self._look_at_secrets())
        different = 0
        for count, phone in enumerate(self._ports.cache.phones()):
            if count % BREATH == 0:
                await asyncio.sleep(0)
            if not self._queue.running(phone) and not self._seems_in_step(phone):
                different += 1
                self._queue.add(phone, Lane.SWEEP)
        log.debug("swept %d numbers, %d differ", len(self._ports.cache), different)
        await self._apart("claims", self._judge.tidy())
        await self._apart("orphans", self._orphanage.look())
        self._told_bugs &= self._met_bugs  # what is over and comes again is told again
        self._met_bugs = set()

    async def _apart(self, part: str, work: Coroutine[Any, Any, object]) -> None:
        """A part of the sweep; a bug in it must not end the others, and not the process. Raises what LiveKit says."""
        try:
            await work
        except OperatorError:
            raise
        except Exception as exc:  # noqa: BLE001 - see above
            self._bug(part, exc, f"while looking at {part}")

    def _seems_in_step(self, phone: str) -> bool:
        try:
            return self._judge.in_step(phone)
        except Exception as exc:  # noqa: BLE001 - a bug that one number meets must not stop the sweep
            self._bug("numbers", exc, f"while comparing {phone}")
            return False

    def _bug(self, part: str, exc: Exception, when: str) -> None:
        """Count it; tell it once, by its kind and place, not at each sweep and for each number."""
        self._ports.metrics.sweep_bugs.labels(part).inc()
        frames = traceback.format_tb(exc.__traceback__)[-4:]  # no text: it may hold what it was handed
        cause = (part, type(exc).__name__, frames[-1] if frames else "")
        self._met_bugs.add(cause)
        if cause not in self._told_bugs:
            self._told_bugs.add(cause)
            log.error("a bug: %s %s\n%s", type(exc).__name__, when, "".join(frames))

    async def _keys_settled(self) -> bool:
        """Look at the keys at least once in an interval, and whenever there are none; whether the look went well."""
        now = asyncio.get_running_loop().time()
        if self._ports.secrets.keys.ring is not None and now - self._looked_at_keys < self._interval_s * (1 - JITTER):
            return True
        self._looked_at_keys = now
        return await self.look_at_keys()

    async def look_at_keys(self) -> bool:
        """Have sealing keys, and look whether there are others by now; whether the API server answered.

        What keeps us from them keeps no number from being in step: who needs them says so.
        """
        try:
            await self._ports.secrets.keys.keep(self._in_use, self._say)
        except OperatorError as exc:
            log.debug("the sealing keys cannot be read: %s", exc.message)
            return False
        except Exception as exc:  # noqa: BLE001 - a bug that one Secret meets must not end the sweeper
            self._bug("keys", exc, "while looking at the sealing keys")
            return False
        return True

    async def _in_use(self, thorough: bool) -> str:  # noqa: FBT001 - `InUse`
        """What is sealed, or was when a number was last in step: its Secret may be on its way.

        Thorough: also in the Secrets that only a GET can tell of; one that may not be read may well be. Raises
        `Unavailable` where that cannot be told just now.
        """
        if used := self._known_in_use():
            return used
        troubles = await self._look_at_secrets() if thorough else []
        if used := self._known_in_use():
            return used
        for trouble in troubles:
            if not isinstance(trouble, ApiRefused | Unreadable):
                raise trouble
        return "perhaps a Secret that may not be read" if troubles else ""

    def _known_in_use(self) -> str:
        if secret := self._ports.secrets.any_sealed():
            return "Secret {}/{}".format(*secret)
        written = ((number.key, number.status.credentials) for number in self._ports.cache.all())
        numbers = (key for key, credentials in written if credentials is not None and credentials.sealed)
        return next((f"the credentials of number {key.namespace}/{key.name}" for key in numbers), "")

    async def _look_at_secrets(self) -> list[OperatorError]:
        """One GET per distinct Secret that does not tell of its changes by itself, a few at a time; what went wrong."""
        known = self._ports.secrets.known
        asked = [name for name in self._ports.cache.secrets() if not ((facts := known(*name)) and facts.watched)]
        troubles: list[OperatorError] = []
        for start in range(0, len(asked), GETS_AT_ONCE):
            answers = await asyncio.gather(*(self._ask(*name) for name in asked[start : start + GETS_AT_ONCE]))
            troubles += [answer for answer in answers if answer is not None]
        return troubles

    async def _ask(self, namespace: str, name: str) -> OperatorError | None:
        """Have news of a Secret reach the numbers that use it; why it could not be read, if so."""
        secrets = self._ports.secrets
        before = secrets.known(namespace, name)
        try:
            await secrets.fetch(namespace, name)
        except OperatorError as exc:
            # The numbers that use it find out in their own runs, and say so; the others must not wait for it.
            log.debug("Secret %s/%s cannot be read: %s", namespace, name, exc.message)
            return exc
        except Exception as exc:  # noqa: BLE001 - a bug that one Secret meets must not hide the others
            self._bug("secrets", exc, f"while reading Secret {namespace}/{name}")
            return Unavailable("KubernetesUnavailable", f"a Secret cannot be read ({type(exc).__name__})")
        after = secrets.known(namespace, name)
        if after is not None and (before is None or before.values != after.values or before.sealed != after.sealed):
            users = self._ports.cache.users_of(namespace, name)
            for number in users:
                self._queue.add(number.phone_number, followers(len(users)), namespace)  # news end a back-off
        return None

    def _queue_unseen(self) -> None:
        """What happened while nobody looked and LiveKit cannot be asked: deletions, and objects never judged."""
        for number in self._ports.cache.all():
            if not number.was_in_step or (number.deleting and number.has_finalizer):
                self._queue.add(number.phone_number, Lane.SWEEP)

    def _failed(self, exc: OperatorError, told: Callable[[OperatorError], None]) -> None:
        self._failures += 1
        before = self.state.trouble
        self.state = LiveKitState(trouble=exc, asked=True, swept_at_s=self.state.swept_at_s)
        self._ports.metrics.sweeps.labels("failed").inc()
        if before is None or before.reason != exc.reason:
            log.error("LiveKit: %s: %s", exc.reason, exc.message)
            told(exc)

    def _answered(self) -> None:
        if self.state.trouble is not None:
            log.info("LiveKit answers again")
        self._failures = 0
        self.state = LiveKitState(asked=True, swept_at_s=self._ports.wall())
        self._ports.metrics.sweeps.labels("done").inc()

    def _retry_s(self) -> float:
        return min(LONGEST_RETRY_S, self._interval_s, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10))
