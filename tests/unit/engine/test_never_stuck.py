"""Situations in which an operator falls silent: each must end by itself, soon, and without harm to others."""

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

import pytest

from byoc_operator.api.resource import PhoneNumber
from byoc_operator.core.ownership import Mark, Owner, parse_mark
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip.faults import Refuse
from operated import NAME, NAMESPACE, PHONE, STATUS_PATCH, World, foreign, manifest
from virtual_time import in_virtual_time

DOWN = Unavailable("LiveKitUnavailable", "LiveKit cannot be reached.")


def _late_watch(world: World) -> None:
    """Events come 0.1 s after the fact, as kopf batches them."""
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


@in_virtual_time
async def test_an_outage_tells_nobody_that_another_object_holds_the_number() -> None:
    world = await World.running()
    await world.apply("older", sipPasswordSecretRef={"name": "missing", "key": "password"}, inboundAgentId=None)
    await world.elapse(2)
    await world.apply("younger", phoneNumber="+15550100000")
    assert world.ready("younger") == ("True", "Synced")
    await world.crash()
    world.livekit.always = DOWN
    await world.start()
    world.api.annotate(NAMESPACE, "older", refresh="1")
    await world.elapse(5)
    assert world.ready("younger") == ("True", "Synced")


@in_virtual_time
async def test_a_paused_number_does_not_say_that_its_unlabelled_secret_is_missing() -> None:
    world = await World.running()
    world.api.put_secret(NAMESPACE, "plain", {"username": "u", "password": "p"}, watched=False)
    await world.apply(annotations={"paused": "true"}, sipPasswordSecretRef={"name": "plain", "key": "password"})
    assert world.ready() == ("Unknown", "Paused")
    assert world.conditions()["CredentialsResolved"] == ("True", "Synced")


@in_virtual_time
async def test_what_passes_is_tried_again_although_something_else_was_refused_for_good() -> None:
    world = await World.in_step()
    world.livekit.inject(Refuse(Stalled("RejectedByLiveKit", "no")), "replace", Kind.OUTBOUND_TRUNK)
    world.livekit.inject(
        Refuse(Unavailable("LiveKitUnavailable", "later", outcome_unknown=True)), "replace", Kind.INBOUND_TRUNK
    )
    await world.apply(friendlyName="Support")
    assert world.ready() == ("False", "RejectedByLiveKit")
    await world.elapse(5)
    assert [trunk.name for trunk in world.inbound()] == ["Support"]


@in_virtual_time
async def test_a_thousand_copies_of_a_number_do_not_keep_its_holder_waiting() -> None:
    world = await World.in_step()
    for count in range(300):
        world.api.apply(manifest(f"copy-{count}"))
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await asyncio.sleep(0.5)
    assert [trunk.name for trunk in world.outbound()] == ["Support"]
    await world.elapse(60)
    assert {world.ready(f"copy-{count}") for count in range(300)} == {("False", "NumberClaimed")}
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_an_old_mark_for_another_number_claims_nothing() -> None:
    world = await World.running()
    await world.apply("evil", phoneNumber="+15550100000", deletionPolicy="Retain")
    world.api.delete(NAMESPACE, "evil")
    await world.settle()
    await world.apply("victim", sipPasswordSecretRef={"name": "not-yet", "key": "password"}, inboundAgentId=None)
    await world.elapse(2)
    await world.apply("evil")
    assert world.ready("evil") == ("False", "NumberClaimed")
    assert world.ready("victim") == ("False", "SecretNotFound")


@in_virtual_time
async def test_a_retained_trunk_stays_with_its_number_when_the_name_is_used_again() -> None:
    world = await World.running()
    await world.apply(deletionPolicy="Retain")
    kept = {each.id: each for each in world.livekit.objects()}
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply(phoneNumber="+15550100000")
    assert world.ready() == ("True", "Synced")
    trunks = [each for each in world.livekit.objects() if each.id in kept and each.kind is not Kind.DISPATCH_RULE]
    assert [trunk.numbers for trunk in trunks] == [(PHONE,), (PHONE,)]


@pytest.mark.parametrize("value", ['"\\ud800"', '{"a":1}', f'"{"x" * 600}"'], ids=["surrogate", "object", "long"])
def test_what_others_write_into_a_mark_never_comes_back_out_of_it(value: str) -> None:
    found = parse_mark(f'{{"managedBy":"byoc-operator","owner":"i/n/m","recreate":{value}}}')
    assert found == Mark(Owner("i", "n", "m"))
    assert found is not None
    assert found.dump().encode()
