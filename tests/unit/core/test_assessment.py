"""The judgement of a number: what each thing in the way costs, and which of two is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pytest

from byoc_operator.api.conditions import Reason, Verdict
from byoc_operator.api.names import PAUSED, RECREATE, REFRESH
from byoc_operator.api.resource import PhoneNumber, parse
from byoc_operator.api.secret_references import SIP_PASSWORD
from byoc_operator.core.adoption import Adoption, Refusal
from byoc_operator.core.assessment import CHECKS, assess, held_by_others
from byoc_operator.core.credentials_in_use import CredentialsInUse
from byoc_operator.core.desired import Installation, RecreateValues, desired
from byoc_operator.core.ownership import Mark, Owned, Owner
from byoc_operator.core.plan import Create, Replace, needs_credentials, verbs, with_texts
from byoc_operator.core.situation import Situation
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, Masked, OutboundTrunk
from strategies import CREDENTIALS, IN_USE, INSTALLATION, MASK, OWNER, PHONE

LIMITED = replace(INSTALLATION, termination_hosts=("twilio.com",))
REMOVES = replace(LIMITED, removes_refused=True)
SPEC: Mapping[str, Any] = {
    "phoneNumber": PHONE,
    "terminationUri": "sip.example.com",
    "inboundAgentId": "agent_support",
    "sipPasswordSecretRef": {"name": "sip"},
}
MISSING = CredentialsInUse({SIP_PASSWORD: Verdict(Reason.SECRET_NOT_FOUND, "there is no Secret")})
TAKEN = Verdict(Reason.NUMBER_CLAIMED, "another object has it")
THEIRS = InboundTrunk("theirs", "", (PHONE,), id="ST_theirs")
FREE = OutboundTrunk("free", "", "sip.example.com", "TLS", (PHONE,), extra=("authRealm",), id="ST_free")
REFUSED = Adoption(refused=(Refusal("ST_typo", "is not in LiveKit"),))
CREATES = ["create the outboundTrunk", "create the inboundTrunk", "create the dispatchRule"]
DELETES = ["delete the dispatchRule SDR_ours", "delete the inboundTrunk ST_in", "delete the outboundTrunk ST_out"]


def number(
    annotations: Mapping[str, str] | None = None,
    *,
    deleting: bool = False,
    status: Mapping[str, Any] | None = None,
    **changes: Any,
) -> PhoneNumber:
    """A number with `SPEC` and changes; None takes a field away."""
    metadata = {"namespace": "voice", "name": "main", "uid": "u", "resourceVersion": "5", "generation": 1}
    metadata |= {"annotations": dict(annotations or {})}
    metadata |= {"deletionTimestamp": "2030-01-01T00:00:00Z"} if deleting else {}
    spec = {name: value for name, value in {**SPEC, **changes}.items() if value is not None}
    return parse({"metadata": metadata, "spec": spec, "status": dict(status or {})})


def in_step(installation: Installation = INSTALLATION, **changes: Any) -> Owned:
    """What the number should be in LiveKit."""
    spec = number(**changes).spec
    assert spec is not None
    want = desired(spec, OWNER, installation, IN_USE, RecreateValues(), MASK)
    outbound = replace(want.outbound, id="ST_out")
    if want.inbound is None or want.rule is None:
        return Owned((outbound,))
    inbound, rule = replace(want.inbound, id="ST_in"), replace(want.rule, id="SDR_ours", trunk_ids=("ST_in",))
    return Owned((outbound,), (inbound,), (rule,))


@dataclass(frozen=True)
class Cause:
    """Something in the way: what the object says, and what else is known."""

    reason: Reason
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    installation: Installation = INSTALLATION
    situation: Mapping[str, Any] = field(default_factory=dict)


CAUSES = (
    Cause(Reason.PAUSED, annotations={PAUSED: "true"}),
    Cause(Reason.INVALID_SPEC, installation=LIMITED),
    Cause(Reason.NUMBER_CLAIMED, situation={"claimed": TAKEN}),
    Cause(Reason.SECRET_NOT_FOUND, situation={"credentials": MISSING}),
    Cause(Reason.NUMBER_CONFLICT, situation={"foreign": (THEIRS,)}),
    Cause(Reason.ADOPTION_REFUSED, situation={"adoption": REFUSED}),
    Cause(Reason.CHANGES_PENDING, spec={"managementPolicy": "Observe"}),
)
"""In the order in which they are told."""


@pytest.mark.parametrize(("earlier", "later"), list(combinations(CAUSES, 2)), ids=lambda cause: str(cause.reason))
def test_of_two_causes_the_earlier_is_told(earlier: Cause, later: Cause) -> None:
    phone = number({**earlier.annotations, **later.annotations}, **earlier.spec, **later.spec)
    known = {"credentials": IN_USE, **later.situation, **earlier.situation}
    installation = LIMITED if LIMITED in (earlier.installation, later.installation) else INSTALLATION
    found = assess(Situation(phone, Owned(), **known), installation, MASK, 0.0).verdict
    assert found is not None
    assert found.reason is earlier.reason


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: str(cause.reason))
def test_each_cause_alone_is_told(cause: Cause) -> None:
    known = {"credentials": IN_USE, **cause.situation}
    situation = Situation(number(cause.annotations, **cause.spec), Owned(), **known)
    found = assess(situation, cause.installation, MASK, 0.0).verdict
    assert found is not None
    assert found.reason is cause.reason


def test_a_refused_adoption_is_told_before_fields_that_another_would_lose() -> None:
    both = replace(REFUSED, taken=Owned(outbound=(FREE,)))
    wishes = (both, replace(both, refused=()))
    told = [assess(situation, INSTALLATION, MASK, 0.0) for situation in map(_adopting, wishes)]
    assert [each.verdict.reason for each in told if each.verdict] == [Reason.ADOPTION_REFUSED, Reason.CHANGES_PENDING]
    assert [each.pending for each in told] == [("outboundTrunk.authRealm",)] * 2


def _adopting(adoption: Adoption) -> Situation:
    return Situation(number(), Owned(), credentials=IN_USE, adoption=adoption)


def test_every_check_may_be_the_one_that_is_told() -> None:
    twice = 1  # InvalidSpec: a refused host, and a challenge that the carrier cannot answer
    # ChangesPending has a check for adoptions, and comes from the plan in Observe.
    assert len(CHECKS) == len(CAUSES) + twice


@pytest.mark.parametrize(
    ("cause", "installation", "owned", "changes"),
    [
        (None, INSTALLATION, Owned(), CREATES),
        (None, INSTALLATION, in_step(), []),
        (Cause(Reason.PAUSED, annotations={PAUSED: "true"}), INSTALLATION, Owned(), []),
        (Cause(Reason.INVALID_SPEC), LIMITED, in_step(), []),
        (Cause(Reason.INVALID_SPEC), REMOVES, in_step(), DELETES[2:]),
        (Cause(Reason.INVALID_SPEC, spec={"phoneNumber": "12"}), REMOVES, in_step(), []),
        (Cause(Reason.NUMBER_CLAIMED, situation={"claimed": TAKEN}), INSTALLATION, in_step(), DELETES),
        (
            Cause(Reason.NUMBER_CLAIMED, spec={"managementPolicy": "Observe"}, situation={"claimed": TAKEN}),
            INSTALLATION,
            in_step(),
            [],
        ),
        (
            Cause(Reason.NUMBER_CLAIMED, spec={"deletionPolicy": "Retain"}, situation={"claimed": TAKEN}),
            INSTALLATION,
            in_step(),
            [],
        ),
        (Cause(Reason.SECRET_NOT_FOUND, situation={"credentials": MISSING}), INSTALLATION, Owned(), CREATES[1:]),
        (
            Cause(
                Reason.SECRET_NOT_FOUND,
                spec={"inbound": {"authentication": "Digest"}},
                situation={"credentials": MISSING},
            ),
            INSTALLATION,
            Owned(),
            [],
        ),
        (Cause(Reason.NUMBER_CONFLICT, situation={"foreign": (THEIRS,)}), INSTALLATION, Owned(), []),
        (
            Cause(Reason.NUMBER_CONFLICT, situation={"foreign": (THEIRS,)}),
            INSTALLATION,
            Owned(in_step().outbound),
            DELETES[2:],
        ),
        (
            Cause(Reason.ADOPTION_REFUSED, situation={"adoption": replace(REFUSED, withheld=frozenset(Kind))}),
            INSTALLATION,
            Owned(),
            [],
        ),
        (Cause(Reason.CHANGES_PENDING, spec={"managementPolicy": "Observe"}), INSTALLATION, Owned(), []),
    ],
)
def test_what_stands_in_the_way_and_what_is_done_all_the_same(
    cause: Cause | None, installation: Installation, owned: Owned, changes: list[str]
) -> None:
    why = cause or Cause(Reason.SYNCED)
    known = {"credentials": IN_USE, **why.situation}
    found = assess(Situation(number(why.annotations, **why.spec), owned, **known), installation, MASK, 0.0)
    assert (found.verdict.reason if found.verdict else None) is (cause.reason if cause else None)
    assert verbs(found.changes) == changes


@pytest.mark.parametrize(
    ("spec", "may_retain", "changes"),
    [
        ({}, True, DELETES),
        ({"phoneNumber": "12"}, True, DELETES),
        ({"managementPolicy": "Observe"}, True, []),
        ({"deletionPolicy": "Retain"}, True, ["mark the inboundTrunk ST_in", "mark the outboundTrunk ST_out"]),
        ({"deletionPolicy": "Retain"}, False, DELETES),
        ({"managementPolicy": "Observe", "deletionPolicy": "Retain"}, False, []),
    ],
)
def test_a_deletion_comes_before_everything(
    spec: Mapping[str, Any],
    may_retain: bool,  # noqa: FBT001
    changes: list[str],
) -> None:
    leaving = number({PAUSED: "true"}, deleting=True, **spec)
    situation = Situation(leaving, in_step(), claimed=TAKEN, credentials=MISSING, may_retain=may_retain)
    found = assess(situation, LIMITED, MASK, 0.0)
    assert (found.lets_go, found.verdict, verbs(found.changes)) == (True, None, changes)
    assert found.retain_refused is (changes == DELETES and spec.get("deletionPolicy") == "Retain")


@pytest.mark.parametrize(
    ("owned", "told"),
    [(None, "let it go."), (Owned(), "has nothing of it any more."), (in_step(), "stays: SDR_ours, ST_in, ST_out.")],
)
def test_an_object_that_others_keep_says_what_stays(owned: Owned | None, told: str) -> None:
    found = held_by_others(assess(Situation(number(deleting=True), Owned()), INSTALLATION, MASK, 0.0), owned)
    assert found.verdict is not None
    assert found.verdict.reason is Reason.DELETING
    assert found.verdict.message.endswith(told)


@pytest.mark.parametrize(
    ("annotation", "changes"),
    [
        (REFRESH, ["replace the outboundTrunk", "replace the inboundTrunk", "replace the dispatchRule"]),
        (RECREATE, [*DELETES, *CREATES]),
    ],
)
def test_wishes_wait_for_what_stands_in_the_way(annotation: str, changes: list[str]) -> None:
    seen = {"observedGeneration": 1, "credentials": {"secretName": "sip", "resourceVersion": "1"}}
    phone = number({annotation: "now"}, status=seen)
    found = assess(Situation(phone, in_step(), credentials=IN_USE), INSTALLATION, MASK, 0.0)
    assert (found.refreshes, verbs(found.changes)) == (True, changes)
    blocked = assess(Situation(phone, in_step(), credentials=MISSING), INSTALLATION, MASK, 0.0)
    assert (blocked.refreshes, verbs(blocked.changes)) == (False, [])


def test_texts_are_filled_in_after_the_judgement() -> None:
    telnyx = number(terminationUri="sip.telnyx.com", inbound={"authentication": "Digest"})
    situation = Situation(telnyx, Owned(), credentials=IN_USE.without_texts)
    judged = assess(situation, INSTALLATION, MASK, 0.0)
    assert needs_credentials(judged.changes)
    filled = with_texts(judged.changes, IN_USE.masked)
    assert filled == judged.changes, "a digest is enough to compare"
    assert _texts_of(judged.changes) == {None}
    assert _texts_of(filled) == {CREDENTIALS.username.text, CREDENTIALS.password.text}


def _texts_of(changes: tuple[Any, ...]) -> set[Any]:
    """The texts of all credentials that the changes write."""
    wanted = [change.wanted for change in changes if isinstance(change, Create | Replace)]
    trunks = [each for each in wanted if not isinstance(each, DispatchRule)]
    written = [each for trunk in trunks for each in (trunk.username, trunk.password) if each]
    headers = [trunk.headers for trunk in trunks if isinstance(trunk, OutboundTrunk)]
    masked = [value for each in headers for value in each.values() if isinstance(value, Masked)]
    assert (len(written), len(masked)) == (4, 1)
    return {each.text for each in (*written, *masked)}


def test_the_mark_of_another_installation_keeps_an_object_from_being_made_twice() -> None:
    foreign = OutboundTrunk(
        "foreign", Mark(Owner("cluster-z", "voice", "main")).dump(), "sip.example.com", "TLS", (PHONE,), id="ST_foreign"
    )
    found = assess(Situation(number(), Owned(), (foreign,), credentials=IN_USE), INSTALLATION, MASK, 0.0)
    assert (found.verdict and found.verdict.reason, found.changes) == (Reason.NUMBER_CONFLICT, ())
