"""The release annotation on the Lease: the leader deletes the named LiveKit objects that belong to no object."""

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import RELEASE
from byoc_operator.api.resource import Key
from byoc_operator.cli.kubectl_byoc import kubectl_byoc
from byoc_operator.cli.outside import Outside
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import FakeApi, Refuse
from byoc_operator.cluster.reading import Unreadable
from byoc_operator.core.orphans import MAX_RELEASED, asked_to_release, is_livekit_id
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Unavailable
from operated import LEASE, NAME, NAMESPACE, PHONE, SYSTEM, World, candidate
from strategies import QUICK
from two_claims import ELSEWHERE, TwoClaims, claimant
from virtual_time import in_virtual_time

SYNCED = ("True", "Synced")
PATH = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{LEASE}"


async def elected(**parts: Any) -> TwoClaims:
    world = TwoClaims(**parts)
    world.leader = candidate(world.api, "p1")
    world.api.put_secret(NAMESPACE, "sip", {"username": "u", "password": "p"})
    world.api.put_secret(ELSEWHERE, "sip", {"username": "u", "password": "p"})
    await world.start()
    await world.elapse(2)
    return world


async def release(world: World, *ids: str, key: str = RELEASE) -> None:
    """As `kubectl annotate lease`; the leader reads its Lease every few seconds."""
    patch = {"metadata": {"annotations": {key: ",".join(ids)}}}
    await world.api.request("PATCH", PATH, resource="leases", body=patch, content_type="application/merge-patch+json")
    await world.elapse(8)


async def retained(world: World) -> tuple[str, ...]:
    await world.apply(deletionPolicy="Retain")
    ids = world.ids()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    return ids


@in_virtual_time
async def test_what_was_retained_is_deleted_and_whoever_waits_has_the_number_at_once() -> None:
    world = await elected()
    outbound, inbound, _ = await retained(world)
    world.api.apply(claimant())
    await world.settle()
    assert world.told_claimant()[0] == "NumberClaimed"
    await release(world, outbound, inbound)
    assert world.told_claimant()[0] == "Synced"
    assert [world.inbound()[0].numbers, world.outbound()[0].numbers] == [(PHONE,), (PHONE,)]
    assert len(world.livekit.objects()) == 3  # the rule went with its trunk
    assert not {outbound, inbound} & {each.id for each in world.livekit.objects()}


@in_virtual_time
async def test_an_orphan_is_released_too() -> None:
    world = await elected()
    await world.apply()
    ids = world.ids()
    world.api.strip_finalizer(NAMESPACE, NAME)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await release(world, *ids)
    assert world.livekit.objects() == []


@in_virtual_time
async def test_what_somebody_looks_after_stays_whatever_is_asked() -> None:
    world = await elected()
    await world.apply()
    theirs = world.livekit.put(OutboundTrunk("theirs", "{}", "h", "TLS", (PHONE,), id="ST_theirs"))
    other = Mark(Owner("cluster-z", NAMESPACE, "x")).dump()
    world.livekit.put(OutboundTrunk("other", other, "h", "TLS", (PHONE,), id="ST_other"))
    before = world.livekit.objects()
    await release(world, *world.ids(), theirs, "ST_other", "ST_nowhere", "nonsense", "*")
    await world.sweep()
    assert (world.livekit.objects(), world.ready()) == (before, SYNCED)


@in_virtual_time
async def test_an_id_that_is_not_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = await elected()
    ids = await retained(world)
    world.livekit.put(OutboundTrunk("theirs", "{}", "h", "TLS", (PHONE,), id="ST_theirs"))
    await release(world, *ids, "ST_theirs", "ST_oops")
    for _ in range(3):
        await world.sweep()
    told = [each.getMessage() for each in caplog.records if "nothing to release" in each.getMessage()]
    assert [each.rpartition(": ")[2] for each in told] == ["ST_oops, ST_theirs"]
    await release(world, "ST_oops")
    await release(world, "ST_another", "ST_oops")
    await world.sweep()
    told = [each.getMessage() for each in caplog.records if "nothing to release" in each.getMessage()]
    assert [each.rpartition(": ")[2] for each in told] == ["ST_oops, ST_theirs", "ST_another"]


@in_virtual_time
async def test_an_object_that_the_operator_has_not_heard_of_is_looked_for_first() -> None:
    world = await elected()
    ids = await retained(world)
    before = world.livekit.objects()
    watching, world.api.watch_numbers[:] = world.api.watch_numbers[:], []
    await world.apply()
    await release(world, *ids)
    assert world.livekit.objects() == before
    world.api.watch_numbers[:] = watching
    await world.sweep()
    assert (world.ready(), world.ids()) == (SYNCED, ids)


@in_virtual_time
async def test_renewing_keeps_the_annotation_and_everybody_elses() -> None:
    world = await elected()
    await release(world, "ST_x", key="somebody.example/else")
    await release(world, "ST_x")
    await world.elapse(60)
    lease = world.api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["metadata"]["annotations"] == {"somebody.example/else": "ST_x", RELEASE: "ST_x"}
    assert world.engine.leading


@in_virtual_time
async def test_it_is_read_when_a_leader_takes_over_and_costs_no_request() -> None:
    world = await elected()
    ids = await retained(world)
    await world.crash()
    world.leader = candidate(world.api, "p2")
    patch = {"metadata": {"annotations": {RELEASE: ",".join(ids)}}}
    await world.api.request("PATCH", PATH, resource="leases", body=patch, content_type="application/merge-patch+json")
    await world.start()
    await world.elapse(30)
    assert world.livekit.objects() == []
    world.forget_counts()
    await world.elapse(60)
    assert set(world.api.requests) <= {("PUT", "leases")}


