"""Whoever has LiveKit's lists and a few objects of the cluster judges a number, without an engine."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import WATCH_LABEL
from byoc_operator.api.resource import PhoneNumber, parse
from byoc_operator.core.assessment import Assessment, assess
from byoc_operator.core.credentials import Reading, SecretFacts
from byoc_operator.core.desired import Installation
from byoc_operator.core.holders import Listed, allocation_of
from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.plan import Create, verbs
from byoc_operator.core.secret_facts import secret_facts
from byoc_operator.core.situation import ClusterFacts, situation_of
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject

PHONE = "+19876543210"
MASK = make_mask(b"a key of this process")
INSTALLATION = Installation(("cluster-a",), "livekit.example.com", sip_uri="sip.example.org")
OURS = Mark(Owner("cluster-a", "voice", "main")).dump()


def number(name: str = "main", **spec: Any) -> PhoneNumber:
    """An object of the cluster."""
    metadata = {"namespace": "voice", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}
    stated = {"phoneNumber": PHONE, "terminationUri": "sip.example.com", "inboundAgentId": "agent_support", **spec}
    return parse({"metadata": metadata, "spec": stated})


def secret(values: Mapping[str, str]) -> SecretFacts:
    """The Secret `sip` as the API server hands it out, in plain text."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"namespace": "voice", "name": "sip", "resourceVersion": "1", "labels": {WATCH_LABEL: "true"}}
    return secret_facts({"metadata": metadata, "type": "Opaque", "data": data}, Reading(MASK, lambda text, *_: text))


def judged(
    phone: PhoneNumber, listed: Iterable[SipObject] = (), facts: SecretFacts | None = None, *others: PhoneNumber
) -> Assessment:
    """What `kubectl byoc plan` would show."""
    snapshot = Snapshot.holding(listed)
    allocation = allocation_of(PHONE, phone, Listed.of(others), snapshot, INSTALLATION)
    cluster = ClusterFacts({"sip": facts}, claimed=allocation.verdict(phone))
    return assess(situation_of(phone, snapshot, cluster, INSTALLATION, MASK), INSTALLATION, MASK, now_s=0.0)


def test_a_new_number_is_planned_with_its_secret() -> None:
    phone = number(sipPasswordSecretRef={"name": "sip"})
    found = judged(phone, facts=secret({"username": "user", "password": "correct-horse"}))
    assert found.verdict is None
    assert verbs(found.changes) == ["create the outboundTrunk", "create the inboundTrunk", "create the dispatchRule"]
    trunk = next(change.wanted for change in found.changes if isinstance(change, Create))
    assert isinstance(trunk, OutboundTrunk)
    assert trunk.password is not None
    assert (trunk.password, trunk.password.text) == (MASK("correct-horse"), None), "known by digest, not by text"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (None, Reason.SECRET_NOT_FOUND),
        (secret({"username": "user"}), Reason.SECRET_KEY_MISSING),
        (secret({"username": "user", "password": "echo\n"}), Reason.SECRET_INVALID),
    ],
)
def test_what_is_wrong_with_a_secret_is_told(facts: SecretFacts | None, reason: Reason) -> None:
    found = judged(number(sipPasswordSecretRef={"name": "sip"}), facts=facts)
    assert found.verdict is not None
    assert found.verdict.reason is reason


def test_drift_is_named_by_field() -> None:
    out, inbound, rule = (change.wanted for change in judged(number()).changes if isinstance(change, Create))
    assert isinstance(out, OutboundTrunk)
    assert isinstance(rule, DispatchRule)
    out, inbound = replace(out, id="ST_o"), replace(inbound, id="ST_i")
    rule = replace(rule, id="SDR_r", trunk_ids=("ST_i",))
    assert judged(number(), [out, inbound, rule]).changes == ()
    found = judged(number(), [replace(out, address="elsewhere.example.com"), inbound, rule])
    assert verbs(found.changes) == ["replace the outboundTrunk (outboundTrunk.address)"]


def test_a_strangers_trunk_is_a_conflict() -> None:
    found = judged(number(), [InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")])
    assert found.verdict is not None
    assert found.verdict.reason is Reason.NUMBER_CONFLICT
    assert "ST_theirs" in found.verdict.message


def test_who_has_the_number_is_told_by_livekit_before_age() -> None:
    ours = InboundTrunk("main", OURS, (PHONE,), id="ST_i")
    older = number("a-older")
    assert judged(number(), [ours], None, older).verdict is None
    waiting = judged(older, [ours], None, number())
    assert waiting.verdict is not None
    assert waiting.verdict.reason is Reason.NUMBER_CLAIMED
    assert judged(older, [], None, number()).verdict is None, "with nothing in LiveKit the smaller UID of one second"


def test_trunks_of_a_gone_object_keep_their_number() -> None:
    gone = OutboundTrunk("gone", Mark(Owner("cluster-a", "voice", "gone")).dump(), "x", "TLS", (PHONE,), id="ST_gone")
    found = judged(number(), [gone])
    assert found.verdict is not None
    assert found.verdict.reason is Reason.NUMBER_CLAIMED
    assert "ST_gone" in found.verdict.message
