"""Changes by users and drift, and their effect in LiveKit."""

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import Refuse
from operated import (
    CREATES,
    DELETES,
    FINALIZER_PATCH,
    MASK,
    NAME,
    NAMESPACE,
    PASSWORD,
    STATUS_PATCH,
    USER,
    World,
    manifest,
)
from virtual_time import in_virtual_time


@in_virtual_time
async def test_what_is_made_carries_the_mark_and_the_password() -> None:
    world = await World.in_step()
    (outbound,), (inbound,), (rule,) = world.outbound(), world.inbound(), world.rules()
    assert {str(owner_of(each)) for each in (outbound, inbound, rule)} == {"cluster-a/voice/main"}
    assert (outbound.username, world.livekit.stored_password(outbound.id)) == (MASK(USER), PASSWORD)
    assert rule.trunk_ids == (inbound.id,)
    assert world.ids() == (outbound.id, inbound.id, rule.id)
    assert world.status()["observedGeneration"] == 1
    assert PASSWORD not in world.told()


@in_virtual_time
async def test_an_edit_replaces_in_place() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert world.ids() == before
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK), ("replace", Kind.INBOUND_TRUNK)]
    assert world.api_writes() == [STATUS_PATCH]
    assert world.status()["observedGeneration"] == 2


@in_virtual_time
async def test_without_an_agent_rule_and_inbound_trunk_go() -> None:
    world = await World.in_step()
    world.api.edit(NAMESPACE, NAME, inboundAgentId=None)
    await world.settle()
    assert world.livekit_writes() == DELETES[:2]
    assert world.ids()[1:] == ("", "")
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_new_password_replaces_the_outbound_trunk_at_once() -> None:
    world = await World.in_step()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "a new password"})
    await world.settle()
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK)]
    assert world.livekit.stored_password(world.ids()[0]) == "a new password"
    assert "a new password" not in world.told()
    assert world.event_reasons() == []


@in_virtual_time
async def test_a_touched_secret_with_the_same_values_changes_nothing() -> None:
    world = await World.in_step()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD, "note": "x"})
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_an_unlabelled_secret_is_noticed_at_the_sweep() -> None:
    world = await World.running()
    world.api.put_secret(NAMESPACE, "quiet", {"username": USER, "password": PASSWORD}, watched=False)
    await world.apply(sipPasswordSecretRef={"name": "quiet"})
    assert world.ready() == ("True", "Synced")
    world.api.put_secret(NAMESPACE, "quiet", {"username": USER, "password": "a new password"}, watched=False)
    await world.sweep()
    assert world.livekit.stored_password(world.ids()[0]) == "a new password"
    assert "CredentialsNotWatched" in [finding["code"] for finding in world.status()["findings"]]


@in_virtual_time
async def test_a_server_that_lists_no_passwords_is_not_written_to_again_and_again() -> None:
    world = await World.running(livekit=FakeLiveKit(seed=1, lists_passwords=False))
    await world.apply()
    world.forget_counts()
    await world.sweep()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    await world.crash()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "a new password"})
    await world.start()
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK)]
    assert world.livekit.stored_password(world.ids()[0]) == "a new password"
    world.forget_counts()
    await world.restart()
    assert world.livekit_writes() == []


@in_virtual_time
async def test_without_an_inbound_trunk_no_rule_is_made() -> None:
    """A rule without a trunk would let everybody in."""
    world = await World.running()
    refusal = Stalled(Reason.REJECTED_BY_LIVEKIT, "LiveKit refuses: something")
    world.livekit.inject(Refuse(refusal), "create", Kind.INBOUND_TRUNK)
    await world.apply()
    assert world.livekit_writes() == CREATES[:2]
    assert world.rules() == []
    await world.sweep()
    assert [rule.trunk_ids for rule in world.rules()] == [(world.ids()[1],)]


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
@in_virtual_time
async def test_deletion_of_a_paused_number_works(policy: str) -> None:
    world = await World.in_step()
    world.api.edit(NAMESPACE, NAME, deletionPolicy=policy)
    world.api.annotate(NAMESPACE, NAME, paused="true")
    await world.settle()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert len(world.livekit.objects()) == (3 if policy == "Retain" else 0)


@in_virtual_time
async def test_a_namespace_with_many_edits_does_not_keep_another_waiting() -> None:
    world = await World.running()
    for count in range(300):
        world.api.apply(manifest(f"n{count}", phoneNumber=f"+1555010{count:04}"))
    other = manifest("other", phoneNumber="+15550200000", sipPasswordSecretRef=None)
    other["metadata"]["namespace"] = "elsewhere"
    world.api.apply(other)
    await world.settle()
    order = [each.path.split("/")[5] for each in world.api.writes if each.resource == FINALIZER_PATCH.split()[1]]
    assert len(order) == 301
    assert order.index("elsewhere") < 10