@in_virtual_time
async def test_while_livekit_is_down_it_waits_for_a_sweep() -> None:
    world = await elected()
    ids = await retained(world)
    world.livekit.always = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "down")
    await release(world, *ids)
    assert not world.engine.tasks.died.done()
    world.livekit.always = None
    await world.sweep()
    await world.sweep()
    assert world.livekit.objects() == []


@in_virtual_time
async def test_an_id_that_cannot_be_judged_keeps_no_other_one_and_is_no_word_about_livekit() -> None:
    world = await elected()
    first = await retained(world)
    await world.apply("second", phoneNumber="+15550100000", deletionPolicy="Retain")
    second = world.ids("second")
    world.api.delete(NAMESPACE, "second")
    await world.settle()
    down = True
    get = world.ports.numbers.get

    async def hooked(key: Key) -> Any:
        if down and key.name == NAME:
            raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, "down")
        return await get(key)

    object.__setattr__(world.ports.numbers, "get", hooked)
    await release(world, *first, *second)
    await world.sweep()
    assert sorted(each.id for each in world.livekit.objects()) == sorted(first)
    assert world.engine.livekit.trouble is None
    assert not any("Kubernetes" in each for each in world.troubles)
    down = False
    await world.sweep()
    assert world.livekit.objects() == []


@in_virtual_time
async def test_an_object_that_cannot_be_read_is_there() -> None:
    world = await elected()
    first = await retained(world)
    before = world.livekit.objects()

    async def hooked(key: Key) -> Any:
        raise Unreadable("too deep", "byocphonenumbers", key.namespace, key.name, "1")

    object.__setattr__(world.ports.numbers, "get", hooked)
    await release(world, *first)
    await world.sweep()
    assert world.livekit.objects() == before
    assert world.engine.livekit.trouble is None


@QUICK
@given(st.text())
def test_any_annotation_is_read_without_harm(text: str) -> None:
    found = asked_to_release(text)
    assert len(found) <= MAX_RELEASED
    assert all(map(is_livekit_id, found))


def test_an_annotation_is_bounded() -> None:
    assert len(asked_to_release(",".join(f"ST_{count}" for count in range(100_000)))) == MAX_RELEASED
    assert asked_to_release(" ST_a,, SDR_b ,ST_a,ST_,ST_a b,XX_c") == ("ST_a", "SDR_b")


# kubectl byoc release


def run(api: FakeApi, *args: str) -> Result:
    async def connect(access: Access) -> tuple[FakeApi, str]:  # noqa: ARG001 - as it is
        return api, "from-context"

    result = CliRunner().invoke(kubectl_byoc, args, obj=Outside(connect))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def with_lease(name: str = LEASE) -> FakeApi:
    api = FakeApi(lambda: 1_800_000_000.0)
    body = {"metadata": {"namespace": SYSTEM, "name": name}, "spec": {"holderIdentity": "p1"}}
    asyncio.run(api.request("POST", PATH.rpartition("/")[0], resource="leases", body=body))
    return api


def annotation(api: FakeApi, name: str = LEASE) -> str:
    lease = api.lease(SYSTEM, name)
    assert lease is not None
    return str(lease["metadata"].get("annotations", {}).get(RELEASE, ""))


def test_the_command_adds_to_what_was_asked_before() -> None:
    api = with_lease()
    assert run(api, "release", "ST_a", "SDR_b").exit_code == 0
    assert run(api, "release", "ST_c", "ST_a").exit_code == 0
    assert annotation(api) == "SDR_b,ST_c,ST_a"
    lease = api.lease(SYSTEM, LEASE)
    assert lease is not None
    assert lease["spec"] == {"holderIdentity": "p1"}


def test_the_command_tries_again_when_it_meets_a_renewal() -> None:
    api = with_lease()
    for _ in range(3):
        api.inject(Refuse(409), "PATCH", "leases")
    assert run(api, "release", "ST_a").exit_code == 0
    assert annotation(api) == "ST_a"


def test_the_oldest_are_dropped_where_there_are_too_many() -> None:
    api = with_lease()
    assert run(api, "release", *(f"ST_{count}" for count in range(MAX_RELEASED))).exit_code == 0
    assert run(api, "release", "ST_new").exit_code == 0
    assert annotation(api).split(",")[0] == "ST_1"
    assert annotation(api).split(",")[-1] == "ST_new"


@pytest.mark.parametrize("wrong", ["main", "ST_", ",", "ST_a,x", "../x", "PN_abc", "ST_" + "a" * 100])
def test_the_command_refuses_what_is_no_id(wrong: str) -> None:
    api = with_lease()
    result = run(api, "release", "ST_good", wrong)
    assert (result.exit_code, annotation(api)) == (2, "")
    assert "ST_…" in result.output


def test_the_command_takes_ids_as_messages_list_them() -> None:
    api = with_lease()
    result = run(api, "release", "ST_a,", "ST_b,SDR_c")
    assert (result.exit_code, annotation(api)) == (0, "ST_a,ST_b,SDR_c")
    assert "its log names what it deletes" in result.output


def test_the_command_names_what_is_missing() -> None:
    api = with_lease()
    result = run(api, "release", "--lease-name", "elsewhere", "ST_a")
    assert (result.exit_code, "--lease-name" in result.output) == (1, True)
    api.inject(Refuse(403), "GET", "leases")
    assert run(api, "release", "ST_a").exit_code == 3
    assert run(api, "release").exit_code == 2
    assert run(with_lease("mine"), "release", "--lease-name", "mine", "ST_a").exit_code == 0
