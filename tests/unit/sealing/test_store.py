"""The operator and its sealing keys: made once and by one, read again when needed, and what numbers say meanwhile."""

import asyncio
import json
from typing import Any

import pytest

from byoc_operator.api.conditions import Verdict
from byoc_operator.cluster.api import ApiRefused
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.core.credentials import KEYS_SECRET, Field, SecretRules
from byoc_operator.core.desired import Installation
from byoc_operator.errors import Unavailable
from byoc_operator.sealing.sealed import KeyRing
from byoc_operator.sealing.store import DATA_KEY, LOOK_S, SealingKeys, keys_in
from operated import NAMESPACE, PASSWORD, SPEC, SWEEP_S, SYSTEM, USER, World, now_s
from virtual_time import in_virtual_time

FORBIDDEN = ApiRefused("KubernetesRefused", "GET secrets: 403", status=403)
DOWN = Unavailable("KubernetesUnavailable", "the API server does not answer")


def stored(api: FakeApi) -> KeyRing | None:
    raw = api._objects.get(("secrets", SYSTEM, KEYS_SECRET))
    return None if raw is None else keys_in(raw)


async def made_by(api: FakeApi, *, in_use: bool = False, may_create: bool = True) -> tuple[SealingKeys, list[str]]:
    """Keys after a look at them, and which Events that gave."""
    told: list[str] = []

    async def say(reason: str, _note: str) -> None:
        told.append(reason)

    async def used(_thorough: bool) -> str:  # noqa: FBT001 - `InUse`
        return "Secret voice/sip" if in_use else ""

    keys = SealingKeys(api, SYSTEM, may_create=may_create, clock=asyncio.get_running_loop().time)
    await keys.keep(used, say)
    return keys, told


async def sealed_world(**parts: Any) -> World:
    """One number in step on sealed credentials."""
    world = World(**parts)
    seal(world)
    await world.start()
    await world.apply()
    assert world.ready() == ("True", "Synced")
    await world.elapse(5)
    world.forget_counts()
    return world


def seal(world: World, password: str = PASSWORD) -> None:
    values = {"username": world.seal(USER, Field.USERNAME), "password": world.seal(password)}
    world.api.put_secret(NAMESPACE, "sip", values)


def codes(world: World) -> list[str]:
    return [each["code"] for each in world.status().get("findings", ())]


# Making them


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
    with pytest.raises(Unavailable):
        await made_by(api)
    made = stored(api)
    keys, told = await made_by(api)
    assert keys.ring == made is not None
    assert told == []


@pytest.mark.parametrize("fault", [FORBIDDEN, DOWN], ids=["403", "no answer"])
@in_virtual_time
async def test_no_key_is_made_after_anything_but_a_404(fault: Exception) -> None:
    api = FakeApi(now_s)
    api.inject(Fail(fault), "GET", "secrets")  # type: ignore[arg-type]  # both are OperatorErrors
    try:
        keys, _ = await made_by(api)
        assert keys.ring is None
    except Unavailable:
        assert fault is DOWN
    assert (stored(api), api.writes) == (None, [])


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
        world.api.inject(Fail(FORBIDDEN), "POST", "secrets")
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


# Using them


@in_virtual_time
async def test_sealed_credentials_arrive_opened_and_leave_no_finding() -> None:
    world = await sealed_world()
    trunk = world.outbound()[0]
    assert (trunk.username, trunk.password) == (world.ports.mask(USER), world.ports.mask(PASSWORD))
    assert world.status()["credentials"]["sealed"] is True
    assert "CredentialsPlainText" not in codes(world)
    assert PASSWORD not in world.told()


@in_virtual_time
async def test_plain_credentials_work_and_give_a_finding() -> None:
    world = await World.in_step()
    assert world.status()["credentials"]["sealed"] is False
    assert "CredentialsPlainText" in codes(world)


@in_virtual_time
async def test_sealing_what_was_plain_changes_the_status_and_nothing_in_livekit() -> None:
    world = await World.in_step()
    seal(world)
    await world.elapse(5)
    assert (world.ready(), world.livekit_writes()) == (("True", "Synced"), [])
    assert world.status()["credentials"]["sealed"] is True
    assert "CredentialsPlainText" not in codes(world)


@in_virtual_time
async def test_where_sealing_is_required_plain_text_is_refused_until_it_is_sealed() -> None:
    strict = Installation(("cluster-a",), "livekit.example.com", secret_rules=SecretRules(sealed_only=True))
    world = await World.running(installation=strict)
    await world.apply()
    assert world.ready() == ("False", "PlainTextRefused")
    assert world.outbound() == []
    values = {"username": USER, "password": world.seal(PASSWORD)}
    world.api.put_secret(NAMESPACE, "sip", values)
    await world.elapse(5)
    assert "key `username`: the value is not sealed" in world.message()
    await world.apply(sipUsername=USER)  # then the Secret's own is not used
    assert world.ready() == ("True", "Synced")


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (lambda world: world.seal(PASSWORD, namespace="sales"), "SealedForAnotherUse", "another namespace"),
        (lambda world: world.seal(PASSWORD, Field.USERNAME), "SealedForAnotherUse", "as user name"),
        (lambda _: KeyRing.generate().seal(PASSWORD, NAMESPACE, Field.PASSWORD), "SealingKeyUnknown", "a key that"),
        (lambda world: world.seal(PASSWORD)[:-7], "SecretInvalid", "is cut"),
        (lambda world: world.seal(PASSWORD) + "\n", "SecretInvalid", "ends with a newline"),
        (lambda world: world.seal(PASSWORD + "\n"), "SecretInvalid", "ends with a newline"),
        (lambda world: world.seal("x" * 257), "SecretInvalid", "longer than 256 bytes"),
        (lambda world: world.seal(""), "SecretInvalid", "empty"),
    ],
)
@in_virtual_time
async def test_what_cannot_be_used_says_why_and_leaves_livekit_alone(spoil: Any, reason: str, words: str) -> None:
    world = await sealed_world()
    world.api.put_secret(NAMESPACE, "sip", {"username": world.seal(USER, Field.USERNAME), "password": spoil(world)})
    await world.elapse(LOOK_S * 2)
    assert world.ready() == ("False", reason)
    assert world.message().startswith("Secret voice/sip, key `password`: the")
    assert words in world.message()
    assert world.livekit_writes() == []
    assert PASSWORD not in world.told()
    seal(world)
    await world.elapse(LOOK_S * 2)
    assert (world.ready(), world.livekit_writes()) == (("True", "Synced"), [])


# When they change


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
    assert world.ports.secrets.keys.ring == world.ring


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


def number(name: str, phone: str, ref: dict[str, str]) -> dict[str, Any]:
    spec = {**SPEC, "phoneNumber": phone, "sipPasswordSecretRef": ref}
    return {"metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}


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
    keys = SealingKeys(FakeApi(now_s), SYSTEM, may_create=False)
    found = keys.open("fernet:x", NAMESPACE, Field.PASSWORD)
    assert isinstance(found, Verdict)
    assert "has not yet read its keys" in found.message
