"""A status is never wrong, and is not written again for changes that do not concern its number."""

from byoc_operator.api.conditions import Reason
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip.faults import Refuse
from operated import NAMESPACE, World
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached.")


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
    world.livekit.inject(Refuse(Stalled(Reason.REJECTED_BY_LIVEKIT, "no")), "replace", Kind.OUTBOUND_TRUNK)
    world.livekit.inject(
        Refuse(Unavailable(Reason.LIVEKIT_UNAVAILABLE, "later", outcome_unknown=True)), "replace", Kind.INBOUND_TRUNK
    )
    await world.apply(friendlyName="Support")
    assert world.ready() == ("False", "RejectedByLiveKit")
    await world.elapse(5)
    assert [trunk.name for trunk in world.inbound()] == ["Support"]
