"""The status that an object should have, and the smallest patch that writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..api.conditions import MAX_MESSAGE, Condition, Reason, Verdict, stamped, summarise
from ..api.printable import printable
from ..api.recorded_status import MAX_PATHS, Finding, RecordedCredentials, RecordedIds, RecordedStatus
from ..api.resource import AnnotationRequests, PhoneNumber
from ..api.schema import ManagementPolicy
from ..api.secret_references import SIP_PASSWORD
from ..api.termination_hosts import refused_host
from .assessment import Assessment, outbound_before_conflict
from .desired import Installation, preset_of
from .origination import origination_uri
from .ownership import Owned
from .trunk import SipObject, normalised

MAX_PATH = 256
"""Characters of an entry of `pendingChanges`, as the CRD bounds them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did in LiveKit.

    `owned`: our LiveKit objects after the run, None if LiveKit did not answer. `failure`: the verdict if a call of
    LiveKit failed. `wrote_credentials`: whether the run wrote credentials to LiveKit.
    """

    owned: Owned | None
    failure: Verdict | None = None
    wrote_credentials: bool = False


def status_of(
    number: PhoneNumber, assessment: Assessment, outcome: Outcome, installation: Installation, now: str
) -> RecordedStatus:
    """The whole status after a run. Fields that the run could not judge stay as recorded.

    `now`: RFC 3339 in UTC, whole seconds.
    """
    verdict = _first(assessment.verdict, outcome.failure)
    before = number.status
    answers = not _stands(verdict) and not number.observes
    requested, adopted = (number.requested, assessment.adopted) if answers else (_NOTHING_REQUESTED, "")
    judged = outcome.owned is not None and not (verdict and verdict.reason in _UNTOUCHED)
    ids, live_kit = _ids(number, outcome, verdict, installation)
    carrier, uri = _of_spec(number, installation)
    credentials = {} if _is_empty(outcome, verdict) else _credentials(number, assessment, outcome, verdict)
    return RecordedStatus(
        observed_generation=number.generation,
        conditions=stamped(_conditions(number, assessment, verdict), before.conditions, number.generation, now),
        ids=ids,
        aliases=_aliases(number, outcome) if judged else _aliases_kept(number, ids),
        live_kit=live_kit,
        carrier=carrier,
        origination_uri=uri,
        last_handled_refresh=requested.refresh or before.last_handled_refresh,
        last_handled_recreate=requested.recreate or before.last_handled_recreate,
        last_handled_adopt=adopted or before.last_handled_adopt,
        credentials=credentials.pop(SIP_PASSWORD, None),
        other_credentials=credentials,
        pending_changes=_pending_changes(assessment) if judged else before.pending_changes,
        findings=_findings(assessment) if judged else before.findings,
        left_behind=assessment.left_behind if judged else before.left_behind,
    )


_NOTHING_REQUESTED = AnnotationRequests()


def _pending_changes(assessment: Assessment) -> tuple[str, ...]:
    return tuple(printable(path, MAX_PATH) for path in assessment.pending[:MAX_PATHS])


def _findings(assessment: Assessment) -> tuple[Finding, ...]:
    return tuple(Finding(each.code, printable(each.message, MAX_MESSAGE)) for each in assessment.findings)


def _is_empty(outcome: Outcome, verdict: Verdict | None) -> bool:
    """Whether the object is being deleted and has no LiveKit objects any more."""
    return verdict is not None and verdict.reason is Reason.DELETING and outcome.owned == Owned()


_UNTOUCHED = frozenset({Reason.PAUSED, Reason.INVALID_SPEC, Reason.NUMBER_CLAIMED})
"""With these reasons the run judges nothing else, so findings and pending changes stay as recorded."""


def _first(assessed: Verdict | None, failure: Verdict | None) -> Verdict | None:
    """The verdict to show: a mistake in the object, else LiveKit's failure, else a verdict about LiveKit's objects.

    After a failure the state of LiveKit's objects is uncertain, so what was judged about them comes last.
    """
    if assessed is None or (failure and assessed.reason in _ABOUT_LIVEKIT):
        return failure
    return assessed


_ABOUT_LIVEKIT = frozenset({Reason.CHANGES_PENDING, Reason.ADOPTION_REFUSED, Reason.ALIAS_UNAVAILABLE})


def _stands(verdict: Verdict | None) -> bool:
    """Whether something keeps the run from carrying out all that is due. An alias of others does not."""
    return verdict is not None and verdict.reason is not Reason.ALIAS_UNAVAILABLE


def _aliases(number: PhoneNumber, outcome: Outcome) -> tuple[str, ...]:
    """The aliases on the inbound trunk. What others added to the trunk in LiveKit is no alias of this object."""
    known = {*number.aliases, *number.status.aliases}
    found = outcome.owned.inbound[:1] if outcome.owned and known else ()
    return tuple(sorted(known.intersection(normalised(each) for trunk in found for each in trunk.numbers)))


def _aliases_kept(number: PhoneNumber, ids: RecordedIds) -> tuple[str, ...]:
    """The aliases as recorded, none without an inbound trunk."""
    return number.status.aliases if ids.inbound else ()


def _conditions(number: PhoneNumber, assessment: Assessment, verdict: Verdict | None) -> tuple[Condition, ...]:
    told = "LiveKit is in step with this object."
    if number.management_policy is ManagementPolicy.OBSERVE:
        told = "LiveKit is in step with this object; nothing would change."
    return summarise(
        verdict,
        assessment.activity,
        assessment.credentials.verdict,
        has_credentials=bool(assessment.credentials.usable),
        message=told,
    )


def _without_premature_outbound(owned: Owned, number: PhoneNumber) -> Owned:
    """Without the outbound trunk that was created before a conflict appeared: the operator deletes it again."""
    return replace(owned, outbound=()) if outbound_before_conflict(owned, number) else owned


def _ids(
    number: PhoneNumber, outcome: Outcome, verdict: Verdict | None, installation: Installation
) -> tuple[RecordedIds, str]:
    """The LiveKit IDs for the status, and the host of their server. IDs that the run did not judge stay as recorded.

    Programs read the IDs from the status to place calls, so only an object that holds its number may show them.
    """
    owned, before, reason = outcome.owned, number.status, verdict.reason if verdict else None
    if owned is None:
        return before.ids, before.live_kit
    if reason is Reason.NUMBER_CLAIMED:
        return _named(Owned(), installation)
    if reason is Reason.NUMBER_CONFLICT:
        return _named(_without_premature_outbound(owned, number), installation)
    if reason not in _UNTOUCHED:
        return _named(owned, installation)
    if reason is Reason.INVALID_SPEC and _names_refused_host(number, installation):
        # The run has judged the outbound trunk, and may have deleted it.
        return replace(before.ids, outbound=_id(owned.outbound)), before.live_kit
    return before.ids, before.live_kit


def _names_refused_host(number: PhoneNumber, installation: Installation) -> bool:
    return number.spec is not None and refused_host(number.spec, installation.termination_hosts) is not None


def _named(owned: Owned, installation: Installation) -> tuple[RecordedIds, str]:
    ids = RecordedIds(outbound=_id(owned.outbound), inbound=_id(owned.inbound), rule=_id(owned.rules))
    return ids, installation.live_kit if owned else ""


def _id(found: Sequence[SipObject]) -> str:
    return found[0].id if found else ""


def _of_spec(number: PhoneNumber, installation: Installation) -> tuple[str, str]:
    """The carrier in force and the origination URI. With an invalid spec both stay as recorded."""
    spec = number.spec
    if spec is None:
        return number.status.carrier, number.status.origination_uri
    uri = origination_uri(installation.sip_uri, str(spec.transport)) if spec.inbound_agent_id else ""
    return preset_of(spec, installation.carriers).carrier, uri


def _credentials(
    number: PhoneNumber, assessment: Assessment, outcome: Outcome, verdict: Verdict | None
) -> dict[str, RecordedCredentials]:
    """For each path of a reference, the Secret that was last written to LiveKit.

    A Secret that changed without new credentials does not count. With a verdict the status stays as recorded: the run
    may have written the new credentials to only one of two trunks.
    """
    before, usable = number.status.written, assessment.credentials.usable
    if _stands(verdict):
        return dict(before)
    found: dict[str, RecordedCredentials] = {}
    for path, current in usable.items():
        known = before.get(path)
        same = known is not None and known.secret_name == current.secret_name and known.resource_version
        if known is not None and same and not outcome.wrote_credentials:
            found[path] = replace(known, sealed=current.sealed)
        else:
            found[path] = RecordedCredentials(current.secret_name, current.resource_version, current.sealed)
    return found


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
