"""A guard in front of LiveKit: circuit breaker, token bucket, pace, key rotation. A gateway around the gateway.

While LiveKit is down, asking it once for every number would be a load of its own and tell nothing new. So after a clear
sign the guard refuses at once; one probe asks for everybody, and whoever was refused is called when it answers.
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

FAILURES_TO_TRIP = 6
"""Timeouts, lost connections and 5xx in a row: one hung call, or one bad object, must not park everybody."""

NO_TIME_S = 1e-6
"""Less than a clock can tell: to sleep for it would be to turn in circles."""

_Result = TypeVar("_Result")


class Bucket:
    """A token bucket: `per_minute` calls on average, at most a second's worth (at least one) at once. 0: no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60.0
        self._size = max(1.0, self._rate)
        self._clock = clock
        self._tokens = self._size
        self._at = clock()
        self._closed_until = float("-inf")
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a token, and until a pause is over; who comes first is served first."""
        async with self._turn:
            while (wait_s := self._wait_s()) > NO_TIME_S:  # noqa: ASYNC110 - a clock decides, there is no event
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
        """Give nothing out for a while: the server asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)


class Guard:
    """`SipGateway` with a breaker, and the one place that checks before a write whether this replica still leads.

    `may_write` raises `NotLeading` if this process must not write now. `pace` hears how long writes take, and tells how
    many runs that can wait may be under way. At most `pace.most` requests are under way: the gateway must not let fewer
    through, because a request that waits there would leave long after the check.
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
        """Whether calls are refused."""
        return self.trouble is not None

    async def wait_open(self, timeout_s: float) -> None:
        """Return when the breaker trips, or after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._opened.wait()
        except TimeoutError:
            return

    async def probe(self) -> None:
        """Ask LiveKit one cheap question that also proves the key; if it answers, calls go through again."""
        try:
            await self._keyed(lambda: self._send(self._gateway.probe))
        except Failure as exc:
            self.trouble = exc  # perhaps another one than before
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

    async def replace(self, wanted: Any_) -> Any_:
        """As the gateway."""
        return await self._call(lambda: self._gateway.replace(wanted), f"replace {kind_of(wanted)}")

    async def delete(self, kind: Kind, id: str) -> None:
        """As the gateway."""
        await self._call(lambda: self._gateway.delete(kind, id), f"delete {kind}")

    async def set_metadata(self, kind: Kind, id: str, metadata: str) -> None:
        """As the gateway."""
        await self._call(lambda: self._gateway.set_metadata(kind, id, metadata), f"mark {kind}")

    async def _call(self, call: Callable[[], Awaitable[_Result]], write: str = "") -> _Result:
        """`write`: what it writes, empty if nothing."""
        self._refuse_if_open()
        await self._bucket.take()
        self._refuse_if_open()
        try:
            with self.pace.timed(write) if write else nullcontext():
                result = await self._keyed(lambda: self._send(call, write))
        except NotLeading:  # tells nothing of LiveKit
            raise
        except Failure as exc:
            self._count(exc)
            raise
        self._failures = 0
        return result

    async def _send(self, call: Callable[[], Awaitable[_Result]], write: str = "") -> _Result:
        """Send one request as soon as a slot is free, a write only if this replica still leads at that moment."""
        async with self._slots:
            if write:
                self._may_write()
            return await call()

    async def _keyed(self, call: Callable[[], Awaitable[_Result]]) -> _Result:
        """A refused key may have been rotated: read it again, and if it is another one, try once more."""
        key = self._keys
        try:
            return await call()
        except Stalled as exc:
            if exc.reason != Reason.LIVEKIT_UNAUTHORIZED or not self._has_newer_key(key):
                raise
            return await call()

    def _has_newer_key(self, than: int) -> bool:
        """Whether there is another key than the one of a refused call, read by this call or by another meanwhile."""
        if self._keys == than and self._reload_key():
            self._keys += 1
        return self._keys != than

    def _refuse_if_open(self) -> None:
        if self.trouble is not None:
            raise Parked(self.trouble.reason, self.trouble.message, stalled=isinstance(self.trouble, Stalled))

    def _count(self, exc: Failure) -> None:
        """What the failure says of LiveKit as a whole."""
        if isinstance(exc, Stalled) and exc.server_wide:
            self._trip(exc)
        elif isinstance(exc, Unavailable) and exc.reason == Reason.LIVEKIT_RATE_LIMITED:
            self._bucket.pause(exc.retry_after_s or 1.0)
        elif isinstance(exc, Unavailable):
            self._failures += 1
            # Nothing was sent: the port is closed or the name unknown, and will be so for the next one.
            if not exc.outcome_unknown or self._failures >= FAILURES_TO_TRIP:
                self._trip(exc)
        else:
            self._failures = 0  # it answered

    def _trip(self, exc: Failure) -> None:
        self.trouble = exc
        self._opened.set()
