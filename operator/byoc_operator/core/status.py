"""The status of a number: what it should read, and the smallest patch that makes it so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..api.conditions import MAX_MESSAGE, Reason, Verdict, stamped, summarise
from ..api.printable import printable
from ..api.resource import PhoneNumber
from ..api.schema import ManagementPolicy
from .assessment import Assessment, outbound_before_conflict
from .credentials import Credentials
from .desired import Installation, preset_of
from .origination import origination_uri
from .ownership import Owned

MAX_PATH = 256
MAX_PATHS = 128
"""Characters and entries of `pendingChanges`, as the CRD bounds them."""


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
) -> dict[str, Any]:
    """The whole status. Parts that this run could not judge stay as they are. `now`: RFC 3339, whole seconds."""
    verdict = _first(assessment.verdict, outcome.failure)
    status: dict[str, Any] = {
        "observedGeneration": number.generation,
        "conditions": stamped(_conditions(number, assessment, verdict), _previous(number), number.generation, now),
        **_kept(number, ("inboundTrunkId", "outboundTrunkId", "dispatchRuleId", "liveKit")),
        **_kept(number, ("carrier", "originationUri", "lastHandledRefresh", "lastHandledRecreate", "lastHandledAdopt")),
    }
    if outcome.owned is not None and verdict and verdict.reason is Reason.NUMBER_CLAIMED:
        status |= _ids(Owned(), installation)  # whoever reads an ID here would call with it
    elif outcome.owned is not None and verdict and verdict.reason is Reason.NUMBER_CONFLICT:
        status |= _ids(_without_early(outcome.owned, number), installation)
    elif outcome.owned is not None and not (verdict and verdict.reason in _UNTOUCHED):
        status |= _ids(outcome.owned, installation)
    elif outcome.owned is not None and verdict and verdict.reason is Reason.INVALID_SPEC and number.spec is not None:
        # The host is refused, and the outbound trunk is judged: it may be gone.
        status["outboundTrunkId"] = _ids(outcome.owned, installation)["outboundTrunkId"]
    if number.spec is not None:
        status["carrier"] = str(preset_of(number.spec).carrier)
        inbound = bool(number.spec.inbound_agent_id)
        transport = str(number.spec.transport)
        status["originationUri"] = origination_uri(installation.sip_uri, transport) if inbound else ""
    if verdict is None and not number.observes:
        status["lastHandledRefresh"] = number.wishes.refresh or status.get("lastHandledRefresh", "")
        status["lastHandledRecreate"] = number.wishes.recreate or status.get("lastHandledRecreate", "")
        status["lastHandledAdopt"] = assessment.adopted or status["lastHandledAdopt"]
    status["credentials"] = None if _is_empty(outcome, verdict) else _credentials(number, assessment, outcome, verdict)
    if outcome.owned is None or (verdict and verdict.reason in _UNTOUCHED):  # not judged: what was said stays
        status |= {field: number.status.get(field) for field in ("pendingChanges", "findings")}
        return _filled(status)
    status["pendingChanges"] = [printable(path, MAX_PATH) for path in assessment.pending[:MAX_PATHS]]
    status["findings"] = [
        {"code": str(finding.code), "message": printable(finding.message, MAX_MESSAGE)}
        for finding in assessment.findings
    ]
    return _filled(status)


def _is_empty(outcome: Outcome, verdict: Verdict | None) -> bool:
    """Whether the number is leaving, and LiveKit has nothing of it any more."""
    return verdict is not None and verdict.reason is Reason.DELETING and outcome.owned == Owned()


def _filled(status: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in status.items() if value not in ("", None, [])}


_UNTOUCHED = frozenset({Reason.PAUSED, Reason.INVALID_SPEC, Reason.NUMBER_CLAIMED})
"""With these, nothing is judged but that they are the case."""


def _first(assessed: Verdict | None, failure: Verdict | None) -> Verdict | None:
    """A user's mistake comes before LiveKit's fault, and LiveKit's fault before what is judged by what LiveKit has."""
    if assessed is None or (failure and assessed.reason in (Reason.CHANGES_PENDING, Reason.ADOPTION_REFUSED)):
        return failure
    return assessed


def _conditions(number: PhoneNumber, assessment: Assessment, verdict: Verdict | None) -> tuple[Any, ...]:
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


def _previous(number: PhoneNumber) -> list[Mapping[str, Any]]:
    conditions = number.status.get("conditions")
    return [old for old in conditions if isinstance(old, Mapping)] if isinstance(conditions, list) else []


def _kept(number: PhoneNumber, names: tuple[str, ...]) -> dict[str, str]:
    return {name: number.answered(name) for name in names}


def _without_early(owned: Owned, number: PhoneNumber) -> Owned:
    """Without what is to go again: with somebody else's inbound trunk in LiveKit no new trunk is to call with."""
    return replace(owned, outbound=()) if outbound_before_conflict(owned, number) else owned


def _ids(owned: Owned, installation: Installation) -> dict[str, str]:
    return {
        "inboundTrunkId": owned.inbound[0].id if owned.inbound else "",
        "outboundTrunkId": owned.outbound[0].id if owned.outbound else "",
        "dispatchRuleId": owned.rules[0].id if owned.rules else "",
        "liveKit": installation.live_kit if owned else "",
    }


def _credentials(
    number: PhoneNumber, assessment: Assessment, outcome: Outcome, verdict: Verdict | None
) -> Mapping[str, Any] | None:
    """Which Secret was last written to LiveKit: it does not follow a Secret that was touched but is equal."""
    previous = number.status.get("credentials")
    before = previous if isinstance(previous, Mapping) else None
    current = assessment.credentials
    if number.spec is not None and number.spec.sip_password_secret_ref is None and verdict is None:
        return None
    if not isinstance(current, Credentials) or verdict is not None:
        return before  # perhaps one of two trunks has the new ones
    same = before is not None and before.get("secretName") == current.secret_name and before.get("resourceVersion")
    if before is not None and same and not outcome.wrote_credentials:
        return {**before, "sealed": current.sealed}
    return {
        "secretName": current.secret_name,
        "resourceVersion": current.resource_version,
        "sealed": current.sealed,
    }


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
