"""Whether what a run changed in LiveKit was a repair: put right after somebody else, and asked for by nobody."""

from ..api.conditions import Reason
from ..api.resource import PhoneNumber
from ..core.assessment import Assessment
from ..core.credentials import Credentials
from ..core.fields import CREDENTIAL_PATHS
from ..core.plan import Change, Replace
from .apply import Applied


def is_anothers(assessment: Assessment) -> bool:
    """Whether another object has the number."""
    return assessment.verdict is not None and assessment.verdict.reason is Reason.NUMBER_CLAIMED


def is_repair(number: PhoneNumber, assessment: Assessment, applied: Applied) -> bool:
    """Whether what was changed had been in step before: then somebody else changed it in LiveKit."""
    if number.deleting or assessment.refreshes or is_anothers(assessment) or not number.was_in_step:
        return False
    if assessment.verdict is not None and assessment.verdict.reason is Reason.INVALID_SPEC:
        return False  # a refused host cost the outbound trunk
    return not _follows_secret(number, assessment, applied.done)


def _follows_secret(number: PhoneNumber, assessment: Assessment, done: tuple[Change, ...]) -> bool:
    """Whether only credentials changed and the Secret is newer than what was last written."""
    if not secret_is_newer(number, assessment):
        return False
    return all(isinstance(change, Replace) and _credentials_only(change) for change in done)


def secret_is_newer(number: PhoneNumber, assessment: Assessment) -> bool:
    """Whether credentials were written to LiveKit before, and the Secret has changed since."""
    written = number.status.credentials
    if written is None or not isinstance(assessment.credentials, Credentials):
        return False
    return written.resource_version != assessment.credentials.resource_version


def _credentials_only(change: Replace) -> bool:
    return CREDENTIAL_PATHS.issuperset(change.fields)
