"""What a caller outside the pod assumes about a number, where it may not see the Secret or the other objects."""

from ..api.conditions import Reason, Verdict
from ..api.resource import PhoneNumber
from .credentials import USERNAME_KEY, SecretFacts
from .desired import Installation
from .holders import Listed, allocation_of
from .situation import Situation
from .snapshot import Snapshot
from .trunk import Masked

_NOT_KNOWN = Masked("not known")


def claimed_by_another(
    number: PhoneNumber, listed: Listed | None, snapshot: Snapshot, installation: Installation
) -> Verdict | None:
    """Why another object has the phone number. `listed`: None for who may not list all objects: the status decides."""
    if listed is not None:
        return allocation_of(number, listed, snapshot, installation).verdict(number)
    ready = number.status.ready
    if number.is_current and ready.reason == Reason.NUMBER_CLAIMED:
        return Verdict(Reason.NUMBER_CLAIMED, ready.message)
    return None


def secret_as_in_livekit(situation: Situation, now_s: float) -> SecretFacts | None:
    """A Secret with the credentials that the number's trunk in LiveKit has, so that none of them would change.

    The trunk is the number's own, or the one that it adopts. None if the number names no Secret.
    """
    number = situation.number
    ref = number.spec.sip_password_secret_ref if number.spec else None
    if ref is None:
        return None
    trunk = next(iter((situation.owned + situation.adoption.taken).outbound), None)
    values = {
        ref.key: (trunk.password if trunk else None) or _NOT_KNOWN,
        USERNAME_KEY: (trunk.username if trunk else None) or _NOT_KNOWN,
    }
    written = number.status.credentials
    return SecretFacts(
        namespace=number.key.namespace,
        name=ref.name,
        resource_version=written.resource_version if written else "",
        type="Opaque",
        watched=True,
        changed_at=now_s,
        values=values,
        sealed=frozenset(values),
    )
