"""What the engine tells of its numbers: reasons, findings, credentials, the time to the first Ready, waits."""

from byoc_operator.api.conditions import LIVEKIT_AS_A_WHOLE, Reason
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.core.findings import Code
from byoc_operator.core.trunk import Kind
from byoc_operator.engine.gauges import per_number
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip.faults import Refuse
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.telemetry.table import LED
from operated import NAME, NAMESPACE, PHONE, SYSTEM, World, candidate, manifest, now_s
from virtual_time import in_virtual_time


def sample(world: World, name: str, **labels: str) -> float | None:
    return world.ports.metrics.registry.get_sample_value(name, labels)


def measured(world: World) -> tuple[float | None, float | None]:
    """How many first Readys were measured, and their sum of seconds."""
    return sample(world, "byoc_first_ready_seconds_count"), sample(world, "byoc_first_ready_seconds_sum")


# --- the time to the first Ready


@in_virtual_time
async def test_the_first_ready_is_measured_from_the_creation_of_the_object() -> None:
    world = await World.running()
    await world.elapse(1)
    await world.apply()
    count, seconds = measured(world)
    assert (count, seconds is not None and seconds < 2) == (1, True)


@in_virtual_time
async def test_a_number_that_is_ready_again_is_not_measured_again() -> None:
    world = await World.in_step()
    await world.apply(terminationUri="sip:x")
    assert world.ready()[0] == "False"
    await world.apply()
    assert (world.ready(), measured(world)[0]) == (("True", "Synced"), 1)


@in_virtual_time
async def test_what_the_user_had_to_correct_counts_from_the_creation_too() -> None:
    world = await World.running()
    await world.apply(terminationUri="sip:x")
    assert measured(world)[0] == 0
    await world.elapse(100)
    await world.apply()
    count, seconds = measured(world)
    assert (count, seconds is not None and 100 <= seconds < 110) == (1, True)


@in_virtual_time
async def test_after_a_restart_no_number_is_measured_that_has_a_status() -> None:
    world = await World.running()
    await world.apply()
    await world.apply("late", phoneNumber="+19876543211", terminationUri="sip:x")
    await world.restart()
    await world.apply("late", phoneNumber="+19876543211")
    assert world.ready("late") == ("True", "Synced")
    assert measured(world)[0] == 0, "nobody can tell whether it was Ready before"
    await world.apply("new", phoneNumber="+19876543212")
    assert measured(world)[0] == 1


@in_virtual_time
async def test_an_object_of_the_same_name_is_another_one() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply()
    assert (world.ready(), measured(world)[0]) == (("True", "Synced"), 2)


# --- findings, credentials, each number


@in_virtual_time
async def test_findings_are_counted_as_they_come_and_go() -> None:
    world = await World.in_step()
    assert sample(world, "byoc_findings", code=Code.NO_INBOUND_AGENT) == 0
    await world.apply("other", phoneNumber="+19876543211", inboundAgentId=None)
    assert sample(world, "byoc_findings", code=Code.NO_INBOUND_AGENT) == 1
    assert all(sample(world, "byoc_findings", code=code) is not None for code in Code)
    world.api.delete(NAMESPACE, "other")
    await world.settle()
    assert sample(world, "byoc_findings", code=Code.NO_INBOUND_AGENT) == 0
    (left,) = world.ports.cache.all()
    assert world.ports.cache.findings().keys() == {each.code for each in left.status.findings}


@in_virtual_time
async def test_the_age_of_the_oldest_credentials_is_that_of_a_secret_in_use() -> None:
    world = await World.running()
    assert sample(world, "byoc_credentials_oldest_seconds") == 0, "no number uses one"
    await world.apply()
    await world.elapse(1000)
    age = sample(world, "byoc_credentials_oldest_seconds")
    assert age is not None
    assert 1000 <= age < 1100


@in_virtual_time
async def test_a_number_has_one_series_whatever_becomes_of_it() -> None:
    world = await World.in_step()
    assert per_number(world.ports.cache) == {(NAMESPACE, NAME, PHONE, "Synced"): 1}
    await world.apply(terminationUri="sip:x")
    assert per_number(world.ports.cache) == {(NAMESPACE, NAME, PHONE, "InvalidSpec"): 0}


# --- LiveKit and the servers' requests to wait


@in_virtual_time
async def test_the_fault_of_livekit_is_named() -> None:
    world = await World.in_step()
    assert [sample(world, "byoc_livekit_trouble", reason=each) for each in LIVEKIT_AS_A_WHOLE] == [0] * 5
    world.livekit.always = Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit refuses the key", server_wide=True)
    await world.sweep()
    assert sample(world, "byoc_livekit_trouble", reason="LiveKitUnauthorized") == 1
    assert sample(world, "byoc_livekit_trouble", reason="LiveKitUnavailable") == 0
    assert sample(world, "byoc_livekit_up") == 0


@in_virtual_time
async def test_waits_that_a_server_asks_for_are_counted() -> None:
    world = await World.running()
    limited = Unavailable(Reason.LIVEKIT_RATE_LIMITED, "LiveKit limits the requests", retry_after_s=7.0)
    world.livekit.inject(Refuse(limited), "create", Kind.OUTBOUND_TRUNK)
    world.api.apply(manifest())
    await world.elapse(30)
    assert world.ready() == ("True", "Synced")
    assert sample(world, "byoc_throttled_total", server="livekit") == 1
    assert sample(world, "byoc_throttled_seconds_total", server="livekit") == 7
    assert sample(world, "byoc_throttled_total", server="kubernetes") == 0


# --- who exports what


@in_virtual_time
async def test_who_stands_by_exports_nothing_of_what_the_leader_knows() -> None:
    api = FakeApi(now_s)
    world = await World.running(api=api, leader=candidate(api, "a"))
    await world.apply()
    found = {family.name: family.samples for family in world.ports.metrics.registry.collect()}
    assert [name for name in LED if name != "byoc_livekit_unreadable" and not found[name]] == []
    standby = World(livekit=world.livekit, api=api, leader=candidate(api, "b"))
    await standby.start()
    found = {family.name: family.samples for family in standby.ports.metrics.registry.collect()}
    assert [name for name in LED if found.get(name)] == []


@in_virtual_time
async def test_lost_sealing_keys_are_told_apart_from_keys_that_were_never_made() -> None:
    world = await World.running(ring=None, makes_keys=False)
    assert (sample(world, "byoc_sealing_keys_readable"), sample(world, "byoc_sealing_keys_lost")) == (0, 0)
    world.put_keys(KeyRing.generate())
    await world.sweep()
    assert (sample(world, "byoc_sealing_keys_readable"), sample(world, "byoc_sealing_keys_lost")) == (1, 0)
    world.api.delete_secret(SYSTEM, "byoc-sealing-keys")
    await world.sweep()
    assert (sample(world, "byoc_sealing_keys_readable"), sample(world, "byoc_sealing_keys_lost")) == (0, 1)
