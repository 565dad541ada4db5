"""Many numbers that become Ready or fail at once: one Event each, at the pace of the Events, and no run waits."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.fake import FakeLiveKit
from operated import NAMESPACE, World, manifest
from virtual_time import in_virtual_time

MANY = 1000


@in_virtual_time
async def test_a_thousand_created_numbers_get_a_thousand_events_at_the_pace_of_the_events() -> None:
    world = await World.running()
    begun_s = asyncio.get_running_loop().time()
    for count in range(MANY):
        world.api.apply(manifest(f"n{count}", phoneNumber=f"+1555010{count:04}"))
    await asyncio.sleep(2)
    assert {each["status"]["conditions"][0]["reason"] for each in world.api.numbers()} == {"Synced"}
    assert len(world.api.events) < 110, "the runs do not wait for the Events"
    await world.settle(within_s=60)
    assert asyncio.get_running_loop().time() - begun_s == pytest.approx(20, abs=1)
    assert world.event_reasons() == ["Synced"] * MANY
    await world.sweep()
    await world.restart()
    assert len(world.api.events) == MANY


class Refusing(FakeLiveKit):
    """A LiveKit that refuses every outbound trunk."""

    async def _handle(self, method: str, kind: Kind, what: str, apply: Callable[[], Any]) -> Any:
        if (method, kind) == ("create", Kind.OUTBOUND_TRUNK):
            raise Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: no such country")
        return await super()._handle(method, kind, what, apply)


@pytest.mark.parametrize(("cause", "for_s"), [("SecretNotFound", 100), ("RejectedByLiveKit", 400)])
@in_virtual_time
async def test_a_thousand_numbers_that_fail_give_one_event_each_however_often_they_are_tried(
    cause: str, for_s: float
) -> None:
    world = await World.running(livekit=Refusing(seed=1))
    if cause == "SecretNotFound":
        world.api.delete_secret(NAMESPACE, "sip")
    for count in range(MANY):
        world.api.apply(manifest(f"n{count}", phoneNumber=f"+1555010{count:04}"))
    await world.settle(within_s=60)
    await world.elapse(for_s)  # a missing Secret is looked for every 30 s, what LiveKit refuses at each sweep
    assert world.event_reasons() == [cause] * MANY
