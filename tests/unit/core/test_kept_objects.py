"""LiveKit objects that earlier versions of the operator wrote are in step: an upgrade writes nothing to LiveKit."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.ownership import Owned
from byoc_operator.core.plan import Terms, plan, verbs
from byoc_operator.livekit_sip.convert import INBOUND, OUTBOUND, RULE
from strategies import MASK, wanted

KEPT = Path(__file__).parents[2] / "kept"
OBJECTS: dict[str, dict[str, Any]] = {
    f"{file.parent.name} {name}": objects
    for file in sorted(KEPT.glob("*/livekit_objects.json"))
    for name, objects in json.loads(file.read_text()).items()
}
"""A spec and the messages that a version wrote for it, as protobuf's JSON; by version and name of the spec."""


def spec_of(name: str) -> PhoneNumberSpec:
    """The spec for which the objects were written."""
    spec = parse_spec(OBJECTS[name]["spec"])
    assert isinstance(spec, PhoneNumberSpec), spec
    return spec


def listed(objects: dict[str, Any]) -> Owned:
    """The objects as LiveKit lists them."""
    outbound = ParseDict(objects["outboundTrunk"] | {"sipTrunkId": "ST_out"}, OUTBOUND.info())
    if "inboundTrunk" not in objects:
        return Owned((OUTBOUND.from_proto(outbound, MASK),))
    inbound = ParseDict(objects["inboundTrunk"] | {"sipTrunkId": "ST_in"}, INBOUND.info())
    rule = ParseDict(objects["dispatchRule"] | {"sipDispatchRuleId": "SDR_1"}, RULE.info())
    return Owned(
        (OUTBOUND.from_proto(outbound, MASK),), (INBOUND.from_proto(inbound, MASK),), (RULE.from_proto(rule, MASK),)
    )


@pytest.mark.parametrize("name", OBJECTS)
def test_what_an_earlier_version_wrote_is_in_step(name: str) -> None:
    changes = plan(wanted(spec_of(name)), listed(OBJECTS[name]), Terms())
    assert verbs(changes) == []


def test_a_change_of_a_kept_object_is_noticed() -> None:
    name = "0.1.0 everything"
    changed = OBJECTS[name] | {"inboundTrunk": OBJECTS[name]["inboundTrunk"] | {"krispEnabled": False}}
    assert verbs(plan(wanted(spec_of(name)), listed(changed), Terms())) == [
        "replace the inboundTrunk (inboundTrunk.noiseCancellation)"
    ]
