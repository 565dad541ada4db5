"""The whole engine: what users do to numbers and Secrets, what it costs, and what becomes of it in LiveKit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.names import PLURAL
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Stalled, Unavailable
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
    PHONE,
    STATUS_PATCH,
    USER,
    World,
    manifest,
    now_s,
)
from virtual_time import in_virtual_time

# What it costs


@in_virtual_time
async def test_a_created_number_costs_two_writes_and_three_calls() -> None:
    world = await World.running()
    world.forget_counts()
    await world.apply()
    assert world.api_writes() == [FINALIZER_PATCH, STATUS_PATCH]
    assert [(method, kind) for method, kind, _ in world.livekit.calls] == CREATES
    assert world.event_reasons() == []


@in_virtual_time
async def test_a_number_that_comes_with_the_finalizer_costs_one_write() -> None:
    world = await World.running()
    world.forget_counts()
    number = manifest()
    number["metadata"]["finalizers"] = ["byoc.talkifai.dev/finalizer"]
    world.api.apply(number)
    await world.settle()
    assert world.api_writes() == [STATUS_PATCH]


@in_virtual_time
async def test_a_deleted_number_costs_one_write_and_three_calls() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert not world.exists()
    assert world.api_writes() == [FINALIZER_PATCH]
    assert [(method, kind) for method, kind, _ in world.livekit.calls] == DELETES


@in_virtual_time
async def test_restart_and_sweep_cost_three_lists_and_no_write() -> None:
    world = await World.in_step()
    for index in range(20):
        await world.apply(f"n{index}", phoneNumber=f"+155501000{index:02}")
    world.forget_counts()
    await world.restart()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    assert len(world.livekit.calls) == 3
    assert world.api.requests["GET", "secrets"] == 2  # the sealing keys and the list
    await world.sweep()
    assert (world.api_writes(), world.livekit_writes()) == ([], [])
    assert len(world.livekit.calls) == 6


@in_virtual_time
async def test_foreign_annotations_wake_nobody() -> None:
    world = await World.in_step()
    world.api.apply(manifest(annotations={"unknown": "x"}))
    await world.settle()
    assert (world.api_writes(), world.livekit.calls) == ([], [])


# Create and update


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


def in_a_gap(world: World, happens: Callable[[], object]) -> None:
    """Something happens to Secrets while their watch is away; then the watch begins anew, with a LIST."""
    world.api.watch_secrets.clear()
    happens()
    world.api.watch_secrets.append(world.engine.intake.secret_event)
    world.engine.intake.secrets_listed()


def codes(world: World) -> set[str]:
    return {finding["code"] for finding in world.status()["findings"]}


@in_virtual_time
async def test_a_label_taken_off_while_nobody_watched_is_noticed_at_the_sweep() -> None:
    world = await World.in_step()
    quiet = {"username": USER, "password": PASSWORD}
    in_a_gap(world, lambda: world.api.put_secret(NAMESPACE, "sip", quiet, watched=False))
    assert "CredentialsNotWatched" not in codes(world)
    await world.sweep()
    assert "CredentialsNotWatched" in codes(world)
    assert world.livekit_writes() == []
    world.api.put_secret(NAMESPACE, "sip", {**quiet, "password": "a new password"}, watched=False)
    await world.sweep()
    assert world.livekit.stored_password(world.ids()[0]) == "a new password"


@in_virtual_time
async def test_a_secret_deleted_while_nobody_watched_is_missed_at_the_sweep() -> None:
    world = await World.in_step()
    in_a_gap(world, lambda: world.api.delete_secret(NAMESPACE, "sip"))
    await world.sweep()
    assert world.ready() == ("False", "SecretNotFound")


class SlowLists(FakeApi):
    """An API server with which something happens after a LIST of Secrets was read, and before it arrives."""

    def __init__(self) -> None:
        super().__init__(now_s)
        self.happens: Callable[[], object] = lambda: None

    async def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """As its base."""
        items = [item async for item in FakeApi.pages(self, path, resource, query)]
        if resource == "secrets":
            self.happens()
            await asyncio.sleep(0.1)  # watches tell of it first
        for item in items:
            yield item


@in_virtual_time
@pytest.mark.parametrize("deleted", [True, False])
async def test_what_a_watch_tells_during_a_list_is_newer_than_the_list(*, deleted: bool) -> None:
    api = SlowLists()
    world = await World.running(api=api)
    await world.apply()
    values = {"username": USER, "password": PASSWORD}

    def happens() -> None:
        if deleted:
            api.delete_secret(NAMESPACE, "sip")
        else:
            api.put_secret(NAMESPACE, "sip", values, watched=False)

    api.happens = happens
    world.engine.intake.secrets_listed()
    await world.elapse(1)
    api.happens = lambda: None
    await world.sweep()
    assert (world.ready()[1] == "SecretNotFound") is deleted
    assert ("CredentialsNotWatched" in codes(world)) is not deleted


@in_virtual_time
async def test_lists_that_become_due_together_are_made_once_each() -> None:
    world = await World.in_step()
    world.api.requests.clear()
    for _ in range(3):
        world.engine.intake.secrets_listed()
        world.engine.intake.numbers_listed()
    await world.elapse(1)
    assert [world.api.requests["GET", resource] for resource in ("secrets", PLURAL)] == [1, 1]


@in_virtual_time
async def test_numbers_are_listed_while_secrets_cannot_be() -> None:
    world = await World.in_step()
    until = asyncio.Event()
    world.api.inject(Hold(until), "GET", "secrets")
    world.engine.intake.secrets_listed()
    await world.elapse(1)
    world.api.watch_numbers.clear()
    world.api.apply(manifest("new", phoneNumber="+15550100002"))
    world.engine.intake.numbers_listed()
    await world.elapse(1)
    until.set()
    assert world.ready("new")[1] == "Synced"


@in_virtual_time
async def test_a_gap_in_which_nothing_vanished_costs_one_list() -> None:
    world = await World.in_step()
    asked = []
    for gap in (False, True, False):
        world.api.requests.clear()
        if gap:
            in_a_gap(world, lambda: None)
        await world.sweep()
        asked.append(world.api.requests["GET", "secrets"])
    assert asked == [1, 2, 1], "the sealing keys at each sweep, and the list"
    assert (world.api_writes(), world.livekit_writes()) == ([], [])


@in_virtual_time
async def test_a_list_after_a_gap_that_fails_is_tried_again() -> None:
    world = await World.in_step()
    world.api.inject(Fail(Unavailable("KubernetesUnavailable", "down")), "GET", "secrets")
    in_a_gap(world, lambda: world.api.delete_secret(NAMESPACE, "sip"))
    await world.elapse(3)
    await world.settle()
    assert world.ready() == ("False", "SecretNotFound")


@in_virtual_time
async def test_numbers_of_a_gap_are_taken_in_by_the_list_that_the_watch_begins_with() -> None:
    world = await World.in_step()
    await world.apply("other", phoneNumber="+15550100001")
    world.api.watch_numbers.clear()
    world.api.delete(NAMESPACE, "other")
    world.api.strip_finalizer(NAMESPACE, "other")
    world.api.apply(manifest("new", phoneNumber="+15550100002"))
    world.api.watch_numbers.append(world.engine.intake.number_event)
    world.engine.intake.numbers_listed()
    await world.elapse(1)
    await world.settle()
    assert world.ready("new") == ("True", "Synced")
    assert {number.key.name for number in world.ports.cache.all()} == {"main", "new"}


@in_virtual_time
async def test_drift_is_put_right_at_the_sweep_and_told() -> None:
    world = await World.in_step()
    world.livekit.edit(world.ids()[0], address="evil.example.net")
    world.livekit.drop(world.ids()[2])
    await world.sweep()
    assert world.outbound()[0].address == "sip.example.com"
    assert len(world.rules()) == 1
    assert world.ids()[2] == world.rules()[0].id
    assert world.event_reasons() == ["Repaired"]


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


# What others do to our objects in the cluster


@in_virtual_time
async def test_a_wiped_status_is_written_again_without_touching_livekit() -> None:
    world = await World.in_step()
    before = world.ids()
    world.api.wipe_status(NAMESPACE, NAME)
    await world.settle()
    assert (world.ids(), world.api_writes(), world.livekit_writes()) == (before, [STATUS_PATCH], [])


@in_virtual_time
async def test_a_stripped_finalizer_comes_back() -> None:
    world = await World.in_step()
    world.api.strip_finalizer(NAMESPACE, NAME)
    await world.settle()
    assert world.raw()["metadata"]["finalizers"] == ["byoc.talkifai.dev/finalizer"]
    assert (world.api_writes(), world.livekit_writes()) == ([FINALIZER_PATCH], [])


@in_virtual_time
async def test_an_object_that_comes_back_with_another_uid_is_served() -> None:
    world = await World.in_step()
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply(friendlyName="Second life")
    assert world.ready() == ("True", "Synced")
    assert world.outbound()[0].name == "Second life"


@in_virtual_time
async def test_a_second_installation_id_is_marked_anew_in_place() -> None:
    world = await World.in_step()
    before = world.ids()
    await world.crash()
    world.installation = replace(world.installation, ids=("cluster-b", "cluster-a"))
    await world.start()
    assert world.ids() == before
    assert {str(owner_of(each)) for each in world.livekit.objects()} == {"cluster-b/voice/main"}


@in_virtual_time
async def test_numbers_of_two_installations_do_not_touch_each_other() -> None:
    world = await World.in_step()
    await world.crash()
    before = world.livekit.objects()
    world.installation = replace(world.installation, ids=("cluster-b",))
    world.api.wipe_status(NAMESPACE, NAME)
    await world.start()
    assert world.ready() == ("False", "NumberConflict")
    assert [each for each in world.livekit.objects() if each in before] == before
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert world.livekit.objects() == before
    assert PHONE in world.inbound()[0].numbers


@in_virtual_time
async def test_what_livekit_refuses_stalls_with_its_words() -> None:
    world = await World.running()
    refusal = Stalled("RejectedByLiveKit", "LiveKit refuses: no such country")
    world.livekit.inject(Refuse(refusal), "create", Kind.OUTBOUND_TRUNK)
    await world.apply()
    assert world.ready() == ("False", "RejectedByLiveKit")
    assert world.message() == refusal.message
    assert [kind for _, kind in world.livekit_writes()] == [kind for _, kind in CREATES]
    await world.sweep()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_without_an_inbound_trunk_no_rule_is_made() -> None:
    """A rule without a trunk would let everybody in."""
    world = await World.running()
    refusal = Stalled("RejectedByLiveKit", "LiveKit refuses: something")
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
