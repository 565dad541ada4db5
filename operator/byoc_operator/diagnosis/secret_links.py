"""Links of the chain: the Secret with the SIP credentials, whether its values open, and its label."""

from typing import Final

from ..api.conditions import Reason, Verdict
from ..api.names import WATCH_LABEL
from ..core.credentials import Credentials
from .facts import SecretSeen, Unseen
from .found import Found, View, bad, ok, unknown

_SEALING: Final = frozenset({Reason.SEALED_FOR_ANOTHER_USE, Reason.SEALING_KEY_UNKNOWN, Reason.PLAIN_TEXT_REFUSED})
"""What is wrong with how a value is sealed, and not with the Secret."""

_REMEDY: Final = {
    Reason.SECRET_NOT_FOUND: "Create it in the object's namespace, with `kubectl byoc seal` or kubectl create secret.",
    Reason.SECRET_KEY_MISSING: "Add the key to the Secret, or name the right one in spec.sipPasswordSecretRef.key.",
    Reason.SECRET_INVALID: "Correct the Secret as it says; `kubectl byoc seal` makes one that is right.",
    Reason.SEALED_FOR_ANOTHER_USE: "Seal it anew for this namespace and key with `kubectl byoc seal`.",
    Reason.SEALING_KEY_UNKNOWN: "Seal it anew with `kubectl byoc seal`, or restore the Secret `byoc-sealing-keys`.",
    Reason.PLAIN_TEXT_REFUSED: "Seal it with `kubectl byoc seal`.",
}


def _told(view: View) -> Verdict | None:
    """What the operator says of the credentials of the present spec, None if nothing."""
    number = view.facts.number
    if number is None or not number.is_current:
        return None
    found = [each for each in number.status.conditions if each.type == "CredentialsResolved" and each.status == "False"]
    try:
        return Verdict(Reason(found[0].reason), found[0].message) if found else None
    except ValueError:
        return None


def secret_usable(view: View) -> Found:
    """Whether the Secret is there and well-formed."""
    facts = view.facts
    if facts.secret is None:
        return ok("The number names no Secret: the carrier must let LiveKit in by its addresses.")
    if isinstance(facts.secret, Unseen):
        told = _told(view)
        if told is not None and told.reason not in _SEALING:
            return bad(told.message, _REMEDY.get(told.reason, "Correct the Secret as it says."))
        return unknown(f"The Secret {_name(view)} cannot be looked at: {facts.secret.why}.", _ask_the_operator(view))
    found = view.credentials
    if isinstance(found, Verdict) and found.reason not in _SEALING:
        return bad(found.message, _REMEDY.get(found.reason, "Correct the Secret as it says."))
    return ok(f"Secret {_name(view)} has what the number names.")


def sealing(view: View) -> Found:
    """Whether the values are sealed, and open."""
    secret, found = view.facts.secret, view.credentials
    if secret is None:
        return ok("The number names no Secret.")
    told = _told(view)
    if not isinstance(secret, SecretSeen) or (found is None and secret.sealed_unknown):
        if told is not None and told.reason in _SEALING:
            return bad(told.message, _REMEDY[told.reason])
        why = secret.why if isinstance(secret, Unseen) else secret.sealed_unknown
        return unknown(f"Whether the values open is not known: {why}.", _ask_the_operator(view))
    if isinstance(found, Verdict):
        return bad(found.message, _REMEDY[found.reason]) if found.reason in _SEALING else unknown(found.message)
    if isinstance(found, Credentials) and not found.sealed:
        return ok(
            "The values are plain text.", "Seal them with `kubectl byoc seal`, and the manifest may stand in Git."
        )
    return ok("The values are sealed, and the operator's keys open them.")


def label(view: View) -> Found:
    """Whether the operator hears of changes at once."""
    secret = view.facts.secret
    if secret is None:
        return ok("The number names no Secret.")
    if not isinstance(secret, SecretSeen) or secret.facts is None:
        return unknown("The Secret cannot be looked at.")
    if secret.facts.watched:
        return ok(f"The label {WATCH_LABEL}=true is there: a new password takes effect at once.")
    command = f"kubectl label secret {secret.facts.name} -n {secret.facts.namespace} {WATCH_LABEL}=true"
    return ok("The label of watched Secrets is missing: a new password takes effect at the next sweep only.", command)


def _name(view: View) -> str:
    number = view.facts.number
    return f"{number.key.namespace}/{number.secret_name}" if number else ""


def _ask_the_operator(view: View) -> str:
    number = view.facts.number
    if number is None or not number.is_current:
        return "Ask somebody who may read it."
    return "The operator reads it itself: its condition CredentialsResolved says what it finds."
