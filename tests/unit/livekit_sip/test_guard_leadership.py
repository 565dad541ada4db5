"""Who may write to LiveKit."""

import asyncio
from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.errors import NotLeading, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Hang, Refuse
from byoc_operator.livekit_sip.guard import Bucket, Guard
from byoc_operator.livekit_sip.pacing import AdaptiveLimit
from guarding import TRUNK, UNAUTHORIZED, guarded, now
from virtual_time import in_virtual_time


@in_virtual_time
async def test_who_does_not_lead_may_look_but_not_write() -> None:
    def refuse() -> None:
        raise NotLeading(Reason.PENDING, "another replica leads")

    livekit = FakeLiveKit()
    id_ = livekit.put(TRUNK)
    guard = guarded(livekit, may_write=refuse)
    assert [each.id for each in await guard.list_all(OutboundTrunk)] == [id_]
    await guard.list_all(InboundTrunk)
    await guard.list_all(DispatchRule)
    await guard.probe()
    livekit.calls.clear()
    for call in (
        guard.create(TRUNK),
        guard.replace(replace(TRUNK, id=id_)),
        guard.delete(Kind.OUTBOUND_TRUNK, id_),
        guard.set_metadata(Kind.OUTBOUND_TRUNK, id_, "x"),
    ):
        with pytest.raises(Unavailable):
            await call
    assert livekit.calls == []
    assert [each.metadata for each in livekit.objects() if isinstance(each, OutboundTrunk)] == ["{}"]
    assert not guard.is_open


@in_virtual_time
async def test_leadership_lost_while_waiting_for_a_turn_stops_the_write() -> None:
    leads = True

    def check() -> None:
        if not leads:
            raise NotLeading(Reason.PENDING, "another replica leads")

    livekit = FakeLiveKit()
    guard = guarded(livekit, per_minute=60, may_write=check)
    await guard.list_all(InboundTrunk)
    writing = asyncio.create_task(guard.create(TRUNK))
    await asyncio.sleep(0.5)
    leads = False
    with pytest.raises(Unavailable):
        await writing
    assert livekit.objects() == []


@in_virtual_time
async def test_leadership_lost_while_all_slots_are_taken_stops_the_write() -> None:
    leads, until = True, asyncio.Event()

    def check() -> None:
        if not leads:
            raise NotLeading(Reason.PENDING, "another replica leads")

    livekit = FakeLiveKit()
    guard = Guard(livekit, Bucket(0, now), lambda: False, check, AdaptiveLimit(1, 1, now))
    livekit.inject(Hang(until), "list")
    listing = asyncio.create_task(guard.list_all(InboundTrunk))
    await asyncio.sleep(1)
    writing = asyncio.create_task(guard.create(TRUNK))
    await asyncio.sleep(1)
    leads = False
    until.set()
    with pytest.raises(NotLeading):
        await writing
    await listing
    assert (livekit.objects(), guard.is_open) == ([], False)


@in_virtual_time
async def test_leadership_lost_while_the_key_is_read_again_stops_the_second_try() -> None:
    leads = True

    def check() -> None:
        if not leads:
            raise NotLeading(Reason.PENDING, "another replica leads")

    def reload() -> bool:
        nonlocal leads
        leads = False
        return True

    livekit = FakeLiveKit()
    livekit.inject(Refuse(replace(UNAUTHORIZED)), "create")
    guard = guarded(livekit, reload_key=reload, may_write=check)
    with pytest.raises(NotLeading):
        await guard.create(TRUNK)
    assert (livekit.objects(), guard.is_open) == ([], False)
