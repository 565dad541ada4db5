"""A termination host that the settings refuse, and the outbound trunk that existed before."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.ownership import owner_of
from byoc_operator.core.trunk import Kind
from byoc_operator.errors import Unavailable
from operated import NAME, NAMESPACE, PHONE, STATUS_PATCH, World, foreign
from virtual_time import in_virtual_time

TRUNK_GONE = [("delete", Kind.OUTBOUND_TRUNK)]


async def _tightened(*, removes: bool, annotations: Mapping[str, str] | None = None, **changes: Any) -> World:
    """A number in step at `sip.example.com`, and then an operator that allows `example.org` only."""
    world = await World.in_step(annotations=annotations, **changes)
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",), removes_refused=removes)
    await world.start()
    return world


@in_virtual_time
async def test_kept_a_trunk_stays_and_the_message_says_how_it_goes() -> None:
    world = await _tightened(removes=False)
    assert world.livekit_writes() == []
    assert world.ready() == ("False", "InvalidSpec")
    trunk, _, _ = world.ids()
    assert world.message() == (
        "spec.terminationUri: host sip.example.com is not allowed by this operator; allowed: example.org; the outbound "
        f"trunk {trunk} from before stays in LiveKit as it is, until spec.terminationUri names an allowed host, the "
        "object is deleted, or the operator runs with BYOC_REFUSED_HOSTS=Remove"
    )


@in_virtual_time
async def test_removed_the_outbound_trunk_goes_with_its_id_and_the_rest_stays() -> None:
    world = await World.in_step()
    before = world.ids()
    kept = [each for each in world.livekit.objects() if each.id != before[0]]
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",), removes_refused=True)
    await world.start()
    assert world.livekit_writes() == TRUNK_GONE
    assert world.ready() == ("False", "InvalidSpec")
    assert world.ids() == ("", *before[1:])
    assert world.livekit.objects() == kept
    assert world.message().endswith("BYOC_REFUSED_HOSTS is Remove, so the number has no outbound trunk")
    assert world.api_writes() == [STATUS_PATCH]
    assert "Repaired" not in world.event_reasons()


@in_virtual_time
async def test_a_removed_trunk_is_not_looked_for_again() -> None:
    world = await _tightened(removes=True)
    world.forget_counts()
    await world.sweep()
    assert (world.livekit_writes(), world.api_writes()) == ([], [])


@in_virtual_time
async def test_an_allowed_host_brings_the_trunk_back() -> None:
    world = await _tightened(removes=True)
    await world.apply(terminationUri="sip.example.org")
    assert world.ready() == ("True", "Synced")
    assert [trunk.address for trunk in world.outbound()] == ["sip.example.org"]


@in_virtual_time
async def test_an_edit_to_a_refused_host_costs_the_trunk_too() -> None:
    world = await _tightened(removes=True, terminationUri="sip.example.org")
    assert world.ready() == ("True", "Synced")
    await world.apply(terminationUri="sip.example.com")
    assert (world.ready(), world.outbound()) == (("False", "InvalidSpec"), [])


@in_virtual_time
async def test_a_new_number_at_a_refused_host_gets_nothing_and_hears_of_no_trunk() -> None:
    world = await World.running()
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",))
    await world.start()
    await world.apply()
    assert (world.ready(), world.livekit.objects()) == (("False", "InvalidSpec"), [])
    assert world.message().endswith("allowed: example.org")


@pytest.mark.parametrize(
    ("changes", "annotations", "reason"),
    [({"managementPolicy": "Observe"}, {}, "InvalidSpec"), ({}, {"paused": "true"}, "Paused")],
    ids=["Observe", "paused"],
)
@in_virtual_time
async def test_who_may_only_look_removes_nothing(
    changes: dict[str, str], annotations: dict[str, str], reason: str
) -> None:
    world = await World.in_step()
    before = world.livekit.objects()
    await world.apply(annotations=annotations, **changes)
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",), removes_refused=True)
    await world.start()
    await world.sweep()
    assert world.ready()[1] == reason
    assert world.livekit.objects() == before


@in_virtual_time
async def test_other_peoples_trunks_with_the_number_stay() -> None:
    world = await World.in_step()
    trunk = world.outbound()[0]
    theirs = [world.livekit.put(foreign(trunk, metadata="")), world.livekit.put(foreign(trunk, metadata="{}"))]
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",), removes_refused=True)
    await world.start()
    assert sorted(each.id for each in world.outbound()) == sorted(theirs)
    assert [owner_of(each) for each in world.outbound()] == [None, None]


@in_virtual_time
async def test_a_deleted_number_takes_the_rest_along() -> None:
    world = await _tightened(removes=True)
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    assert (world.exists(), world.livekit.objects()) == (False, [])


@in_virtual_time
async def test_a_livekit_that_is_away_is_asked_again_until_the_trunk_is_gone() -> None:
    world = await World.in_step()
    await world.crash()
    world.installation = replace(world.installation, termination_hosts=("example.org",), removes_refused=True)
    world.livekit.always = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit does not answer")
    await world.start()
    assert len(world.outbound()) == 1
    world.livekit.always = None
    await world.sweep()
    assert (world.outbound(), world.ids()[0]) == ([], "")
    assert PHONE in world.inbound()[0].numbers
