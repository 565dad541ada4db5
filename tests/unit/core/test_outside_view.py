"""Whose a number is, for a caller outside the pod."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from byoc_operator.api.conditions import Reason
from byoc_operator.api.resource import Key, PhoneNumber, parse
from byoc_operator.core.desired import Installation
from byoc_operator.core.holders import Listed
from byoc_operator.core.outside_view import claimed_by_another
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import OutboundTrunk
from operated import PHONE
from strategies import MASK

INSTALLATION = Installation(("cluster-a",), "livekit.example.com", adoption_allowed=True)
OURS = OutboundTrunk(
    "main",
    Mark(Owner("cluster-a", "voice", "main")).dump(),
    "sip.example.com",
    "TLS",
    (PHONE,),
    MASK("user"),
    MASK("pass"),
    id="ST_ours",
)
FOREIGN = replace(OURS, metadata="", id="ST_foreign")


def number(name: str = "main", created: str = "2026-01-01T00:00:00Z", **more: Any) -> PhoneNumber:
    metadata = {"namespace": "voice", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}
    spec = {"phoneNumber": PHONE, "terminationUri": "sip.example.com", "sipPasswordSecretRef": {"name": "sip"}}
    return parse({"metadata": {**metadata, "creationTimestamp": created, **more}, "spec": spec})


def test_the_older_object_has_the_number() -> None:
    older, younger = number("older"), number("younger", "2026-02-01T00:00:00Z")
    listed = Listed.of([younger, older])
    assert claimed_by_another(older, listed, Snapshot.holding(()), INSTALLATION) is None
    claimed = claimed_by_another(younger, listed, Snapshot.holding(()), INSTALLATION)
    assert claimed is not None
    assert (claimed.reason, "older" in claimed.message) == (Reason.NUMBER_CLAIMED, True)


def test_an_object_stands_in_for_the_listed_one_of_its_name() -> None:
    listed = Listed.of([number("older"), number("main", "2026-02-01T00:00:00Z")])
    edited = number("main", "2025-01-01T00:00:00Z")
    assert claimed_by_another(edited, listed, Snapshot.holding(()), INSTALLATION) is None


class Unwalked(dict[Key, PhoneNumber]):
    """Objects by name that nobody may walk through."""

    def __iter__(self) -> Iterator[Key]:
        raise AssertionError("looks at every object of the cluster")

    keys = values = items = __iter__  # type: ignore[assignment]  # none of them may be called


def test_one_number_is_judged_without_a_look_at_every_object() -> None:
    listed = Listed.of([number("older"), *(number(f"n{each}", f"2026-03-{each:02}T00:00:00Z") for each in range(1, 9))])
    watched = Listed(Unwalked(listed.by_key), listed.by_phone)
    theirs = replace(OURS, metadata=Mark(Owner("cluster-a", "voice", "n1")).dump())
    claimed = claimed_by_another(number("older"), watched, Snapshot.holding([theirs]), INSTALLATION)
    assert claimed is not None
    assert "n1" in claimed.message
