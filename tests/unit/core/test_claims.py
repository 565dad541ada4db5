"""Who gets a free number or alias, judged from values alone."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.resource import Key, PhoneNumber, parse
from byoc_operator.core.claims import Allocation
from byoc_operator.core.desired import Installation
from byoc_operator.core.holders import Past, next_alias_holder

ALIAS = "+100"
INSTALLATION = Installation(("cluster-a",), "livekit.example.com")


def number(reason: str = "", observed: int | None = None, aliases: tuple[str, ...] = ()) -> PhoneNumber:
    """An object of generation 2 with the alias, whose status says this."""
    metadata = {"namespace": "voice", "name": "main", "uid": "main", "resourceVersion": "1", "generation": 2}
    spec = {
        "phoneNumber": "+19876543210",
        "terminationUri": "sip.example.com",
        "inboundAgentId": "agent",
        "inbound": {"aliases": ["100"]},
    }
    status: dict[str, Any] = {} if observed is None else {"observedGeneration": observed}
    if reason:
        status["conditions"] = [{"type": "Ready", "status": "False", "reason": reason, "message": "told"}]
    if aliases:
        status["aliases"] = list(aliases)
    return parse({"metadata": metadata, "spec": spec, "status": status})


@pytest.mark.parametrize(
    ("asking", "waits"),
    [
        (number(), False),
        (number("AliasUnavailable", 2), True),
        (number("SecretNotFound", 2), True),
        (number("Synced", 2), True),
        (number("SecretNotFound", 2, aliases=(ALIAS,)), False),
        (number("SecretNotFound", 2, aliases=("+200",)), True),
        (number("Synced", 1), False),
        (number("AliasUnavailable", 1), True),
    ],
    ids=["new", "told so", "another reason", "no reason", "has it", "has another", "changed", "told so, then changed"],
)
def test_after_a_start_an_object_that_may_have_been_refused_an_alias_waits(asking: PhoneNumber, *, waits: bool) -> None:
    assert Allocation(unsettled=True).waits(asking, ALIAS) is waits


def test_an_alias_of_many_objects_costs_one_look_at_each() -> None:
    one, looks = number(), Counter[str]()
    many = [replace(one, key=Key("voice", f"n{each:04}"), uid=f"{each:04}") for each in range(5000)]

    def since(each: PhoneNumber) -> str:
        looks["since"] += 1
        return each.created_at

    def has_own(each: PhoneNumber) -> bool:
        looks["has own"] += 1
        return each.uid == "4999"

    found = next_alias_holder(ALIAS, reversed(many), Allocation(), INSTALLATION, Past(since, has_own=has_own))
    assert found is many[-1]
    assert looks == {"since": 5000, "has own": 5000}
