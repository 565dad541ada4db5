"""The operator makes its sealing keys: once, by one replica, and never where some may be lost."""

import asyncio

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.fake import Fail, FakeApi, Refuse
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.errors import Unavailable
from byoc_operator.sealing.keeper import Keeper
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import LOOK_S, SealingKeys
from operated import NAMESPACE, PASSWORD, SWEEP_S, SYSTEM, USER, World, now_s
from sealing_world import FORBIDDEN, Sealed, number, sealed_world, stored
from virtual_time import in_virtual_time

DOWN = Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the API server does not answer")


async def made_by(api: FakeApi, *, in_use: bool = False, may_create: bool = True) -> tuple[SealingKeys, list[str]]:
    """Keys after a look at them, and which Events that gave."""
    told: list[str] = []

    def say(reason: str, _note: str) -> None:
        told.append(reason)

    keys = SealingKeys(api, SYSTEM, asyncio.get_running_loop().time)
    keeper = Keeper(keys, say, SWEEP_S, may_create=may_create, count_bug=lambda: None)
    await keeper.look(Sealed("Secret voice/sip" if in_use else ""))
    return keys, told


@in_virtual_time
async def test_keys_are_made_where_there_are_none_and_it_is_said() -> None:
    api = FakeApi(now_s)
    keys, told = await made_by(api)
    assert keys.ring is not None
    assert (stored(api), told) == (keys.ring, ["SealingKeysMade"])


@in_virtual_time
async def test_two_replicas_that_race_end_with_the_same_key() -> None:
    api = FakeApi(now_s)
    (one, told), (two, told_too) = await asyncio.gather(made_by(api), made_by(api))
    assert one.ring == two.ring == stored(api) is not None
    assert sorted(told + told_too) == ["SealingKeysMade"]
    assert [each.method for each in api.writes] == ["POST", "POST"]


@in_virtual_time
async def test_a_post_whose_answer_is_lost_is_no_second_key() -> None:
    api = FakeApi(now_s)
    api.inject(Fail(DOWN, applied=True), "POST", "secrets")
    keys, told = await made_by(api)
    assert (keys.ring, told) == (None, [])
    made = stored(api)
    keys, told = await made_by(api)
    assert keys.ring == made is not None
    assert told == []


@pytest.mark.parametrize("fault", [FORBIDDEN, DOWN], ids=["403", "no answer"])
@in_virtual_time
async def test_no_key_is_made_after_anything_but_a_404(fault: Exception) -> None:
    api = FakeApi(now_s)
    api.inject(Fail(fault), "GET", "secrets")  # type: ignore[arg-type]  # both are OperatorErrors
    keys, _ = await made_by(api)
    assert (keys.ring, stored(api), api.writes) == (None, None, [])


@pytest.mark.parametrize(("in_use", "may_create", "events"), [(True, True, ["SealingKeysMissing"]), (False, False, [])])
@in_virtual_time
async def test_no_key_is_made_where_something_is_sealed_or_the_settings_forbid(
    events: list[str], *, in_use: bool, may_create: bool
) -> None:
    api = FakeApi(now_s)
    keys, told = await made_by(api, in_use=in_use, may_create=may_create)
    assert (keys.ring, stored(api), api.writes, told) == (None, None, [], events)


@in_virtual_time
async def test_a_refused_post_is_said_once_and_stops_nothing() -> None:
    world = World(ring=None)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD})
    for _ in range(50):
        world.api.inject(Refuse(403), "POST", "secrets")
    await world.start()
    await world.apply()
    await world.sweep()
    await world.sweep()
    assert world.ready() == ("True", "Synced")
    assert [each.split(":")[0] for each in world.troubles] == ["SealingKeysNotMade"]


@in_virtual_time
async def test_the_operator_makes_its_keys_before_it_works_and_once_only() -> None:
    world = await World.running(ring=None)
    made = stored(world.api)
    assert made is not None
    posts = [position for position, each in enumerate(world.api.writes) if each.resource == "secrets"]
    assert posts == [0]
    await world.restart()
    world.api.delete_secret(SYSTEM, KEYS_SECRET)
    await world.sweep()
    await world.sweep()
    assert stored(world.api) is None, "a process that knew keys makes no others"


@in_virtual_time
async def test_lost_keys_are_never_replaced_while_a_status_says_that_something_is_sealed() -> None:
    world = await sealed_world()
    world.api.delete_secret(SYSTEM, KEYS_SECRET)
    world.api.delete_secret(NAMESPACE, "sip")
    await world.restart()
    await world.sweep()
    assert stored(world.api) is None
    assert world.troubles[-1].startswith("SealingKeysMissing: there is no Secret byoc-system/byoc-sealing-keys")
    assert "the credentials of number voice/main" in world.troubles[-1]


@in_virtual_time
async def test_no_keys_are_made_while_a_number_names_a_sealed_secret_of_which_nobody_tells() -> None:
    world = World(ring=None)
    values = {"username": USER, "password": KeyRing.generate().seal(PASSWORD, NAMESPACE, Field.PASSWORD)}
    world.api.put_secret(NAMESPACE, "sip", values, watched=False)
    world.api.apply(number("main", "+15550100001", {"name": "sip", "key": "password"}))
    await world.start()
    await world.sweep()
    assert stored(world.api) is None
    assert [each.split(":")[0] for each in world.troubles] == ["SealingKeysMissing"]


@in_virtual_time
async def test_lost_keys_are_told_once_while_the_operator_still_has_them() -> None:
    world = await sealed_world()
    ring = world.ring
    assert ring is not None
    for _ in range(2):
        world.api.delete_secret(SYSTEM, KEYS_SECRET)
        for _ in range(3):
            await world.elapse(LOOK_S)
            await world.sweep()
        world.put_keys(ring)
        await world.elapse(LOOK_S)
        await world.sweep()
    assert [each.split(":")[0] for each in world.troubles] == ["SealingKeysMissing"] * 2
    assert "restore them before it restarts" in world.troubles[0]


@in_virtual_time
async def test_a_secret_that_cannot_be_read_for_a_moment_is_no_trace_and_delays_keys_for_seconds() -> None:
    world = World(ring=None)
    world.api.put_secret(NAMESPACE, "sip", {"username": USER, "password": PASSWORD}, watched=False)
    world.api.apply(number("main", "+15550100001", {"name": "sip", "key": "password"}))
    await world.start(settle=False)
    world.api.inject(Fail(DOWN), "GET", "secrets")
    await world.elapse(20)
    assert stored(world.api) is not None
    assert [each.split(":")[0] for each in world.troubles] == ["SealingKeysMade"]


@in_virtual_time
async def test_keys_that_are_lost_while_livekit_is_away_are_told_of() -> None:
    world = await sealed_world()
    world.livekit.always = DOWN
    await world.sweep()
    world.api.delete_secret(SYSTEM, KEYS_SECRET)
    await world.elapse(SWEEP_S * 2)
    assert "SealingKeysMissing" in [each.split(":")[0] for each in world.troubles]


@in_virtual_time
async def test_keys_are_made_although_livekit_is_away() -> None:
    world = World(ring=None)
    world.api.inject(Fail(DOWN), "POST", "secrets")
    world.livekit.always = DOWN
    await world.start()
    await world.elapse(60)
    assert stored(world.api) is not None
