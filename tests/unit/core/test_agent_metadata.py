"""What the agent of a call reads in its job metadata, and that nobody but the operator sets whose call it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.text_rules import RESERVED_METADATA, is_reserved_metadata
from byoc_operator.api.validation import problems
from manifests import BASE
from operated import NAME, NAMESPACE, PHONE, World
from virtual_time import in_virtual_time

OURS = {
    "agentId": "agent_support",
    "phoneNumber": PHONE,
    "direction": "inbound",
    "namespace": NAMESPACE,
    "name": NAME,
}
FORGED = {"agentid": "agent_other", "PHONENUMBER": "+1", "Namespace": "bank", "name": "vip", "name\u017fpace": "bank"}

any_case = st.sampled_from(RESERVED_METADATA).flatmap(
    lambda name: st.tuples(*(st.sampled_from([letter.lower(), letter.upper()]) for letter in name)).map("".join)
)


def _metadata(world: World) -> dict[str, Any]:
    (rule,) = world.rules()
    found: dict[str, Any] = json.loads(rule.agent_metadata)
    return found


@in_virtual_time
async def test_the_metadata_names_the_object_of_the_number() -> None:
    world = await World.in_step(inbound={"agentMetadata": {"tier": "gold"}})
    assert _metadata(world) == {**OURS, "tier": "gold"}


@in_virtual_time
async def test_keys_from_before_the_rule_are_left_out_and_named_and_the_number_stays_ready() -> None:
    world = await World.in_step(inbound={"agentMetadata": {**FORGED, "tier": "gold"}})
    assert _metadata(world) == {**OURS, "tier": "gold"}
    (finding,) = [each for each in world.status()["findings"] if each["code"] == "MetadataKeyIgnored"]
    assert finding["message"].endswith("give it another name. (" + ", ".join(sorted(FORGED)) + ")")
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_without_an_agent_there_is_no_metadata_to_complain_of() -> None:
    world = await World.in_step(inboundAgentId=None, inbound={"agentMetadata": FORGED})
    assert [each["code"] for each in world.status()["findings"]].count("MetadataKeyIgnored") == 0


@in_virtual_time
async def test_rules_from_before_learn_the_object_by_one_replacement_in_place() -> None:
    world = await World.in_step()
    (rule,) = world.rules()
    old = {key: OURS[key] for key in ("agentId", "direction", "phoneNumber")}
    world.livekit.edit(rule.id, agent_metadata=json.dumps(old, separators=(",", ":")))
    await world.restart()
    assert [(method, kind.value) for method, kind in world.livekit_writes()] == [("replace", "dispatchRule")]
    assert (world.rules()[0].id, _metadata(world)) == (rule.id, OURS)


@given(any_case)
def test_a_reserved_key_is_refused_in_any_case(key: str) -> None:
    found = problems({**BASE, "inbound": {"agentMetadata": {key: "x"}}})
    assert [problem.field for problem in found] == ["spec.inbound.agentMetadata"]


@pytest.mark.parametrize("key", ["agent_id", "agentIds", "myname", "name2", "names\npace", "name ", "größe"])
def test_another_key_is_not_taken_for_a_reserved_one(key: str) -> None:
    assert not is_reserved_metadata(key)
