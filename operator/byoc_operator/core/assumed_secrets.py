"""Secrets as LiveKit's objects suggest them, for somebody who may not read the real ones."""

from collections.abc import Iterable, Mapping

from ..api.resource import PhoneNumber
from .credential_values import Field
from .credentials import SecretFacts, SecretUse
from .ownership import Owned
from .trunk import CREATE_ORDER, Masked

_NOT_KNOWN = Masked("not known")

_ATTRIBUTES: Mapping[Field, str] = {
    Field.USERNAME: "username",
    Field.PASSWORD: "password",
    Field.ACCESS_KEY_ID: "recording_access_key",
    Field.SECRET_ACCESS_KEY: "recording_secret",
    Field.SERVICE_ACCOUNT_KEY: "recording_secret",
    Field.STORAGE_ACCOUNT_KEY: "recording_secret",
}
"""The attributes of LiveKit's objects that have the value of a field."""


def assumed_secret(number: PhoneNumber, uses: Iterable[SecretUse], owned: Owned, now_s: float = 0.0) -> SecretFacts:
    """A Secret with the values that LiveKit has, so that a comparison finds no difference in them.

    `uses`: how the object uses this one Secret, at least one. `owned`: the object's LiveKit objects. `now_s`: the time
    of the Secret's last change.
    """
    first, *_ = every = tuple(uses)
    values = {used.key: _in_livekit(use, _ATTRIBUTES[used.field], owned) for use in every for used in use.keys}
    written = number.status.written.get(first.path)
    return SecretFacts(
        namespace=first.namespace,
        name=first.name,
        resource_version=written.resource_version if written else "",
        type="Opaque",
        watched=True,
        changed_at=now_s,
        values=values,
        sealed=frozenset(values),
    )


def _in_livekit(use: SecretUse, attribute: str, owned: Owned) -> Masked:
    """The value of the first LiveKit object that needs the use and has the attribute."""
    for kind in CREATE_ORDER:
        first = owned.of(kind)[:1] if kind in use.kinds else ()
        value = getattr(first[0], attribute, None) if first else None
        if isinstance(value, Masked):
            return value
    return _NOT_KNOWN
