"""Changes that no watch event reports: the operator notices each of them soon."""

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

from byoc_operator.api.conditions import Reason
from byoc_operator.api.resource import PhoneNumber
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, STATUS_PATCH, World, foreign, manifest
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")


def _late_watch(world: World) -> None:
    """Events come 0.1 s after the change, because kopf batches them."""
    loop, tell = asyncio.get_running_loop(), world.engine.intake.number_event

    def later(kind: str, raw: Any) -> None:
        loop.call_later(0.1, tell, kind, copy.deepcopy(raw))

    world.api.watch_numbers[:] = [later]


def _before_the_first_status_patch(world: World, act: Any) -> None:
    """Have the user act between a run's judgement and its status PATCH."""
    numbers = world.ports.numbers
    patch_status = numbers.patch_status
    acted: list[object] = []

    async def hooked(number: PhoneNumber, patch: Mapping[str, Any]) -> dict[str, Any]:
        if not acted:
            acted.append(act())
        return await patch_status(number, patch)

    object.__setattr__(numbers, "patch_status", hooked)


@in_virtual_time
async def test_an_edit_first_seen_in_the_answer_to_our_own_patch_is_worked_on_at_once() -> None:
    world = await World.in_step()
    _late_watch(world)
    _before_the_first_status_patch(world, lambda: world.api.apply(manifest(friendlyName="Second")))
    await world.apply(friendlyName="First")
    await world.elapse(2)
    assert [trunk.name for trunk in world.outbound()] == ["Second"]
    assert world.status()["observedGeneration"] == world.raw()["metadata"]["generation"]


@in_virtual_time
async def test_a_deletion_first_seen_in_the_answer_to_our_own_patch_is_worked_on_at_once() -> None:
    world = await World.in_step()
    _late_watch(world)
    _before_the_first_status_patch(world, lambda: world.api.delete(NAMESPACE, NAME))
    await world.apply(friendlyName="First")
    await world.elapse(2)
    assert not world.exists()
    assert world.livekit.objects() == []


@in_virtual_time
async def test_a_start_without_livekit_judges_what_happened_meanwhile() -> None:
    world = await World.in_step()
    await world.crash()
    world.api.apply(manifest(annotations={"force-orphan": "true"}))
    world.api.delete(NAMESPACE, NAME)
    world.api.apply(manifest("new", phoneNumber="+15550100000"))
    world.livekit.always = DOWN
    await world.start()
    await world.elapse(5)
    assert not world.exists()
    assert world.ready("new") == ("False", "LiveKitUnavailable")


@in_virtual_time
async def test_a_recreate_asked_for_while_the_secret_is_missing_is_done_when_it_is_back() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.delete_secret(NAMESPACE, "sip")
    await world.elapse(2)
    world.api.apply(manifest(annotations={"recreate": "1"}))
    await world.settle()
    assert world.ready() == ("False", "SecretNotFound")
    assert world.ids() == before
    world.api.put_secret(NAMESPACE, "sip", {"username": "u", "password": "p"})
    await world.elapse(40)
    assert world.ready() == ("True", "Synced")
    assert set(world.ids()).isdisjoint(before)
    assert world.status()["lastHandledRecreate"] == "1"


@in_virtual_time
async def test_a_claimant_takes_over_although_nobody_told_that_the_holder_vanished() -> None:
    world = await World.running()
    world.api.apply(manifest("older", inboundAgentId=None, sipPasswordSecretRef={"name": "not-yet", "key": "password"}))
    await world.settle()
    await world.elapse(2)
    world.api.apply(manifest("younger"))
    await world.settle()
    assert world.ready("younger") == ("False", "NumberClaimed")
    watching, world.api.watch_numbers[:] = world.api.watch_numbers[:], []
    world.api.delete(NAMESPACE, "older")
    world.api.watch_numbers[:] = watching
    await world.sweep()
    assert world.ready("younger") == ("True", "Synced")


@in_virtual_time
async def test_foreign_rules_that_come_and_go_rewrite_no_status() -> None:
    world = await World.in_step()
    rule = world.rules()[0]
    for turn in range(3):
        world.livekit.put(foreign(rule, name=f"somebody's {turn}", trunk_ids=()))
        await world.sweep()
    assert world.api_writes() == [STATUS_PATCH]  # the finding appears once, whoever's rule it is
