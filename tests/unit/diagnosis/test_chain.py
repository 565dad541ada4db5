"""The chain of a call: a healthy number finds nothing, and each seeded fault is named with what to change."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from byoc_operator.api.conditions import Condition, Reason, Verdict
from byoc_operator.api.names import PAUSED, WATCH_LABEL
from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.api.resource import PhoneNumber, parse
from byoc_operator.core.assessment import assess
from byoc_operator.core.credentials import Open, Reading, SecretFacts, SecretRules
from byoc_operator.core.desired import Installation
from byoc_operator.core.masking import make_mask
from byoc_operator.core.matching import Call
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.plan import Create
from byoc_operator.core.secret_facts import secret_facts
from byoc_operator.core.situation import ClusterFacts, situation_of
from byoc_operator.core.snapshot import Snapshot
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject
from byoc_operator.diagnosis.chain import CHAIN, chain, first_break
from byoc_operator.diagnosis.check import Check, State
from byoc_operator.diagnosis.facts import Facts, LiveKitSeen, OperatorSeen, SecretSeen, Unseen

PHONE, PASSWORD = "+14155552671", "correct-horse-battery"
MASK = make_mask(b"a key for tests")
INSTALLATION = Installation(("cluster-a",), "livekit.example.com", sip_uri="sip.example.org")
SEALED = {"username": "fernet:user", "password": "fernet:password"}
NETWORK = (Check("DNS of the termination host", State.OK, "It has an address."),)


def opened(text: str, *_: object) -> str | Verdict:
    return PASSWORD if text.endswith("password") else "alice"


def lost_key(*_: object) -> str | Verdict:
    return Verdict(Reason.SEALING_KEY_UNKNOWN, "no key of the operator opens the value.")


def number(*, reason: str = "Synced", generation: int = 1, name: str = "main", **stated: Any) -> PhoneNumber:
    """An object of the cluster, in step. `stated`: of the spec; `annotations` and `namespace` of the metadata."""
    metadata = {
        "namespace": stated.pop("namespace", "voice"),
        "name": name,
        "uid": name,
        "resourceVersion": "1",
        "generation": generation,
        "annotations": stated.pop("annotations", {}),
        "finalizers": ["byoc.talkifai.dev/finalizer"],
    }
    ready = {"Synced": "True", "Paused": "Unknown"}.get(reason, "False")
    condition = {"type": "Ready", "status": ready, "reason": reason, "message": f"message of {reason}"}
    status = {"observedGeneration": 1, "conditions": [condition], "outboundTrunkId": "ST_o", "inboundTrunkId": "ST_i"}
    spec = {
        "phoneNumber": PHONE,
        "terminationUri": "sip.example.com",
        "inboundAgentId": "agent_support",
        "inbound": {"allowedAddresses": ["192.0.2.0/24"], "allowedCallers": ["+15551230000"]},
        "sipPasswordSecretRef": {"name": "sip"},
        **stated,
    }
    return parse({"metadata": metadata, "spec": spec, "status": status})


def secret(values: Mapping[str, str] = SEALED, open_: Open = opened, *, labelled: bool = True) -> SecretFacts:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    labels = {WATCH_LABEL: "true"} if labelled else {}
    metadata = {"namespace": "voice", "name": "sip", "resourceVersion": "1", "labels": labels}
    return secret_facts({"metadata": metadata, "type": "Opaque", "data": data}, Reading(MASK, open_))


def in_livekit(**stated: Any) -> tuple[SipObject, ...]:
    """What the operator makes of the number."""
    secrets = {"sip": secret(), "callers": secret()}
    situation = situation_of(number(**stated), Snapshot(), ClusterFacts(secrets), INSTALLATION, MASK)
    made = [each.wanted for each in assess(situation, INSTALLATION, MASK, 0.0).changes if isinstance(each, Create)]
    out, inbound, rule = made
    assert isinstance(rule, DispatchRule)
    return replace(out, id="ST_o"), replace(inbound, id="ST_i"), replace(rule, id="SDR_r", trunk_ids=("ST_i",))


def healthy() -> Facts:
    return Facts(
        where="voice/main",
        number=number(),
        operator=OperatorSeen(
            "byoc-system",
            deployment="byoc-operator",
            replicas=2,
            ready_pods=2,
            leader="byoc-operator-0",
            renewed_s=3.0,
            swept_s=100.0,
            watches=True,
        ),
        now_s=1_800_000_000.0,
        secrets={"sip": SecretSeen(secret())},
        installation=INSTALLATION,
        livekit=LiveKitSeen("livekit.example.com", "the environment", in_livekit()),
        numbers=(number(),),
        network=NETWORK,
        call=Call("", "+15551230000", "192.0.2.7"),
    )


Fault = Callable[[Facts], Facts]


def with_number(**stated: Any) -> Fault:
    """The spec of the object, and what follows: the object is the only one with the number."""
    return lambda facts: replace(facts, number=number(**stated), numbers=(number(**stated),))


def in_step(**stated: Any) -> Fault:
    """The spec of the object is otherwise, and LiveKit follows it."""
    return lambda facts: with_livekit(objects=in_livekit(**stated))(with_number(**stated)(facts))


def with_operator(**seen: Any) -> Fault:
    return lambda facts: replace(facts, operator=replace(facts.operator, **seen))


def with_secret(facts_of: SecretFacts | None, unknown: str = "") -> Fault:
    return lambda facts: replace(facts, secrets={"sip": SecretSeen(facts_of, unknown)})


def with_livekit(**seen: Any) -> Fault:
    def fault(facts: Facts) -> Facts:
        assert isinstance(facts.livekit, LiveKitSeen)
        return replace(facts, livekit=replace(facts.livekit, **seen))

    return fault


def refusing(reason: Reason, message: str) -> Fault:
    return with_livekit(objects=(), problem=Verdict(reason, message))


def changed(kind: type[SipObject], **fields: Any) -> Fault:
    """One of our objects in LiveKit is otherwise."""

    def fault(facts: Facts) -> Facts:
        assert isinstance(facts.livekit, LiveKitSeen)
        found = tuple(replace(e, **fields) if isinstance(e, kind) else e for e in facts.livekit.objects)
        return replace(facts, livekit=replace(facts.livekit, objects=found))

    return fault


def without(kind: type[SipObject]) -> Fault:
    def fault(facts: Facts) -> Facts:
        assert isinstance(facts.livekit, LiveKitSeen)
        found = tuple(each for each in facts.livekit.objects if not isinstance(each, kind))
        return replace(facts, livekit=replace(facts.livekit, objects=found))

    return fault


def beside(*others: SipObject) -> Fault:
    def fault(facts: Facts) -> Facts:
        assert isinstance(facts.livekit, LiveKitSeen)
        return replace(facts, livekit=replace(facts.livekit, objects=(*facts.livekit.objects, *others)))

    return fault


def with_call(**asked: Any) -> Fault:
    return lambda facts: replace(facts, call=replace(facts.call, **asked))


def with_network(name: str, says: str) -> Fault:
    return lambda facts: replace(facts, network=(Check(name, State.BAD, says, "do this"),))


def with_installation(**settings: Any) -> Fault:
    return lambda facts: replace(facts, installation=replace(INSTALLATION, **settings))


def claimed_by_another(facts: Facts) -> Facts:
    mark = Mark(Owner("cluster-a", "sales", "first")).dump()
    theirs = OutboundTrunk("first", mark, "sip.example.com", "TLS", (PHONE,), id="ST_theirs")
    mine = replace(number(), status=replace(number().status, ids=RecordedIds()))
    others = (mine, number(name="first", namespace="sales"))
    return replace(with_livekit(objects=(theirs,))(facts), number=mine, numbers=others)


def gone(facts: Facts) -> Facts:
    return replace(facts, number=None, secrets={}, numbers=(), network=(), absent="There is no ByocPhoneNumber.")


def being_deleted(facts: Facts) -> Facts:
    return replace(facts, number=replace(number(), deleting=True))


def wildcard(trunk_ids: tuple[str, ...] = ()) -> DispatchRule:
    return DispatchRule("theirs", trunk_ids, "", "", "", id="SDR_theirs")


FAULTS: Mapping[str, tuple[Fault, str, str]] = {
    "object missing": (gone, "Object", "There is no ByocPhoneNumber"),
    "invalid": (with_number(terminationUri="sip:carrier"), "Spec", "terminationUri"),
    "SRTP without TLS": (with_number(transport="TCP", mediaEncryption="Required"), "Spec", "TLS"),
    "host refused by settings": (with_installation(termination_hosts=("twilio.com",)), "Spec", "sip.example.com"),
    "paused": (with_number(annotations={PAUSED: "true"}), "Management", PAUSED),
    "being deleted": (being_deleted, "Management", "deleted"),
    "not ready": (with_number(reason="RejectedByLiveKit"), "Ready", "RejectedByLiveKit"),
    "Secret missing": (with_secret(None), "Secret", "does not exist"),
    "Secret malformed": (with_secret(secret({"username": "alice", "password": "echo\n"})), "Secret", "newline"),
    "Secret without the key": (with_secret(secret({"username": "alice"})), "Secret", "no key `password`"),
    "Secret sealed with a lost key": (with_secret(secret(SEALED, lost_key)), "Sealing", "no key of the operator"),
    "plain text refused": (
        lambda facts: replace(
            with_secret(secret({"username": "alice", "password": PASSWORD}))(facts),
            installation=replace(INSTALLATION, secret_rules=SecretRules(sealed_only=True)),
        ),
        "Sealing",
        "not sealed",
    ),
    "Secret not labelled, as it must be": (
        lambda facts: replace(
            with_secret(secret(labelled=False))(facts),
            installation=replace(INSTALLATION, secret_rules=SecretRules(labelled_only=True)),
        ),
        "Secret",
        WATCH_LABEL,
    ),
    "operator absent": (
        with_operator(deployment="", ready_pods=None, leader=None, renewed_s=None),
        "Operator",
        "There is no operator",
    ),
    "no pods": (with_operator(ready_pods=0, waiting="ImagePullBackOff"), "Operator's pods", "ImagePullBackOff"),
    "scaled to nothing": (with_operator(replicas=0, ready_pods=0), "Operator's pods", "wants no pods"),
    "no leader": (with_operator(leader=""), "Leader", "Nobody holds the Lease"),
    "no Lease": (
        with_operator(leader=None, unknown={"Lease byoc-system/byoc-operator": "there is none"}),
        "Leader",
        "There is no Lease",
    ),
    "stale Lease": (with_operator(renewed_s=600.0), "Leader", "10 min ago"),
    "sweeps fail": (with_operator(swept_s=7200.0), "Last sweep", "2 h ago"),
    "namespace not watched": (with_operator(watches=False), "Namespace", "does not watch the namespace voice"),
    "LiveKit down": (
        refusing(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached."),
        "LiveKit",
        "cannot be reached",
    ),
    "key refused": (
        refusing(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key."),
        "LiveKit's key",
        "the environment",
    ),
    "no SIP service": (
        refusing(Reason.LIVEKIT_MISCONFIGURED, "LiveKit runs without Redis."),
        "LiveKit's SIP service",
        "Redis",
    ),
    "LiveKit too old": (with_livekit(too_old="LiveKit does not know this SIP method."), "LiveKit's version", "method"),
    "number of another object": (claimed_by_another, "Holder of the number", "another namespace"),
    "inbound trunk missing": (without(InboundTrunk), "Inbound trunk", "no inbound trunk"),
    "inbound trunk drifted": (
        changed(InboundTrunk, allowed_addresses=("198.51.100.0/24",)),
        "Inbound trunk",
        "inboundTrunk.allowedAddresses",
    ),
    "foreign trunk with the number": (
        beside(InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")),
        "Inbound trunk",
        "ST_theirs",
    ),
    "rule missing": (without(DispatchRule), "Dispatch rule", "no dispatch rule"),
    "rule drifted": (changed(DispatchRule, room_prefix="other-"), "Dispatch rule", "dispatchRule.roomPrefix"),
    "agent name empty": (changed(DispatchRule, agent_name=""), "Agent", "agent_support"),
    "another agent": (changed(DispatchRule, agent_name="agent_sales"), "Agent", "agent_sales"),
    "agents that nobody asked for": (
        changed(DispatchRule, additional_agents=("agent_notes",)),
        "Agent",
        "agent_support, agent_notes in place of agent_support",
    ),
    "foreign wildcard rule": (beside(wildcard()), "Rules of others", "SDR_theirs"),
    "outbound trunk missing": (without(OutboundTrunk), "Outbound trunk", "no outbound trunk"),
    "outbound trunk drifted": (changed(OutboundTrunk, address="elsewhere"), "Outbound trunk", "outboundTrunk.address"),
    "password changed in LiveKit": (
        changed(OutboundTrunk, password=MASK.bare("another")),
        "Outbound trunk",
        "outboundTrunk.password",
    ),
    "calls in without TLS": (with_installation(sip_uri="sip.example.org;transport=tcp"), "Encryption", "TCP"),
    "SRTP over UDP": (
        in_step(transport="UDP", mediaEncryption="Allowed"),
        "Encryption",
        "UDP",
    ),
    "no SIP endpoint": (with_installation(sip_uri=""), "Origination URI", "BYOC_SIP_URI"),
    "host does not resolve": (
        with_network("DNS of the termination host", "sip.example.com has no A and no AAAA record."),
        "DNS of the termination host",
        "no A and no AAAA",
    ),
    "certificate expired": (
        with_network("TLS of the termination host", "The certificate has ended."),
        "TLS of the termination host",
        "has ended",
    ),
    "plain SIP on the TLS port": (
        with_network("TLS of the termination host", "It speaks plain SIP over TCP, not TLS."),
        "TLS of the termination host",
        "plain SIP",
    ),
    "source not allowed": (with_call(source="198.51.100.9"), "Inbound trunk of the call", "198.51.100.9"),
    "caller not allowed": (with_call(caller="+15550000001"), "Inbound trunk of the call", "+15550000001"),
    "country code missing": (with_call(called="4155552671"), "Inbound trunk of the call", "country code"),
}

WARNINGS: Mapping[str, tuple[Fault, str]] = {
    "not labelled": (with_secret(secret(labelled=False)), "Label of the Secret"),
    "plain text": (with_secret(secret({"username": "alice", "password": PASSWORD})), "Sealing"),
    "number in no plan": (in_step(phoneNumber="+15551230000"), "Findings"),
}


def broken(facts: Facts) -> Check:
    found = first_break(chain(facts, MASK))
    assert found is not None
    return found


def test_a_healthy_number_finds_nothing() -> None:
    checks = chain(healthy(), MASK)
    assert [(check.name, check.says) for check in checks if check.state is not State.OK] == []
    assert [check.name for check in checks if check.warns] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_first_break(name: str) -> None:
    fault, link, says = FAULTS[name]
    found = broken(fault(healthy()))
    assert (found.name, says in found.says) == (link, True), found
    assert found.remedy


@pytest.mark.parametrize("name", FAULTS)
def test_every_link_is_shown_whatever_is_broken(name: str) -> None:
    checks = chain(FAULTS[name][0](healthy()), MASK)
    assert [check.name for check in checks][: len(CHAIN)] == [link.name for link in CHAIN]
    assert all(check.says for check in checks)
    assert PASSWORD not in repr(checks)


PAIRS = [
    ("paused", "operator absent"),
    ("Secret missing", "inbound trunk missing"),
    ("stale Lease", "agent name empty"),
    ("no leader", "outbound trunk drifted"),
    ("namespace not watched", "rule missing"),
    ("Secret sealed with a lost key", "certificate expired"),
    ("LiveKit down", "host does not resolve"),
    ("key refused", "no pods"),
    ("foreign wildcard rule", "source not allowed"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_of_two_faults_the_first_in_the_chain_is_named_and_the_other_shown(one: str, other: str) -> None:
    checks = chain(FAULTS[other][0](FAULTS[one][0](healthy())), MASK)
    bad = [check.name for check in checks if check.state is State.BAD]
    order = [check.name for check in checks]
    both = sorted((FAULTS[one][1], FAULTS[other][1]), key=order.index)
    assert [name for name in bad if name in both] == both
    assert bad[0] == both[0]


@pytest.mark.parametrize(("one", "other"), list(combinations(["Secret missing", "stale Lease", "LiveKit down"], 2)))
def test_what_depends_on_a_break_is_unknown(one: str, other: str) -> None:
    checks = {check.name: check for check in chain(FAULTS[other][0](FAULTS[one][0](healthy())), MASK)}
    for fault, depending in (("Secret missing", "Sealing"), ("stale Lease", "Last sweep"), ("LiveKit down", "Agent")):
        if fault in (one, other):
            assert checks[depending].state is State.UNKNOWN
            assert FAULTS[fault][1] in checks[depending].says


@pytest.mark.parametrize("name", WARNINGS)
def test_what_works_and_should_be_better_is_told(name: str) -> None:
    fault, link = WARNINGS[name]
    checks = {check.name: check for check in chain(fault(healthy()), MASK)}
    assert checks[link].warns, checks[link]


def test_the_number_that_takes_no_calls_has_no_inbound_side() -> None:
    facts = with_number(inboundAgentId="")(healthy())
    facts = without(DispatchRule)(without(InboundTrunk)(facts))
    checks = chain(facts, MASK)
    assert first_break(checks) is None
    assert not [check for check in checks if check.name.endswith("of the call")]


UNSEEN: Mapping[str, tuple[Fault, str]] = {
    "Secret": (lambda facts: replace(facts, secrets={"sip": Unseen("you may not read this")}), "Secret"),
    "sealing keys": (with_secret(secret(SEALED, lost_key), "you may not read the keys"), "Sealing"),
    "operator": (
        with_operator(deployment=None, ready_pods=None, leader=None, renewed_s=None, watches=None),
        "Operator",
    ),
    "settings": (lambda facts: replace(facts, installation=Unseen("you may not read this")), "Inbound trunk"),
    "LiveKit": (lambda facts: replace(facts, livekit=Unseen("no key for LiveKit is known")), "LiveKit"),
    "LiveKit in the cluster": (
        lambda facts: with_livekit(inside=True)(FAULTS["LiveKit down"][0](facts)),
        "LiveKit",
    ),
    "status": (with_number(generation=2), "Ready"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_read_is_unknown_and_nothing_else_suffers(name: str) -> None:
    fault, link = UNSEEN[name]
    checks = chain(fault(healthy()), MASK)
    assert [check.name for check in checks if check.state is State.BAD] == []
    assert {check.name: check.state for check in checks}[link] is State.UNKNOWN


def test_without_the_secret_its_trunk_is_compared_all_the_same() -> None:
    facts = replace(healthy(), secrets={"sip": Unseen("you may not read this")})
    checks = {check.name: check for check in chain(facts, MASK)}
    assert checks["Outbound trunk"].state is State.OK
    assert "credentials" in checks["Outbound trunk"].says
    assert broken(FAULTS["outbound trunk drifted"][0](facts)).name == "Outbound trunk"


def test_what_the_operator_says_of_a_secret_that_one_may_not_read_counts() -> None:
    told = number()
    resolved = Condition("CredentialsResolved", "False", "SecretNotFound", "it is gone")
    status = replace(told.status, conditions=(*told.status.conditions, resolved))
    facts = replace(healthy(), secrets={"sip": Unseen("you may not read this")}, number=replace(told, status=status))
    assert (broken(facts).name, broken(facts).says) == ("Secret", "it is gone")


def test_the_pod_whose_log_is_named_is_the_leaders() -> None:
    facts = healthy()
    operator = replace(facts.operator, leader="byoc-operator-7d9f-x2x4_0b6c", swept_s=7200.0)
    sweep = next(each for each in chain(replace(facts, operator=operator), MASK) if each.name == "Last sweep")
    assert sweep.remedy == "kubectl logs -n byoc-system byoc-operator-7d9f-x2x4 says why sweeps fail."


def stated(**spec: Any) -> Facts:
    """A number with such a spec whose objects in LiveKit are as they should be."""
    changed = number(**spec)
    return replace(
        healthy(),
        number=changed,
        numbers=(changed,),
        secrets={"sip": SecretSeen(secret()), "callers": SecretSeen(secret())},
        livekit=LiveKitSeen("livekit.example.com", "the environment", in_livekit(**spec)),
    )


def test_of_two_secrets_and_two_agents_all_are_named() -> None:
    inbound = {"authentication": "Digest", "credentialsSecretRef": {"name": "callers"}, "additionalAgentIds": ["notes"]}
    told = {check.name: check for check in chain(stated(inbound=inbound), MASK)}
    assert told["Secret"].says == "Secrets voice/sip and voice/callers have what the number names."
    assert "calls the agents agent_support, notes." in told["Agent"].says
    assert "password of Secret callers at the carrier" in told["Digest of the call"].remedy


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"media": {"codecs": ["G729/8000"], "onlyListedCodecs": True}}, "NoCodecInCommon: Calls fail"),
        ({"terminationUri": "sipconnect.sipgate.de"}, "sipgate has no TLS: set spec.transport"),
    ],
)
def test_a_finding_with_which_every_call_fails_is_a_break(spec: dict[str, Any], words: str) -> None:
    first = first_break(chain(stated(**spec), MASK))
    assert first is not None
    assert (first.name, words in first.says) == ("Findings", True)
