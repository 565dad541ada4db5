"""What keeps a number from Ready: pause, Observe, a bad spec or Secret, a foreign trunk, a second object."""

from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import InboundTrunk, Kind
from operated import (
    NAME,
    NAMESPACE,
    PASSWORD,
    PHONE,
    STATUS_PATCH,
    USER,
    World,
    foreign,
    manifest,
)
from virtual_time import in_virtual_time

# What keeps a number from Ready


@in_virtual_time
async def test_paused_stops_writes_and_going_on_catches_up() -> None:
    world = await World.in_step()
    world.api.annotate(NAMESPACE, NAME, paused="true")
    world.api.edit(NAMESPACE, NAME, friendlyName="Support")
    await world.settle()
    assert world.livekit_writes() == []
    assert world.ready() == ("Unknown", "Paused")
    assert "Reconciling" not in world.conditions()
    world.api.annotate(NAMESPACE, NAME, paused=None)
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert world.outbound()[0].name == "Support"


@in_virtual_time
async def test_an_observer_says_what_would_change_and_writes_nothing() -> None:
    world = await World.running()
    world.forget_counts()
    await world.apply(managementPolicy="Observe")
    assert world.livekit_writes() == []
    assert world.api_writes() == [STATUS_PATCH]
    assert world.ready() == ("False", "ChangesPending")
    assert world.status()["pendingChanges"] == ["outboundTrunk", "inboundTrunk", "dispatchRule"]
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()


@in_virtual_time
async def test_an_invalid_spec_stalls_and_leaves_livekit_alone() -> None:
    world = await World.in_step()
    world.api.edit(NAMESPACE, NAME, terminationUri="sip:sip.example.com")
    await world.settle()
    assert world.ready() == ("False", "InvalidSpec")
    assert world.conditions()["Stalled"] == ("True", "InvalidSpec")
    assert world.livekit_writes() == []
    assert "write terminationUri: sip.example.com" in world.message()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_an_object_that_a_newer_rule_refuses_keeps_its_calls() -> None:
    """It was stored before the rule: nothing is deleted or changed, and it can be corrected or deleted."""
    world = await World.in_step()
    before = world.livekit.objects()
    world.api.edit(NAMESPACE, NAME, friendlyName="Main\u200b Line", inboundAgentId="agent\ufeff")
    await world.settle()
    assert world.ready() == ("False", "InvalidSpec")
    assert "spec.friendlyName: must not have characters that cannot be seen" in world.message()
    assert "it contains U+200B" in world.message()
    assert "it contains U+FEFF" in world.message()
    assert world.livekit.objects() == before
    assert world.livekit_writes() == []
    world.api.edit(NAMESPACE, NAME, friendlyName="Main Line", inboundAgentId="agent")
    await world.settle()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_password_with_a_hidden_character_is_not_written() -> None:
    world = await World.in_step()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "hunter2\u200b"})
    await world.settle()
    assert world.ready() == ("False", "SecretInvalid")
    assert "contains U+200B, a character that cannot be seen" in world.message()
    assert "hunter2" not in world.told()
    assert world.livekit_writes() == []
    assert world.livekit.stored_password(world.ids()[0]) == PASSWORD


@in_virtual_time
async def test_without_credentials_outbound_waits_and_inbound_follows() -> None:
    world = await World.in_step()
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": "with newline\n"})
    world.api.edit(NAMESPACE, NAME, friendlyName="Support", terminationUri="sip2.example.com")
    await world.settle()
    assert world.livekit_writes() == [("replace", Kind.INBOUND_TRUNK)]
    assert world.ready() == ("False", "SecretInvalid")
    assert world.conditions()["CredentialsResolved"] == ("False", "SecretInvalid")
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.settle()
    assert world.ready() == ("True", "Synced")
    assert world.outbound()[0].address == "sip2.example.com"


@in_virtual_time
async def test_a_secret_that_comes_later_takes_effect_at_once() -> None:
    world = World()
    await world.start()
    await world.apply()
    assert world.ready() == ("False", "SecretNotFound")
    assert [kind for _, kind in world.livekit_writes()] == [Kind.INBOUND_TRUNK, Kind.DISPATCH_RULE]
    world.forget_counts()
    await world.elapse(100)
    assert world.api_writes() == []
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    await world.settle()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_foreign_inbound_trunk_with_the_number_is_a_conflict_until_it_goes() -> None:
    world = await World.in_step()
    theirs = world.livekit.put(foreign(world.inbound()[0], name="theirs", metadata=""))
    await world.apply("other", phoneNumber="+15550100000")
    kept = world.livekit.put(foreign(world.inbound()[0], name="theirs", metadata="", numbers=("+1 (555) 010-0001",)))
    before = world.livekit.objects()
    await world.sweep()
    assert world.ready() == ("False", "NumberConflict")
    assert theirs in world.message()
    assert world.livekit.objects() == before
    await world.apply("third", phoneNumber="+15550100001")
    assert world.ready("third") == ("False", "NumberConflict")
    assert [each for each in world.outbound() if each.numbers == ("+15550100001",)] == []
    assert world.ids("third") == ("", "", "")
    assert [each.id for each in world.inbound() if "0001" in each.numbers[0]] == [kept]
    world.livekit.drop(theirs)
    world.livekit.drop(kept)
    await world.sweep()
    assert (world.ready(), world.ready("third")) == (("True", "Synced"), ("True", "Synced"))


