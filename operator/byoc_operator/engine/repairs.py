"""Tells repairs from other changes. A repair undoes a change that somebody else made in LiveKit."""

from ..api.conditions import Reason
from ..api.resource import PhoneNumber
from ..core.assessment import Assessment
from ..core.fields import CREDENTIAL_PATHS
from ..core.plan import Change, Replace
from .apply import Applied


def is_claimed_by_another(assessment: Assessment) -> bool:
    """Whether the object's reason is `NumberClaimed`."""
    return assessment.verdict is not None and assessment.verdict.reason is Reason.NUMBER_CLAIMED


def is_repair(number: PhoneNumber, assessment: Assessment, applied: Applied) -> bool:
    """Whether the applied changes repair drift: the object was in step, and nothing in Kubernetes asked for them."""
    if number.deleting or assessment.refreshes or is_claimed_by_another(assessment) or not number.was_in_step:
        return False
    if assessment.verdict is not None and assessment.verdict.reason is Reason.INVALID_SPEC:
        return False  # the operator deleted the outbound trunk, because the host is refused
    return not _follows_secret(number, assessment, applied.done)


def _follows_secret(number: PhoneNumber, assessment: Assessment, done: tuple[Change, ...]) -> bool:
    """Whether the changes only write credentials of Secrets of which one has changed since the last write."""
    if not secret_is_newer(number, assessment):
        return False
    return all(isinstance(change, Replace) and _credentials_only(change) for change in done)


def secret_is_newer(number: PhoneNumber, assessment: Assessment) -> bool:
    """Whether a Secret has changed since its credentials were last written to LiveKit."""
    written = number.status.written
    return any(
        path in written and written[path].resource_version != each.resource_version
        for path, each in assessment.credentials.usable.items()
    )


def _credentials_only(change: Replace) -> bool:
    return CREDENTIAL_PATHS.issuperset(change.fields)
