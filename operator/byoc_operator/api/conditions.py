"""Reasons and conditions, and the function that makes the conditions of an object from a verdict.

The conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md): `Ready`
is always there, and its reason is the cause; `Reconciling` and `Stalled` exist only while they are True.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .names import ADOPT, PAUSED
from .printable import printable


class Reason(StrEnum):
    """Why a condition has its status: a closed list, part of the API. `REMEDIES` says what to do about each."""

    SYNCED = "Synced"
    PENDING = "Pending"
    CREATING = "Creating"
    UPDATING = "Updating"
    REFRESHING = "Refreshing"
    DELETING = "Deleting"
    RETRYING = "Retrying"
    PAUSED = "Paused"
    CHANGES_PENDING = "ChangesPending"
    INVALID_SPEC = "InvalidSpec"
    NUMBER_CLAIMED = "NumberClaimed"
    NUMBER_CONFLICT = "NumberConflict"
    ALIAS_UNAVAILABLE = "AliasUnavailable"
    ADOPTION_REFUSED = "AdoptionRefused"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a password
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - a reason, not a password
    SEALED_FOR_ANOTHER_USE = "SealedForAnotherUse"
    SEALING_KEY_UNKNOWN = "SealingKeyUnknown"
    PLAIN_TEXT_REFUSED = "PlainTextRefused"
    LIVEKIT_UNAUTHORIZED = "LiveKitUnauthorized"
    LIVEKIT_MISCONFIGURED = "LiveKitMisconfigured"
    LIVEKIT_TOO_OLD = "LiveKitTooOld"
    REJECTED_BY_LIVEKIT = "RejectedByLiveKit"
    LIVEKIT_UNAVAILABLE = "LiveKitUnavailable"
    LIVEKIT_RATE_LIMITED = "LiveKitRateLimited"
    KUBERNETES_REFUSED = "KubernetesRefused"
    KUBERNETES_UNAVAILABLE = "KubernetesUnavailable"


REMEDIES: Mapping[Reason, tuple[str, str]] = {
    Reason.SYNCED: ("LiveKit is in step with the object.", "Nothing to do."),
    Reason.PENDING: (
        "The operator has not yet seen what LiveKit holds.",
        "Wait; look at the operator's log if it lasts.",
    ),
    Reason.CREATING: ("LiveKit objects are being created.", "Wait."),
    Reason.UPDATING: ("LiveKit objects are being replaced in place.", "Wait."),
    Reason.REFRESHING: ("A refresh or recreate that was asked for is under way.", "Wait."),
    Reason.DELETING: (
        "The object is being deleted: its LiveKit objects are on their way out, or gone and other finalizers keep it.",
        "Wait; the message names what is missing. See `force-orphan` if LiveKit is gone for good.",
    ),
    Reason.RETRYING: ("LiveKit changed under the operator's hands; it looks again.", "Wait."),
    Reason.PAUSED: (
        f"The annotation `{PAUSED}` stops all writes to LiveKit.",
        "Take the annotation away to go on.",
    ),
    Reason.CHANGES_PENDING: (
        "`managementPolicy: Observe` and LiveKit differs from the object; or an adoption would erase something.",
        (
            "Read `status.pendingChanges`. Under `Observe`, `managementPolicy: Manage` applies them. "
            "For an adoption, put these fields into the spec, or add `,force` after the IDs in its annotation."
        ),
    ),
    Reason.INVALID_SPEC: (
        "The spec breaks a rule, or the termination host is not allowed by the operator's settings.",
        "Correct the field that the message names; LiveKit keeps what it has meanwhile (see `BYOC_REFUSED_HOSTS`).",
    ),
    Reason.NUMBER_CLAIMED: (
        "Another `ByocPhoneNumber` holds this phone number, or it is reserved or kept for one that is gone.",
        "Delete one of the two, wait for the reservation to end, or have it released, as the message says.",
    ),
    Reason.NUMBER_CONFLICT: (
        "An inbound trunk in LiveKit that is not ours holds this phone number; nothing new is made for it.",
        "Delete that trunk in LiveKit, or do what else the message says; the operator looks again at each sweep.",
    ),
    Reason.ALIAS_UNAVAILABLE: (
        "An alias in `spec.inbound.aliases` is held by another object, or is on a trunk in LiveKit that is not ours.",
        "Take the alias out of one of the two. The number itself and its other aliases take calls meanwhile.",
    ),
    Reason.ADOPTION_REFUSED: (
        f"The annotation `{ADOPT}` names what cannot be taken over; nothing is made beside it.",
        "Correct the annotation or take it away; the message names each ID with the reason.",
    ),
    Reason.SECRET_NOT_FOUND: ("The Secret does not exist or may not be read.", "Create it in the same namespace."),
    Reason.SECRET_KEY_MISSING: ("The Secret has no such key.", "Add the key, or name the right one in the reference."),
    Reason.SECRET_INVALID: (
        "A credential in the Secret cannot be used, or the Secret's type or label is refused.",
        "Correct the Secret as the message says.",
    ),
    Reason.SEALED_FOR_ANOTHER_USE: (
        "The value was sealed for another namespace, or as user name and is used as password, or the reverse.",
        "Seal it anew for this namespace and key with `kubectl byoc seal`.",
    ),
    Reason.SEALING_KEY_UNKNOWN: (
        "The value is sealed (`fernet:`) and no key of the operator opens it.",
        "Seal it anew with `kubectl byoc seal`, or restore the Secret `byoc-sealing-keys`.",
    ),
    Reason.PLAIN_TEXT_REFUSED: (
        "The value is plain text, and the operator runs with `BYOC_SEALING=Require`.",
        "Seal it with `kubectl byoc seal`.",
    ),
    Reason.LIVEKIT_UNAUTHORIZED: (
        "LiveKit refuses the operator's API key.",
        "Correct `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.",
    ),
    Reason.LIVEKIT_MISCONFIGURED: (
        "LiveKit answers, but its SIP service does not.",
        "Check `LIVEKIT_URL` and that livekit-server has Redis.",
    ),
    Reason.LIVEKIT_TOO_OLD: ("This LiveKit lacks a call that is needed.", "Run livekit-server 1.13.2 or newer."),
    Reason.REJECTED_BY_LIVEKIT: ("LiveKit refuses the object; the message quotes it.", "Correct what it names."),
    Reason.LIVEKIT_UNAVAILABLE: ("LiveKit does not answer.", "The operator tries again by itself."),
    Reason.LIVEKIT_RATE_LIMITED: ("LiveKit limits the operator's requests.", "The operator tries again by itself."),
    Reason.KUBERNETES_REFUSED: (
        "The API server refuses to let the operator write to this object; the message quotes it.",
        "Give the operator the right that is missing, or let the admission policy or webhook that is named allow it.",
    ),
    Reason.KUBERNETES_UNAVAILABLE: (
        "The API server does not answer, or answers with a fault; only the log and the Events name this reason.",
        "The operator tries again by itself.",
    ),
}
"""For each reason, when it is given and what to do about it. docs/reference.md is generated from this table."""


LIVEKIT_AS_A_WHOLE = (
    Reason.LIVEKIT_UNAVAILABLE,
    Reason.LIVEKIT_RATE_LIMITED,
    Reason.LIVEKIT_UNAUTHORIZED,
    Reason.LIVEKIT_MISCONFIGURED,
    Reason.LIVEKIT_TOO_OLD,
)
"""Reasons that concern LiveKit as a whole: thousands of numbers may have one, and no number causes it."""


MAX_MESSAGE = 4096
"""Characters of a message in the status. The CRD allows 32,768 and the API server refuses a longer one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in the way of Ready.

    `stalled`: whether a person must act; if not, the operator tries again by itself.
    """

    reason: Reason
    message: str
    stalled: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a status. `stamped` fills in `observed_generation` and `last_transition_time`.

    `status`: True, False or Unknown. `last_transition_time`: RFC 3339, empty for none.
    """

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int | None = None
    last_transition_time: str = ""


