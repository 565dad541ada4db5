"""Whose key the calls to LiveKit carry."""

import asyncio
from dataclasses import replace

import pytest

from byoc_operator.core.trunk import InboundTrunk
from byoc_operator.errors import Failure, Stalled
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Refuse
from byoc_operator.livekit_sip.gateway import Any_
from guarding import REJECTED, TIMED_OUT, TRUNK, UNAUTHORIZED, WRONG_PATH, guarded
from virtual_time import in_virtual_time


class Locked(FakeLiveKit):
    """A LiveKit that knows one key; `held` is the operator's."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.accepted = self.held = self.mounted = "first"
        self.reloads = 0

    def reload(self) -> bool:
        """As `_MountedKey`: whether another key was found."""
        self.reloads += 1
        found, self.held = self.held != self.mounted, self.mounted
        return found

    async def list_all(self, of: type[Any_]) -> list[Any_]:
        self.calls.append(("list", of.kind, self.held))
        carried = self.held
        await asyncio.sleep(0.01)
        if carried != self.accepted:
            raise replace(UNAUTHORIZED)
        return []

    async def probe(self) -> None:
        await self.list_all(InboundTrunk)


@in_virtual_time
async def test_a_refused_key_is_read_again_and_the_call_made_once_more() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = livekit.mounted = "second"
    assert await guard.list_all(InboundTrunk) == []
    assert [held for _, _, held in livekit.calls] == ["first", "second"]
    assert (guard.is_open, livekit.reloads) == (False, 1)


@in_virtual_time
async def test_a_refused_key_that_is_still_the_mounted_one_trips() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = "second"
    with pytest.raises(Stalled):
        await guard.list_all(InboundTrunk)
    assert guard.is_open
    assert len(livekit.calls) == 1
    livekit.mounted = "second"
    await guard.probe()
    assert not guard.is_open


@in_virtual_time
async def test_a_new_key_that_is_refused_too_trips_after_one_retry() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted, livekit.mounted = "third", "second"
    with pytest.raises(Stalled):
        await guard.list_all(InboundTrunk)
    assert guard.is_open
    assert [held for _, _, held in livekit.calls] == ["first", "second"]


@in_virtual_time
async def test_several_calls_refused_at_once_all_go_out_with_the_new_key() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    livekit.accepted = livekit.mounted = "second"
    told = await asyncio.gather(*(guard.list_all(InboundTrunk) for _ in range(5)), return_exceptions=True)
    assert told == [[]] * 5
    assert not guard.is_open


@in_virtual_time
async def test_other_refusals_read_no_key() -> None:
    livekit = Locked()
    guard = guarded(livekit, reload_key=livekit.reload)
    for error in (WRONG_PATH, REJECTED, TIMED_OUT):
        livekit.inject(Refuse(replace(error)), "create")
        with pytest.raises(Failure):
            await guard.create(TRUNK)
        await guard.probe()
    assert livekit.reloads == 0