@in_virtual_time
async def test_an_outbound_trunk_made_before_the_foreign_trunk_was_known_goes_again() -> None:
    world = await World.running()
    theirs = InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")
    world.livekit.put(theirs)  # our snapshot of LiveKit is older
    await world.apply()
    await world.elapse(3)  # LiveKit refuses the inbound trunk, and a new snapshot is taken
    assert (world.ready(), world.ids(), world.outbound()) == (("False", "NumberConflict"), ("", "", ""), [])
    await world.sweep()
    assert world.livekit.objects() == [theirs]
    world.livekit.drop(theirs.id)
    await world.sweep()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_an_outbound_trunk_that_was_in_step_stays_when_a_foreign_trunk_comes() -> None:
    world = await World.in_step(inboundAgentId=None)
    before = world.ids()
    world.livekit.put(InboundTrunk("theirs", "", (PHONE,), id="ST_theirs"))
    await world.sweep()
    world.api.edit(NAMESPACE, NAME, inboundAgentId="agent")
    await world.settle()
    assert (world.ready(), world.ids()) == (("False", "NumberConflict"), before)
    await world.sweep()
    assert [each.id for each in world.outbound()] == [before[0]]


# Two objects, one number


@in_virtual_time
async def test_the_younger_claimant_is_refused_and_takes_over_at_once() -> None:
    world = await World.in_step()
    await world.apply("claimant")
    assert world.ready("claimant") == ("False", "NumberClaimed")
    assert NAME in world.message("claimant")
    assert world.livekit_writes() == []
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.ready("claimant") == ("True", "Synced")
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-a/voice/claimant"}


@in_virtual_time
async def test_claimants_made_at_once_do_not_block_each_other() -> None:
    world = await World.running()
    world.api.apply(manifest())
    world.api.apply(manifest("claimant"))
    await world.settle()
    assert sorted([world.ready()[1], world.ready("claimant")[1]]) == ["NumberClaimed", "Synced"]
    assert len(world.livekit.objects()) == 3


@in_virtual_time
async def test_a_holder_without_finalizer_leaves_its_number_at_once() -> None:
    world = await World.running()
    await world.apply(inboundAgentId=None, sipPasswordSecretRef={"name": "not-yet", "key": "password"})
    assert "finalizers" not in world.raw()["metadata"]
    await world.apply("claimant")
    assert world.ready("claimant") == ("False", "NumberClaimed")
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.ready("claimant") == ("True", "Synced")


@in_virtual_time
async def test_who_holds_the_objects_keeps_the_number_before_an_older_one() -> None:
    world = await World.running()
    await world.apply(managementPolicy="Observe")
    await world.elapse(10)
    await world.apply("younger")
    assert world.ready("younger") == ("True", "Synced")
    world.forget_counts()
    world.api.edit(NAMESPACE, NAME, managementPolicy="Manage")
    await world.settle()
    assert (world.ready(), world.ready("younger")) == (("False", "NumberClaimed"), ("True", "Synced"))
    assert world.livekit_writes() == []


@in_virtual_time
async def test_a_holder_that_vanished_unseen_holds_nothing() -> None:
    world = await World.in_step()
    world.api.watch_numbers.clear()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    world.api.watch_numbers.append(world.engine.intake.number_event)
    await world.apply("claimant")
    await world.sweep()
    assert world.api.requests["GET", "byocphonenumbers"] >= 1
    # What the vanished object left carries its mark: that is for a person to release.
    assert world.ready("claimant") == ("False", "NumberClaimed")
    assert "left behind without its finalizer" in world.message("claimant")


@in_virtual_time
async def test_a_claimed_number_is_deleted_without_touching_the_holders_objects() -> None:
    world = await World.in_step()
    await world.apply("claimant")
    world.api.delete(NAMESPACE, "claimant")
    await world.settle()
    assert not world.exists("claimant")
    assert len(world.livekit.objects()) == 3
    assert world.ready() == ("True", "Synced")
