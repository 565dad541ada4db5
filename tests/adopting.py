"""Worlds whose LiveKit has objects before the operator sees a `ByocPhoneNumber`."""

from dataclasses import replace
from typing import Any

from byoc_operator.core.desired import Installation
from byoc_operator.core.ownership import Mark, Owner, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk
from operated import NAMESPACE, PASSWORD, PHONE, World

SYNCED = ("True", "Synced")
OPEN = Installation(
    ("cluster-a", "cluster-old"), "livekit.example.com", sip_uri="sip.example.org", adoption_allowed=True
)
CLOSED = replace(OPEN, adoption_allowed=False)
OUT = OutboundTrunk("by hand", "{}", "sip.example.net", "TLS", (PHONE,), media_encryption="Required", id="ST_out")
IN = InboundTrunk("by hand", "", (PHONE,), media_encryption="Required", id="ST_in")
RULE = DispatchRule("by hand", ("ST_in",), "call-", "agent", "{}", id="SDR_rule")
ALL = "ST_out,ST_in,SDR_rule"


def marked(owner: Owner) -> tuple[OutboundTrunk, InboundTrunk, DispatchRule]:
    mark = Mark(owner).dump()
    return replace(OUT, metadata=mark), replace(IN, metadata=mark), replace(RULE, name=rule_name(owner))


async def world_with(*objects: Any, installation: Installation = OPEN) -> World:
    """Somebody's objects, and an operator that has seen them."""
    world = World(installation=installation)
    for each in objects:
        world.livekit.put(each)
    world.api.put_secret(NAMESPACE, "sip", {"username": "trunk-user", "password": PASSWORD})
    await world.start()
    world.forget_counts()
    return world


def untouched(world: World, *objects: Any) -> bool:
    stored = {each.id: each for each in world.livekit.objects()}
    return all(stored.get(each.id) == each for each in objects)


OWNERS = {
    "a gone object of this namespace": ("cluster-a", NAMESPACE, "gone", True),
    "a gone object under an older installation id": ("cluster-old", NAMESPACE, "gone", True),
    "another namespace": ("cluster-a", "other", "gone", False),
    "another installation": ("cluster-z", NAMESPACE, "gone", False),
    "a living object": ("cluster-a", NAMESPACE, "living", False),
}
LOSSY_IN = replace(IN, allowed_numbers=("+15550100000",), extra=("hidePhoneNumber",))
