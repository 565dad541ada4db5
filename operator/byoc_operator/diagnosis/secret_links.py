"""Links of the chain: the Secrets with credentials, whether their values open, and their label."""

from typing import Final

from ..api.conditions import Reason, Verdict
from ..api.names import WATCH_LABEL
from ..api.secret_references import RECORDING_STORAGES
from ..core.credentials import Credentials
from .check import State
from .facts import SecretSeen, Unseen
from .found import Found, View, bad, ok, unknown
from .judgement import SecretView

_SEALING: Final = frozenset({Reason.SEALED_FOR_ANOTHER_USE, Reason.SEALING_KEY_UNKNOWN, Reason.PLAIN_TEXT_REFUSED})
"""What is wrong with how a value is sealed, and not with the Secret."""

_REMEDY: Final = {
    Reason.SECRET_NOT_FOUND: "Create it in the object's namespace, with `kubectl byoc seal` or kubectl create secret.",
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
    """Whether each Secret is there and well-formed."""
    if not view.secrets:
        return ok("The number names no Secret: the carrier must let LiveKit in by its addresses.")
    found = _worst([_usable(view, each) for each in view.secrets])
    names = dict.fromkeys(each.label for each in view.secrets)
    if found.state is State.OK and len(names) > 1:
        return ok(f"Secrets {' and '.join(names)} have what the number names.")
    return found


def _usable(view: View, each: SecretView) -> Found:
    if isinstance(each.secret, Unseen):
        told = _told(view)
        if told is not None and told.reason not in _SEALING:
            return bad(told.message, _remedy(told.reason, each))
        return unknown(f"The Secret {each.label} cannot be looked at: {each.secret.why}.", _ask_the_operator(view))
    found = each.credentials
    if isinstance(found, Verdict) and found.reason not in _SEALING:
        return bad(found.message, _remedy(found.reason, each))
    return ok(f"Secret {each.label} has what the number names.")


def sealing(view: View) -> Found:
    """Whether the values are sealed, and open."""
    if not view.secrets:
        return ok("The number names no Secret.")
    return _worst([_sealed(view, each) for each in view.secrets])


def _sealed(view: View, each: SecretView) -> Found:
    secret, found, told = each.secret, each.credentials, _told(view)
    if not isinstance(secret, SecretSeen) or (found is None and secret.sealed_unknown):
        if told is not None and told.reason in _SEALING:
            return bad(told.message, _remedy(told.reason, each))
        why = secret.why if isinstance(secret, Unseen) else secret.sealed_unknown
        return unknown(f"Whether the values open is not known: {why}.", _ask_the_operator(view))
    if isinstance(found, Verdict):
        return bad(found.message, _remedy(found.reason, each)) if found.reason in _SEALING else unknown(found.message)
    if isinstance(found, Credentials) and not found.sealed:
        return ok(
            "The values are plain text.", "Seal them with `kubectl byoc seal`, and the manifest may stand in Git."
        )
    return ok("The values are sealed, and the operator's keys open them.")


def label(view: View) -> Found:
    """Whether the operator hears of changes at once."""
    if not view.secrets:
        return ok("The number names no Secret.")
    return _worst([_labelled(each) for each in view.secrets])


def _labelled(each: SecretView) -> Found:
    secret = each.secret
    if not isinstance(secret, SecretSeen) or secret.facts is None:
        return unknown("The Secret cannot be looked at.")
    if secret.facts.watched:
        return ok(f"The label {WATCH_LABEL}=true is there: a new password takes effect at once.")
    command = f"kubectl label secret {secret.facts.name} -n {secret.facts.namespace} {WATCH_LABEL}=true"
    return ok("The label of watched Secrets is missing: a new password takes effect at the next sweep only.", command)


_ORDER: Final = (State.BAD, State.UNKNOWN, State.OK)


def _worst(found: list[Found]) -> Found:
    """What is told of several Secrets: the first that is worst; of several in order, one with something to do."""
    return min(found, key=lambda each: (_ORDER.index(each.state), not each.remedy))


def _remedy(reason: Reason, each: SecretView) -> str:
    storage = next((name for name, path in RECORDING_STORAGES.items() if path == each.use.path), "")
    if reason is Reason.SECRET_KEY_MISSING:
        or_name = "" if storage else f", or name the right one in spec.{each.use.path}.key"
        return f"Add the key to the Secret{or_name}."
    remedy = _REMEDY.get(reason, "Correct the Secret as it says.")
    return remedy.replace("byoc seal`", f"byoc seal --for {storage}`") if storage else remedy


def _ask_the_operator(view: View) -> str:
    number = view.facts.number
    if number is None or not number.is_current:
        return "Ask somebody who may read it."
    return "The operator reads it itself: its condition CredentialsResolved says what it finds."
