"""The status of a number: what it should read, and the smallest patch that makes it so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from ..api.conditions import MAX_MESSAGE, Condition, Reason, Verdict, stamped, summarise
from ..api.printable import printable
from ..api.recorded_status import MAX_PATHS, Finding, RecordedCredentials, RecordedIds, RecordedStatus
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy
from .assessment import Assessment, outbound_before_conflict
from .credentials import Credentials
from .desired import Installation, preset_of
from .origination import origination_uri
from .ownership import Owned
from .trunk import SipObject

MAX_PATH = 256
"""Characters of an entry of `pendingChanges`, as the CRD bounds them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    `owned`: what is ours in LiveKit now, None if LiveKit could not be asked; `failure`: what LiveKit answered, if it
    was no success; `wrote_credentials`: whether credentials were written to LiveKit.
    """

    owned: Owned | None
    failure: Verdict | None = None
    wrote_credentials: bool = False


def status_of(
    number: PhoneNumber, assessment: Assessment, outcome: Outcome, installation: Installation, now: str
) -> RecordedStatus:
    """The whole status. Parts that this run could not judge stay as they are. `now`: RFC 3339, whole seconds."""
    verdict = _first(assessment.verdict, outcome.failure)
    recorded = number.status
    status = replace(
        recorded,
        raw=None,
        observed_generation=number.generation,
        conditions=stamped(_conditions(number, assessment, verdict), recorded.conditions, number.generation, now),
        credentials=None if _is_empty(outcome, verdict) else _credentials(number, assessment, outcome, verdict),
        **_ids(number, outcome, verdict, installation),
        **_of_spec(number, installation),
    )
    if verdict is None and not number.observes:
        status = replace(
            status,
            last_handled_refresh=number.wishes.refresh or recorded.last_handled_refresh,
            last_handled_recreate=number.wishes.recreate or recorded.last_handled_recreate,
            last_handled_adopt=assessment.adopted or recorded.last_handled_adopt,
        )
    if outcome.owned is None or (verdict and verdict.reason in _UNTOUCHED):  # not judged: what was said stays
        return status
    return replace(
        status,
        pending_changes=tuple(printable(path, MAX_PATH) for path in assessment.pending[:MAX_PATHS]),
        findings=tuple(
            Finding(finding.code, printable(finding.message, MAX_MESSAGE)) for finding in assessment.findings
        ),
        left_behind=assessment.left_behind,
    )


def _is_empty(outcome: Outcome, verdict: Verdict | None) -> bool:
    """Whether the number is leaving, and LiveKit has nothing of it any more."""
    return verdict is not None and verdict.reason is Reason.DELETING and outcome.owned == Owned()


_UNTOUCHED = frozenset({Reason.PAUSED, Reason.INVALID_SPEC, Reason.NUMBER_CLAIMED})
"""With these, nothing is judged but that they are the case."""


def _first(assessed: Verdict | None, failure: Verdict | None) -> Verdict | None:
    """A user's mistake comes before LiveKit's fault, and LiveKit's fault before what is judged by what LiveKit has."""
    if assessed is None or (failure and assessed.reason in (Reason.CHANGES_PENDING, Reason.ADOPTION_REFUSED)):
        return failure
    return assessed


def _conditions(number: PhoneNumber, assessment: Assessment, verdict: Verdict | None) -> tuple[Condition, ...]:
    credentials = assessment.credentials
    told = "LiveKit is in step with this object."
    if number.management_policy is ManagementPolicy.OBSERVE:
        told = "LiveKit is in step with this object; nothing would change."
    return summarise(
        verdict,
        assessment.activity,
        credentials if isinstance(credentials, Verdict) else None,
        has_credentials=isinstance(credentials, Credentials),
        message=told,
    )


def _without_early(owned: Owned, number: PhoneNumber) -> Owned:
    """Without what is to go again: with somebody else's inbound trunk in LiveKit no new trunk is to call with."""
    return replace(owned, outbound=()) if outbound_before_conflict(owned, number) else owned


class _Ids(TypedDict, total=False):
    """The fields that name LiveKit objects, as far as they change."""

    ids: RecordedIds
    live_kit: str


def _ids(number: PhoneNumber, outcome: Outcome, verdict: Verdict | None, installation: Installation) -> _Ids:
    """What a reader of the status is told to call with; empty where what is told stays as it is."""
    owned, reason = outcome.owned, verdict.reason if verdict else None
    if owned is None:
        return {}
    if reason is Reason.NUMBER_CLAIMED:
        return _named(Owned(), installation)  # whoever reads an ID here would call with it
    if reason is Reason.NUMBER_CONFLICT:
        return _named(_without_early(owned, number), installation)
    if reason not in _UNTOUCHED:
        return _named(owned, installation)
    if reason is Reason.INVALID_SPEC and number.spec is not None:
        # The host is refused, and the outbound trunk is judged: it may be gone.
        return {"ids": replace(number.status.ids, outbound=_id(owned.outbound))}
    return {}


def _named(owned: Owned, installation: Installation) -> _Ids:
    ids = RecordedIds(outbound=_id(owned.outbound), inbound=_id(owned.inbound), rule=_id(owned.rules))
    return {"ids": ids, "live_kit": installation.live_kit if owned else ""}


def _id(found: Sequence[SipObject]) -> str:
    return found[0].id if found else ""


class _OfSpec(TypedDict, total=False):
    """The fields that follow from the spec alone."""

    carrier: str
    origination_uri: str


def _of_spec(number: PhoneNumber, installation: Installation) -> _OfSpec:
    spec = number.spec
    if spec is None:
        return {}
    uri = origination_uri(installation.sip_uri, str(spec.transport)) if spec.inbound_agent_id else ""
    return {"carrier": str(preset_of(spec).carrier), "origination_uri": uri}


def _credentials(
    number: PhoneNumber, assessment: Assessment, outcome: Outcome, verdict: Verdict | None
) -> RecordedCredentials | None:
    """Which Secret was last written to LiveKit: it does not follow a Secret that was touched but is equal."""
    before, current = number.status.credentials, assessment.credentials
    if number.spec is not None and number.spec.sip_password_secret_ref is None and verdict is None:
        return None
    if not isinstance(current, Credentials) or verdict is not None:
        return before  # perhaps one of two trunks has the new ones
    same = before is not None and before.secret_name == current.secret_name and before.resource_version
    if before is not None and same and not outcome.wrote_credentials:
        return replace(before, sealed=current.sealed)
    return RecordedCredentials(current.secret_name, current.resource_version, current.sealed)


def status_patch(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) from one status to another; empty: nothing to write."""
    patch: dict[str, Any] = {field: None for field in stored if field not in wanted}
    for field, value in wanted.items():
        before = stored.get(field)
        if before == value:
            continue
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            patch[field] = status_patch(before, value)
        else:
            patch[field] = value
    return patch
