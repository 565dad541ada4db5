"""Which values of a Secret are sealed, and which key each of them needs. Works on a Secret's JSON, asks nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..api.encoding import from_base64, to_base64
from ..core.credential_values import Field, field_of
from ..errors import Stalled
from .sealed import KeyRing, is_sealed


@dataclass(frozen=True, slots=True)
class Use:
    """A Secret with sealed values. `keys`: fingerprint by data key, empty where no key opens the value for its use."""

    namespace: str
    name: str
    keys: Mapping[str, str]

    @property
    def label(self) -> str:
        """The Secret as messages name it."""
        return f"{self.namespace}/{self.name}"


def use_of(secret: Mapping[str, Any], ring: KeyRing) -> Use:
    """Which keys of the ring a Secret needs. `Use.keys` is empty for a Secret without sealed values."""
    namespace = secret["metadata"]["namespace"]
    keys = {key: _needed_key(text, ring, namespace, field_of(key)) for key, text in _sealed_values(secret).items()}
    return Use(namespace, secret["metadata"]["name"], keys)


def resealed(secret: Mapping[str, Any], ring: KeyRing) -> dict[str, str]:
    """The values that an older key seals, sealed with the first key, as `data` of the Secret spells them.

    A value that no key opens for its use is left out: it is of no use to anybody.
    """
    namespace, texts = secret["metadata"]["namespace"], _sealed_values(secret)
    due = [key for key, used in use_of(secret, ring).keys.items() if used not in ("", ring.fingerprints()[0])]
    values = {key: ring.open(texts[key], namespace, field_of(key)) for key in due}
    return {key: to_base64(ring.seal(value, namespace, field_of(key))) for key, value in values.items()}


def _needed_key(text: str, ring: KeyRing, namespace: str, field: Field) -> str:
    """The fingerprint of the key that a value needs; empty where the value is of no use with any key.

    A value that was sealed for another namespace needs no key: else anybody could keep an old key alive with a copy.
    """
    try:
        ring.open(text, namespace, field)
    except Stalled:
        return ""
    return ring.opened_by(text) or ""


def _sealed_values(secret: Mapping[str, Any]) -> dict[str, str]:
    texts = {key: from_base64(value) for key, value in (secret.get("data") or {}).items()}
    return {key: text for key, text in texts.items() if text is not None and is_sealed(text)}
