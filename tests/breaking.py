"""A LiveKit and an API server where one request fails in a way that the test chooses."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Failure, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import lost_reply
from operated import now_s

_Result = TypeVar("_Result")


class Break(StrEnum):
    """How one request fails."""

    REFUSED = "fails, not applied"
    REPLY_LOST = "applied, reply lost"
    LATE = "fails, applied 5 s later"
    VERY_LATE = "fails, applied 50 s later"
    CRASH_BEFORE = "the operator dies before it"
    CRASH_AFTER = "the operator dies after it"
    LATE_AND_CRASH = "the operator dies before it, applied 5 s later"


CRASHES = (Break.CRASH_BEFORE, Break.CRASH_AFTER, Break.LATE_AND_CRASH)
LATE_S = {Break.LATE: 5.0, Break.VERY_LATE: 50.0}


@dataclass
class Steps:
    """Counts requests once it is armed, and lets the one with index `at` fail."""

    at: int | None = None
    how: Break | None = None
    armed: bool = False
    names: list[str] = field(default_factory=list)
    crash: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, name: str, lost: Failure, effect: Callable[[], Awaitable[_Result]]) -> _Result:
        """Carry out one request or let it fail."""
        if not self.armed:
            return await effect()
        self.names.append(name)
        if len(self.names) - 1 != self.at:
            return await effect()
        match self.how:
            case Break.CRASH_BEFORE:
                await self._die()
            case Break.CRASH_AFTER:
                await effect()
                await self._die()
            case Break.REPLY_LOST:
                await effect()
            case Break.LATE | Break.VERY_LATE:
                _apply_later(LATE_S[self.how], effect)
            case Break.LATE_AND_CRASH:
                _apply_later(LATE_S[Break.LATE], effect)
                await self._die()
        raise replace(lost)

    async def _die(self) -> NoReturn:
        self.crash.set()
        await asyncio.Event().wait()
        raise AssertionError("a dead operator went on")


_put_off: set[asyncio.Task[None]] = set()


def _apply_later(delay_s: float, effect: Callable[[], Awaitable[object]]) -> None:
    """By a timer: whoever kills all tasks of the operator does not stop what is under way in a proxy."""

    def apply() -> None:
        task = asyncio.create_task(_unheard(effect))
        _put_off.add(task)
        task.add_done_callback(_put_off.discard)

    asyncio.get_running_loop().call_later(delay_s, apply)


async def _unheard(effect: Callable[[], Awaitable[object]]) -> None:
    with contextlib.suppress(Failure):
        await effect()


class SteppedLiveKit(FakeLiveKit):
    """A LiveKit whose calls are steps."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(seed=1)
        self._steps = steps

    async def _handle(self, method: str, kind: Kind, what: str, apply: Callable[[], Any]) -> Any:
        handle = super()._handle
        return await self._steps.take(f"{method} {kind}", lost_reply(), lambda: handle(method, kind, what, apply))


class SteppedApi(FakeApi):
    """An API server whose requests are steps."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(now_s)
        self._steps = steps

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        lost = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer", outcome_unknown=True)
        ask = super().request

        async def effect() -> dict[str, Any]:
            return await ask(method, path, resource=resource, body=body, content_type=content_type)

        return await self._steps.take(f"{method} {resource}", lost, effect)
