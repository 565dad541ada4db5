"""Changes that no watch reports: lists after a gap, and the sweep."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import PLURAL
from byoc_operator.cluster.fake import Fail, FakeApi, Hold
from byoc_operator.errors import Unavailable
from operated import (
    NAMESPACE,
    PASSWORD,
    USER,
    World,
    manifest,
    now_s,
)
from virtual_time import in_virtual_time


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
        """As the base class."""
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
    world.api.inject(Fail(Unavailable(Reason.KUBERNETES_UNAVAILABLE, "down")), "GET", "secrets")
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
