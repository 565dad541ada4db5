"""Which change of a status is announced, and with which words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.conditions import LIVEKIT_AS_A_WHOLE, Condition, Reason
from byoc_operator.api.recorded_status import RecordedCredentials, RecordedIds, RecordedStatus
from byoc_operator.api.secret_references import INBOUND_CREDENTIALS
from byoc_operator.core.announcement import Announcement, announcement
from strategies import QUICK

NONE, ALL = RecordedIds(), RecordedIds("ST_out", "ST_in", "SDR_1")
INBOUND = RecordedIds(inbound="ST_in", rule="SDR_1")
URI = "sip:sip.example.org;transport=tls"
FIRST = f"The number is ready. Enter this origination URI at the carrier: {URI}"
SECRET = RecordedCredentials("sip", "7")


def status(
    reason: str, ids: RecordedIds = NONE, uri: str = URI, used: RecordedCredentials | None = None
) -> RecordedStatus:
    """A status with this reason of Ready, "" for none. `used`: the credentials that it records."""
    state = "True" if reason == Reason.SYNCED else "False"
    ready = (Condition("Ready", state, reason, f"This is {reason}."),) if reason else ()
    return RecordedStatus(conditions=ready, ids=ids, origination_uri=uri, credentials=used)


READY = status(Reason.SYNCED, ALL, used=SECRET)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(status(""), id="created"),
        pytest.param(status(Reason.SECRET_NOT_FOUND, INBOUND), id="its Secret was missing"),
        pytest.param(status(Reason.REJECTED_BY_LIVEKIT, RecordedIds(outbound="ST_out")), id="LiveKit refused it"),
        pytest.param(status(Reason.NUMBER_CLAIMED), id="another object had the number"),
        pytest.param(status(Reason.ADOPTION_REFUSED), id="it could not be adopted"),
        pytest.param(status(Reason.LIVEKIT_UNAVAILABLE), id="created during an outage"),
        pytest.param(status(Reason.PAUSED), id="created as paused"),
    ],
)
def test_the_first_ready_is_an_event_that_says_what_to_enter_at_the_carrier(before: RecordedStatus) -> None:
    said = announcement(before, READY, observes=False)
    assert said == Announcement(Reason.SYNCED, FIRST, harmless=True, is_event=True)


def test_a_number_without_calls_in_is_ready_without_a_uri() -> None:
    said = announcement(status(""), status(Reason.SYNCED, RecordedIds(outbound="ST_out"), uri=""), observes=False)
    assert said is not None
    assert said.note == "The number is ready."


@pytest.mark.parametrize(
    "reason", [Reason.SECRET_NOT_FOUND, Reason.NUMBER_CONFLICT, Reason.PAUSED, Reason.INVALID_SPEC]
)
@pytest.mark.parametrize("ids", [ALL, INBOUND], ids=["with all IDs", "without its outbound trunk"])
def test_a_return_to_ready_is_not_announced_as_the_first(reason: Reason, ids: RecordedIds) -> None:
    said = announcement(status(reason, ids, used=SECRET), READY, observes=False)
    assert said == Announcement(Reason.SYNCED, "This is Synced.", harmless=True, is_event=True)


def test_recorded_inbound_credentials_tell_a_number_that_was_ready_too() -> None:
    before = replace(status(Reason.NUMBER_CLAIMED), other_credentials={INBOUND_CREDENTIALS: SECRET})
    said = announcement(before, status(Reason.SYNCED, INBOUND), observes=False)
    assert said is not None
    assert said.note == "This is Synced."


def test_a_number_under_observe_that_is_in_step_from_the_start_is_not_announced() -> None:
    assert announcement(status(""), READY, observes=True) is None


@pytest.mark.parametrize("reason", LIVEKIT_AS_A_WHOLE)
def test_a_fault_of_livekit_as_a_whole_is_no_event_of_a_number_that_was_ready(reason: Reason) -> None:
    for before, now in ((READY, status(reason, ALL, used=SECRET)), (status(reason, ALL, used=SECRET), READY)):
        said = announcement(before, now, observes=False)
        assert said is not None
        assert not said.is_event


reasons = st.sampled_from(["", *Reason])
statuses = st.builds(
    status, reasons, st.sampled_from([NONE, INBOUND, ALL]), st.sampled_from(["", URI]), st.sampled_from([None, SECRET])
)


@QUICK
@given(before=statuses, wanted=statuses, observes=st.booleans())
def test_a_status_that_keeps_its_reason_announces_nothing(
    before: RecordedStatus, wanted: RecordedStatus, *, observes: bool
) -> None:
    said = announcement(before, wanted, observes=observes)
    assert said is None or before.ready.reason != wanted.ready.reason
    assert announcement(wanted, wanted, observes=observes) is None


@QUICK
@given(path=st.lists(reasons.filter(lambda each: each != ""), min_size=1, max_size=8))
def test_whatever_happens_to_a_number_with_credentials_the_first_ready_is_announced_once(path: list[str]) -> None:
    notes, before = [], status("")
    for reason in path:
        ready_before = before.credentials is not None
        ids = ALL if reason == Reason.SYNCED else NONE if reason == Reason.NUMBER_CLAIMED else before.ids
        used = SECRET if reason == Reason.SYNCED or ready_before else None
        wanted = status(reason, ids, used=used)
        said = announcement(before, wanted, observes=False)
        notes += [] if said is None else [said.note]
        before = wanted
    assert notes.count(FIRST) == (Reason.SYNCED in path)
