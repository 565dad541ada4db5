"""Who may write to LiveKit."""

import asyncio
from dataclasses import replace

import pytest

from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.errors import Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from guarding import TRUNK, guarded
from virtual_time import in_virtual_time


@in_virtual_time
async def test_who_does_not_lead_may_look_but_not_write() -> None:
    def refuse() -> None:
        raise Unavailable("Pending", "another replica leads")

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
            raise Unavailable("Pending", "another replica leads")

    livekit = FakeLiveKit()
    guard = guarded(livekit, per_minute=60, may_write=check)
    await guard.list_all(InboundTrunk)
    writing = asyncio.create_task(guard.create(TRUNK))
    await asyncio.sleep(0.5)
    leads = False
    with pytest.raises(Unavailable):
        await writing
    assert livekit.objects() == []
