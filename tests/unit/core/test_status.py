"""Conditions, the status and its patch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.conditions import REMEDIES, Condition, Reason, Verdict, stamped, summarise
from byoc_operator.api.recorded_status import recorded_status
from byoc_operator.api.resource import parse
from byoc_operator.api.secret_references import SIP_PASSWORD
from byoc_operator.cluster.fake_patch import merged
from byoc_operator.core.assessment import assess
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials_in_use import CredentialsInUse
from byoc_operator.core.situation import Situation
from byoc_operator.core.status import Outcome, status_of, status_patch
from strategies import (
    CREDENTIALS,
    INSTALLATION,
    MASK,
    QUICK,
    Server,
    json_objects,
    json_values,
    raw_specs,
    servers,
)

PASSWORD = "s3cret" * 2
"""No strategy draws it: Hypothesis also draws constants of the code, and this is none. "password" is in messages."""
SIGNED = CredentialsInUse(
    {SIP_PASSWORD: replace(CREDENTIALS, values={**CREDENTIALS.values, Field.PASSWORD: MASK(PASSWORD)})}
)

verdicts = st.builds(Verdict, st.sampled_from(Reason), st.text(max_size=20), st.booleans())
conditions = st.builds(
    Condition,
    st.sampled_from(["Ready", "Reconciling", "Stalled", "CredentialsResolved"]),
    st.sampled_from(["True", "False", "Unknown"]),
    st.sampled_from(Reason),
    st.text(max_size=20),
)
NOW, THEN = "2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z"


@QUICK
@given(st.none() | verdicts, st.sampled_from(Reason), st.none() | verdicts, st.booleans())
def test_kstatus_holds(
    verdict: Verdict | None,
    activity: Reason,
    credentials: Verdict | None,
    has_credentials: bool,  # noqa: FBT001
) -> None:
    found = summarise(verdict, activity, credentials, has_credentials=has_credentials, message="fine")
    by_type = {condition.type: condition for condition in found}
    assert len(by_type) == len(found)
    assert by_type["Ready"].reason is (verdict.reason if verdict else Reason.SYNCED)
    assert (by_type["Ready"].status == "True") is (verdict is None)
    assert not {"Reconciling", "Stalled"} <= set(by_type)
    assert all(by_type[type_].status == "True" for type_ in ("Reconciling", "Stalled") if type_ in by_type)
    if verdict is None:
        assert {"Reconciling", "Stalled"}.isdisjoint(by_type)


@QUICK
@given(st.lists(conditions, unique_by=lambda each: each.type), st.lists(conditions, unique_by=lambda each: each.type))
def test_the_time_of_transition_moves_with_the_status_only(before: list[Condition], after: list[Condition]) -> None:
    stored = stamped(before, [], 1, THEN)
    statuses = {old.type: old.status for old in stored}
    for new in stamped(after, stored, 2, NOW):
        assert new.last_transition_time == (THEN if statuses.get(new.type) == new.status else NOW)
        assert new.observed_generation == 2


@QUICK
@given(st.lists(conditions, max_size=3), st.lists(json_objects, max_size=3))
def test_odd_conditions_in_a_status_never_fail(wanted: list[Condition], previous: list[dict[str, Any]]) -> None:
    recorded = recorded_status({"conditions": previous}).conditions
    assert len(stamped(wanted, recorded, 1, NOW)) == len(wanted)


full = st.dictionaries(st.text(max_size=3), st.integers() | st.text() | st.lists(st.integers()), max_size=5)


@QUICK
@given(full, full)
def test_a_patch_leads_from_one_status_to_the_other(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert merged(stored, status_patch(stored, wanted)) == wanted


credentials_written = st.dictionaries(
    st.sampled_from(["secretName", "resourceVersion", "sealed"]), st.sampled_from(["sip", "7", "6"])
)


@QUICK
@given(st.none() | credentials_written, st.none() | credentials_written)
def test_a_patch_leads_from_one_credentials_to_the_other(
    stored: dict[str, Any] | None, wanted: dict[str, Any] | None
) -> None:
    """A merge patch keeps what it does not name, within an object of the status too."""
    before, after = ({"credentials": each} if each is not None else {} for each in (stored, wanted))
    assert merged(before, status_patch(before, after)) == after


odd_statuses = st.dictionaries(
    st.sampled_from(["conditions", "inboundTrunkId", "lastHandledRefresh", "credentials", "observedGeneration", "x"]),
    json_values,
    max_size=5,
)


@QUICK
@given(raw_specs(), servers(), odd_statuses, st.booleans())
def test_a_status_is_stable_whatever_stood_there_before(
    spec: dict[str, Any],
    server: Server,
    status: Mapping[str, Any],
    deleting: bool,  # noqa: FBT001
) -> None:
    number = parse(raw(spec, status, deleting=deleting))
    first = written(number_status := dict(number.status.json()), spec, server, deleting=deleting)
    assert merged(number_status, status_patch(number_status, first)) == first
    again = written(first, spec, server, deleting=deleting)
    assert again == first
    assert PASSWORD not in str(first)


def raw(spec: Mapping[str, Any], status: Mapping[str, Any], *, deleting: bool) -> dict[str, Any]:
    metadata = {"namespace": "voice", "name": "main", "uid": "u", "resourceVersion": "5", "generation": 3}
    return {
        "metadata": metadata | ({"deletionTimestamp": NOW} if deleting else {}),
        "spec": spec,
        "status": status,
    }


def written(status: Mapping[str, Any], spec: Mapping[str, Any], server: Server, *, deleting: bool) -> dict[str, Any]:
    number = parse(raw(spec, status, deleting=deleting))
    credentials = SIGNED if "sipPasswordSecretRef" in spec else CredentialsInUse()
    assessment = assess(Situation(number, server.owned, credentials=credentials), INSTALLATION, MASK, 0.0)
    return dict(status_of(number, assessment, Outcome(server.owned), INSTALLATION, NOW).json())


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDIES) == set(Reason)
