"""A gateway around the gateway, with a circuit breaker, a token bucket, a limit on concurrency and key rotation.

While LiveKit is down, a call for every number would add load and show nothing new. The breaker therefore opens after a
clear sign of an outage, and the guard then refuses every call at once. The engine probes LiveKit until it answers, and
then runs the parked numbers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeVar

from ..api.conditions import Reason
from ..core.trunk import Kind, kind_of
from ..errors import Failure, NotLeading, Parked, Stalled, Unavailable
from .gateway import Any_, SipGateway
from .pacing import AdaptiveLimit
from .remainder import Remainder

FAILURES_TO_TRIP = 6
"""How many timeouts, lost connections and 5xx in a row open the breaker: one hung call must not park every number."""

MIN_WAIT_S = 1e-6
"""A wait below this counts as over: the clock may not advance during so short a sleep."""

_Result = TypeVar("_Result")


class Bucket:
    """A token bucket: `per_minute` calls on average, at most those of one second (at least 1) at once. 0: no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._size = max(1.0, self._rate)
        self._clock = clock
        self._tokens = self._size
        self._at = clock()
        self._closed_until = float("-inf")
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a token and for the end of a pause, first come, first served."""
        async with self._turn:
            while (wait_s := self._wait_s()) > MIN_WAIT_S:  # noqa: ASYNC110 - a clock decides, there is no event
                await asyncio.sleep(wait_s)
            self._tokens -= 1.0

    def _wait_s(self) -> float:
        now = self._clock()
        paused_s = self._closed_until - now
        if not self._rate:
            return paused_s
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(paused_s, (1.0 - self._tokens) / self._rate)

    def pause(self, seconds: float) -> None:
        """Give out no token for so many seconds, because the server asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)


class Guard:
    """A `SipGateway` with a breaker. Only the guard checks before each write that this replica is still the leader.

    `may_write` raises `NotLeading` if this replica is not the leader. `pace` measures how long writes take, and its
    value limits how many low-priority runs may be under way. The guard lets at most `pace.most` requests through at a
    time. The gateway must accept that many at once: a request that waited there would be sent long after the check.
    """

    def __init__(
        self,
        gateway: SipGateway,
        bucket: Bucket,
        reload_key: Callable[[], bool],
        may_write: Callable[[], None],
        pace: AdaptiveLimit | None = None,
    ) -> None:
        self.pace = pace or AdaptiveLimit()
        self._gateway = gateway
        self._bucket = bucket
        self._reload_key = reload_key
        self._may_write = may_write
        self._slots = asyncio.Semaphore(self.pace.most)
        self._failures = 0
        self._keys = 0
        self._opened = asyncio.Event()
        self.trouble: Failure | None = None

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: calls are refused."""
        return self.trouble is not None

    async def wait_open(self, timeout_s: float) -> None:
        """Return when the breaker opens, or after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._opened.wait()
        except TimeoutError:
            return

    async def probe(self) -> None:
        """Make a cheap call that needs a valid key. If LiveKit answers, the breaker closes; else raises `Failure`."""
        try:
            await self._keyed(lambda: self._send(self._gateway.probe))
        except Failure as exc:
            self.trouble = exc  # may differ from the failure that opened the breaker
            self._opened.set()
            raise
        self._failures, self.trouble = 0, None
        self._opened.clear()

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        """As the gateway."""
        return await self._call(lambda: self._gateway.list_all(of))

    async def create(self, wanted: Any_) -> Any_:
        """As the gateway."""
        return await self._call(lambda: self._gateway.create(wanted), f"create {kind_of(wanted)}")

    async def remainder(self, kind: Kind, id: str) -> Remainder:
        """As the gateway."""
        return await self._call(lambda: self._gateway.remainder(kind, id))

    async def replace(self, wanted: Any_, remainder: Remainder | None = None) -> Any_:
        """As the gateway."""
        return await self._call(lambda: self._gateway.replace(wanted, remainder), f"replace {kind_of(wanted)}")

    async def delete(self, kind: Kind, id: str) -> None:
        """As the gateway."""
        await self._call(lambda: self._gateway.delete(kind, id), f"delete {kind}")

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """As the gateway."""
        await self._call(lambda: self._gateway.set_metadata(kind, id, metadata), f"mark {kind}")

    async def _call(self, call: Callable[[], Awaitable[_Result]], write: str = "") -> _Result:
        """Make a call through the breaker and the bucket. `write`: the name of the write; empty for a read."""
        self._refuse_if_open()
        await self._bucket.take()
        self._refuse_if_open()
        try:
            with self.pace.timed(write) if write else nullcontext():
                result = await self._keyed(lambda: self._send(call, write))
        except NotLeading:  # not a failure of LiveKit
            raise
        except Failure as exc:
            self._count(exc)
            raise
        self._failures = 0
        return result

    async def _send(self, call: Callable[[], Awaitable[_Result]], write: str = "") -> _Result:
        """Send one request as soon as a slot is free; a write only if this replica is the leader at that moment."""
        async with self._slots:
            if write:
                self._may_write()
            return await call()

    async def _keyed(self, call: Callable[[], Awaitable[_Result]]) -> _Result:
        """Make a call. If LiveKit refuses the API key and the key's file has another one, make the call once more."""
        key = self._keys
        try:
            return await call()
        except Stalled as exc:
            if exc.reason != Reason.LIVEKIT_UNAUTHORIZED or not self._has_newer_key(key):
                raise
            return await call()

    def _has_newer_key(self, than: int) -> bool:
        """Whether the client has another key than the one of the refused call. This call or another one loaded it."""
        if self._keys == than and self._reload_key():
            self._keys += 1
        return self._keys != than

    def _refuse_if_open(self) -> None:
        if self.trouble is not None:
            raise Parked(self.trouble.reason, self.trouble.message, stalled=isinstance(self.trouble, Stalled))

    def _count(self, exc: Failure) -> None:
        """Open the breaker or pause the bucket, if the failure shows a fault of the whole server."""
        if isinstance(exc, Stalled) and exc.server_wide:
            self._trip(exc)
        elif isinstance(exc, Unavailable) and exc.reason == Reason.LIVEKIT_RATE_LIMITED:
            self._bucket.pause(exc.retry_after_s or 1.0)
        elif isinstance(exc, Unavailable):
            self._failures += 1
            # If nothing was sent, the port is closed or the host unknown. The next call would fail in the same way.
            if not exc.outcome_unknown or self._failures >= FAILURES_TO_TRIP:
                self._trip(exc)
        else:
            self._failures = 0  # LiveKit answered

    def _trip(self, exc: Failure) -> None:
        self.trouble = exc
        self._opened.set()
