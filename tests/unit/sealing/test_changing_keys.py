"""Sealing keys that change, go away or cannot be read."""

import asyncio
import json
from typing import Any

import pytest

from byoc_operator.api.conditions import Verdict
from byoc_operator.cluster.fake import FakeApi, Hold
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import KEYS_SECRET
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, LOOK_S, SealingKeys
from operated import NAMESPACE, PASSWORD, SYSTEM, USER, World, now_s
from sealing_world import FORBIDDEN, number, seal, sealed_world
from virtual_time import in_virtual_time


@pytest.mark.parametrize("times", [1, 2, 5])
@in_virtual_time
async def test_a_rotation_needs_no_restart_and_no_number_leaves_ready(times: int) -> None:
    world = await sealed_world()
    left: list[str] = []
    world.api.watch_numbers.append(lambda _kind, raw: left.append(json.dumps(raw["status"]["conditions"])))
    for _ in range(times):
        assert world.ring is not None
        world.put_keys(world.ring.rotated())
        seal(world)
        await world.elapse(0.1)
    await world.elapse(LOOK_S * 3)
    assert world.ready() == ("True", "Synced")
    assert [each for each in left if "SealingKeyUnknown" in each] == []
    assert world.livekit_writes() == []
    assert world.ports.keeper.keys.ring == world.ring


@in_virtual_time
async def test_a_new_password_under_a_new_key_arrives_within_seconds() -> None:
    world = await sealed_world()
    assert world.ring is not None
    world.put_keys(world.ring.rotated())
    seal(world, "another-password")
    await world.elapse(LOOK_S * 2)
    assert world.outbound()[0].password == world.ports.mask("another-password")


@in_virtual_time
async def test_unknown_keys_cost_one_look_in_a_while_however_many_values_have_them() -> None:
    world = await World.running()
    for index in range(40):
        values = {"username": USER, "password": KeyRing.generate().seal("x", NAMESPACE, Field.PASSWORD)}
        world.api.put_secret(NAMESPACE, f"sip-{index}", values)
        ref = {"name": f"sip-{index}", "key": "password"}
        world.api.apply(number(f"n{index}", f"+155501000{index:02}", ref))
    world.forget_counts()
    await world.elapse(LOOK_S * 5)
    looks = [each for each in world.api.requests.items() if each[0] == ("GET", "secrets")]
    assert looks[0][1] <= 40 * 3 + 6
    assert {world.ready(f"n{index}") for index in range(40)} == {("False", "SealingKeyUnknown")}
    world.forget_counts()
    await world.elapse(100)
    assert world.api.requests["GET", "secrets"] == 0, "nothing is asked between sweeps"


@in_virtual_time
async def test_keys_that_are_deleted_stay_in_use_and_restored_late_they_open_all_again() -> None:
    world = await sealed_world()
    ring = world.ring
    assert ring is not None
    world.api.delete_secret(SYSTEM, KEYS_SECRET)
    await world.sweep()
    seal(world, "a-new-one")
    await world.elapse(LOOK_S * 2)
    assert (world.ready(), world.outbound()[0].password) == (("True", "Synced"), world.ports.mask("a-new-one"))
    await world.restart()
    assert world.ready() == ("False", "SealingKeyUnknown")
    assert "there is no Secret byoc-system/byoc-sealing-keys" in world.message()
    assert len(world.outbound()) == 1, "what works in LiveKit goes on working"
    world.put_keys(ring)
    await world.sweep()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_keys_that_may_not_be_read_are_named_and_read_when_they_may() -> None:
    api = Forbidding(now_s)
    world = World(api=api)
    seal(world)
    await world.start()
    await world.apply()
    await world.elapse(LOOK_S * 2)
    assert world.ready() == ("False", "SealingKeyUnknown")
    assert "the operator may not read Secret byoc-system/byoc-sealing-keys (HTTP 403)" in world.message()
    await world.sweep()
    api.forbids = False
    await world.sweep()
    assert world.ready() == ("True", "Synced")
    assert [each for each in world.api.writes if each.resource == "secrets"] == []


class Forbidding(FakeApi):
    """An API server that lets nobody read the sealing keys, while `forbids`."""

    forbids = True

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        if self.forbids and path.endswith(KEYS_SECRET):
            raise FORBIDDEN
        return await super().request(method, path, resource=resource, body=body, content_type=content_type)


@pytest.mark.parametrize("text", ["", "not a key", "\xff"])
@in_virtual_time
async def test_keys_that_cannot_be_read_are_left_as_they_are_and_the_line_is_named(text: str) -> None:
    world = World(ring=None)
    world.ring = KeyRing.generate()
    seal(world)
    world.api.put_secret(SYSTEM, KEYS_SECRET, {DATA_KEY: text.encode("latin-1")}, watched=False)
    await world.start()
    await world.apply()
    await world.elapse(LOOK_S * 2)
    assert world.ready() == ("False", "SealingKeyUnknown")
    assert "Secret byoc-system/byoc-sealing-keys cannot be used: " in world.message()
    assert world.api.writes == [] or all(each.resource != "secrets" for each in world.api.writes)
    world.put_keys(world.ring)
    await world.sweep()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_look_that_hangs_holds_up_only_who_needs_it() -> None:
    world = await World.in_step()
    assert world.ring is not None
    released = asyncio.Event()
    await world.elapse(LOOK_S)
    values = {"username": USER, "password": world.ring.rotated().seal("x", NAMESPACE, Field.PASSWORD)}
    world.api.put_secret(NAMESPACE, "other", values)
    await world.settle()
    world.api.apply(number("n1", "+15550100001", {"name": "other", "key": "password"}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.api.inject(Hold(released), "GET", "secrets")
    await asyncio.sleep(0.1)
    world.api.edit(NAMESPACE, "main", friendlyName="Still served")
    await asyncio.sleep(1)
    assert world.outbound()[0].name == "Still served"
    released.set()
    await world.elapse(LOOK_S * 2)
    assert world.ready("n1") == ("False", "SealingKeyUnknown")


@in_virtual_time
async def test_no_number_may_use_the_sealing_keys_as_a_password() -> None:
    world = await World.running()
    world.api.put_secret(NAMESPACE, KEYS_SECRET, {"username": USER, "password": PASSWORD})
    await world.apply(sipPasswordSecretRef={"name": KEYS_SECRET, "key": "password"})
    assert world.ready() == ("False", "SecretInvalid")
    assert "sealing keys" in world.message()


@in_virtual_time
async def test_a_value_before_any_look_is_not_opened() -> None:
    keys = SealingKeys(FakeApi(now_s), SYSTEM)
    found = keys.open("fernet:x", NAMESPACE, Field.PASSWORD)
    assert isinstance(found, Verdict)
    assert "has not yet read its keys" in found.message
