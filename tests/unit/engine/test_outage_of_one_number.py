"""The status and the requests of one number during a LiveKit outage."""

import asyncio

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Failure, Stalled, Unavailable
from byoc_operator.livekit_sip.faults import Hang, Refuse
from operated import (
    FINALIZER_PATCH,
    NAME,
    NAMESPACE,
    STATUS_PATCH,
    World,
    manifest,
)
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached at LIVEKIT_URL.")
UNAUTHORIZED = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key", server_wide=True)
LIMITED = Unavailable(Reason.LIVEKIT_RATE_LIMITED, "LiveKit asks for fewer requests", retry_after_s=5.0)


@pytest.mark.parametrize("trouble", [DOWN, UNAUTHORIZED, LIMITED], ids=lambda each: each.reason)
@in_virtual_time
async def test_an_outage_is_told_once_and_only_to_who_wants_something(trouble: Failure) -> None:
    world = await World.in_step()
    world.livekit.always = trouble
    await world.sweep()
    await world.elapse(1000)
    assert world.api_writes() == []
    assert world.troubles == [f"{trouble.reason}: {trouble.message}"]
    assert world.engine.livekit.trouble is not None
    await world.apply("new", phoneNumber="+15550100000")
    await world.elapse(1000)
    assert world.ready("new") == ("False", trouble.reason)
    # The finalizer was put on before LiveKit was tried; retries write nothing.
    assert world.api_writes() == [FINALIZER_PATCH, STATUS_PATCH]
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_after_an_outage_all_comes_right() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.apply("new", phoneNumber="+15550100000")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert world.ready() == ("False", "LiveKitUnavailable")
    assert world.message() == f"{DOWN.message} The operator tries again by itself."
    assert world.conditions()["Reconciling"][0] == "True"
    world.livekit.always = None
    await world.elapse(700)
    assert (world.ready(), world.ready("new")) == (("True", "Synced"), ("True", "Synced"))
    assert world.engine.livekit.trouble is None


@in_virtual_time
async def test_a_restart_during_an_outage_changes_nothing() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.restart()
    await world.elapse(600)
    assert (world.api_writes(), world.ready()) == ([], ("True", "Synced"))


@in_virtual_time
async def test_a_run_that_nothing_was_asked_of_says_nothing_of_an_outage() -> None:
    world = await World.in_step()
    world.livekit.always = DOWN
    await world.restart()
    world.api.strip_finalizer(NAMESPACE, NAME)
    await world.elapse(100)
    assert (world.api_writes(), world.ready()) == ([], ("True", "Synced"))
    world.livekit.always = None
    await world.elapse(700)
    assert world.api_writes() == [FINALIZER_PATCH]


@in_virtual_time
async def test_an_edit_during_an_outage_is_tried_at_once_whatever_the_back_off() -> None:
    world = await World.running()
    world.livekit.inject(Refuse(DOWN), "create")
    await world.apply()
    assert world.ready() == ("False", "LiveKitUnavailable")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.elapse(2)  # one probe serves all numbers
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_one_hanging_call_delays_nobody_else() -> None:
    world, released = await World.running(), asyncio.Event()
    world.livekit.inject(Hang(released), "create", Kind.OUTBOUND_TRUNK)
    world.api.apply(manifest())
    await asyncio.sleep(0.1)
    world.api.apply(manifest("other", phoneNumber="+15550100000"))
    await asyncio.sleep(0.1)
    assert world.ready("other") == ("True", "Synced")
    assert world.ready() == ("", "")
    released.set()
    await world.settle()
    assert world.ready() == ("True", "Synced")
