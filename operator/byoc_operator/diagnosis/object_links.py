"""Links of the chain: the object, its spec, what stops changes, and its condition Ready."""

from typing import Final

from ..api.conditions import REMEDIES, Reason
from ..api.names import PAUSED
from ..api.resource import PhoneNumber
from ..api.termination_hosts import refused_host
from ..core.desired import Installation
from .found import Found, View, bad, ok, unknown

_PASSING: Final = frozenset(
    {Reason.PENDING, Reason.CREATING, Reason.UPDATING, Reason.REFRESHING, Reason.DELETING, Reason.RETRYING}
)
"""Reasons that go away by themselves within seconds."""


def object_there(view: View) -> Found:
    """Whether there is an object."""
    number = view.facts.number
    if number is None:
        return bad(view.facts.absent or f"There is no ByocPhoneNumber {view.facts.where}.", _APPLY)
    return ok(f"ByocPhoneNumber {number.key} has the phone number {number.phone_number}.")


_APPLY: Final = "Apply the manifest, or correct the name and -n. `kubectl get bpn -A` shows all objects."


def spec_valid(view: View) -> Found:
    """Whether the spec follows all rules, those of the operator's settings too."""
    number, installation = view.facts.number, view.facts.installation
    if number is None:
        return unknown("")
    if number.spec is None:
        says = number.invalid.message if number.invalid else "The spec cannot be read."
        return bad(says, f"Correct it in spec of {number.key}; until then the operator changes nothing in LiveKit.")
    if not isinstance(installation, Installation):
        return ok("The spec follows the rules of the CRD.")
    refused = refused_host(number.spec, installation.termination_hosts)
    if refused is not None:
        return bad(refused.message, "Correct spec.terminationUri, or the operator's setting BYOC_TERMINATION_HOSTS.")
    return ok("The spec follows the rules of the CRD and of the operator's settings.")


def managed(view: View) -> Found:
    """Whether the operator may write."""
    number = view.facts.number
    if number is None:
        return unknown("")
    if number.deleting:
        who = "other finalizers keep it" if not number.has_finalizer else "the operator takes down its trunks"
        remedy = "Wait. If LiveKit is gone for good, see the annotation force-orphan; see metadata.finalizers."
        return bad(f"The object is being deleted: {who}.", remedy)
    if number.requested.paused:
        says = f"The annotation {PAUSED} is true: the operator writes nothing to LiveKit for this number."
        return bad(says, f"kubectl annotate bpn {number.key.name} -n {number.key.namespace} {PAUSED}-")
    if not number.observes:
        return ok("The operator manages the number.")
    says = "managementPolicy is Observe: the operator writes nothing to LiveKit for this number"
    if number.status.pending_changes:
        return bad(
            f"{says}, and it would change {', '.join(number.status.pending_changes[:4])}.",
            "Set spec.managementPolicy to Manage to apply the changes.",
        )
    return ok(f"{says}.", "Set spec.managementPolicy to Manage if the operator shall repair what drifts.")


def ready(view: View) -> Found:
    """What the operator itself says."""
    number = view.facts.number
    if number is None:
        return unknown("")
    condition = number.status.ready
    if not number.status.seen_before or not condition.reason:
        return unknown("The operator has not looked at this object yet.", "If it lasts, see the operator's rows below.")
    if not number.is_current:
        return unknown(
            f"The operator has not yet seen generation {number.generation} of this object; before, Ready was "
            f"{condition.status}: {condition.reason}.",
            "If it lasts, see the operator's rows below.",
        )
    if condition.status == "True":
        return ok(f"Ready is True: {condition.reason}.")
    says = f"Ready is {condition.status}: {condition.reason}. {condition.message}"
    if condition.status != "False" or condition.reason in _PASSING:
        return unknown(says, _remedy(number))
    return bad(says, _remedy(number))


def _remedy(number: PhoneNumber) -> str:
    try:
        return REMEDIES[Reason(number.status.ready.reason)][1]
    except ValueError:
        return "See docs/reference.md, Reasons."