def summarise(
    verdict: Verdict | None, activity: Reason, credentials: Verdict | None, *, has_credentials: bool, message: str
) -> tuple[Condition, ...]:
    """The conditions of an object: `Ready`, then `Stalled` or `Reconciling`, then `CredentialsResolved`.

    `verdict`: what stands in the way of Ready, None for nothing. `activity`: the reason of `Reconciling`, a condition
    that is there while the operator tries again by itself. `credentials`: what is wrong with the credentials, None for
    nothing. `message`: the message of `Ready` when it is True.
    """
    found: list[Condition] = []
    if verdict is None:
        found.append(Condition("Ready", "True", Reason.SYNCED, message))
    elif verdict.reason is Reason.PAUSED:
        found.append(Condition("Ready", "Unknown", verdict.reason, verdict.message))
    else:
        found.append(Condition("Ready", "False", verdict.reason, verdict.message))
        if verdict.stalled:
            found.append(Condition("Stalled", "True", verdict.reason, verdict.message))
        elif verdict.reason is not Reason.CHANGES_PENDING:
            found.append(Condition("Reconciling", "True", activity, verdict.message))
    if credentials is not None:
        found.append(Condition("CredentialsResolved", "False", credentials.reason, credentials.message))
    elif has_credentials:
        found.append(Condition("CredentialsResolved", "True", Reason.SYNCED, "The credentials are usable."))
    return tuple(found)


def stamped(
    wanted: Sequence[Condition], previous: Sequence[Condition], generation: int, now: str
) -> tuple[Condition, ...]:
    """The conditions as the status shows them. `last_transition_time` moves only when a condition's status does.

    `previous`: the conditions of the recorded status. `now`: RFC 3339 in UTC, whole seconds.
    """
    before = {old.type: old for old in previous}
    return tuple(
        Condition(
            condition.type,
            condition.status,
            condition.reason,
            printable(condition.message, MAX_MESSAGE),
            observed_generation=generation,
            last_transition_time=_transition(condition, before.get(condition.type), now),
        )
        for condition in wanted
    )


def _transition(condition: Condition, before: Condition | None, now: str) -> str:
    if before is None or before.status != condition.status:
        return now
    return before.last_transition_time or now
