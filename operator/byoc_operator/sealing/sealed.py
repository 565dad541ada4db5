"""Sealed values: `fernet:` and a Fernet token whose content binds the value to one namespace and one field.

Texts go in and come out (`str`). `sealing.store` reads and writes the Secret that holds the keys.
Fernet: AES-128-CBC with HMAC-SHA256 (https://github.com/fernet/spec/blob/master/Spec.md).
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Collection, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..api.conditions import Reason
from ..core.credential_values import KEY_OF, Field
from ..core.credentials import SEALED_PREFIX
from ..errors import Stalled

CONTENT_VERSION = 1

MAX_SEALED = 12_288
"""Characters. A value of 256 bytes in the longest JSON escapes, with its namespace, makes less than 2,500; a service
account key of 4,096 bytes that are all escaped, less than 11,400."""

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_FERNET_VERSION = 0x80
# Bytes before the cipher text (version, time, IV), bytes of the signature after it, bytes of an AES block.
_HEAD, _SIGNATURE, _BLOCK = 1 + 8 + 16, 32, 16
_SIP = (Field.USERNAME, Field.PASSWORD)
_FINGERPRINT_LENGTH = 16
"""Hex characters of a key's SHA-256: 64 bits tell a handful of keys apart, and do not reveal 256 random bits."""

_AGAIN = "Seal the value again with `kubectl byoc seal`"


class KeyRing:
    """Sealing keys, newest first: the first one seals, all of them open."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(dict.fromkeys(keys))
        self._each = [Fernet(key) for key in self._keys]
        self._all = MultiFernet(self._each)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self.fingerprints())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRing) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    @staticmethod
    def parse(text: str) -> "KeyRing":
        """A ring from one 44-character Fernet key a line; blank lines are skipped.

        Raises ValueError that names the line, never the key.
        """
        lines = [(count, line.strip()) for count, line in enumerate(text.splitlines(), 1) if line.strip()]
        for count, line in lines:
            if not _KEY.fullmatch(line):
                # `from None`: nothing of the line may be quoted by a traceback.
                raise ValueError(f"line {count} is not a Fernet key of 44 characters") from None
        if not lines:
            raise ValueError("there is no key in it")
        return KeyRing([line for _, line in lines])

    @staticmethod
    def generate() -> "KeyRing":
        """A ring of one new key."""
        return KeyRing([Fernet.generate_key().decode()])

    def text(self) -> str:
        """The keys as `parse` reads them. This text is secret: store it in the Secret of the keys and nowhere else."""
        return "".join(f"{key}\n" for key in self._keys)

    def rotated(self) -> "KeyRing":
        """A ring with a new key in front, which seals from now on."""
        return KeyRing([Fernet.generate_key().decode(), *self._keys])

    def without(self, fingerprints: Collection[str]) -> "KeyRing":
        """The ring without some keys. The first one, which seals, always stays."""
        first, *older = self._keys
        return KeyRing([first, *(key for key in older if fingerprint(key) not in fingerprints)])

    def fingerprints(self) -> tuple[str, ...]:
        """What may be shown of each key, newest first: 16 hex characters of its SHA-256."""
        return tuple(fingerprint(key) for key in self._keys)

    def seal(self, value: str, namespace: str, field: Field) -> str:
        """The value sealed with the first key, for this namespace and field alone; never the same twice."""
        content = {"v": CONTENT_VERSION, "namespace": namespace, "field": str(field), "value": value}
        token = self._all.encrypt(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
        return SEALED_PREFIX + token.decode()

    def open(self, text: str, namespace: str, field: Field) -> str:
        """The value of a sealed text.

        Raises `Stalled`, with a message that says what to do and holds no part of the text: `SecretInvalid` (cut, no
        Fernet, unknown version or content), `SealingKeyUnknown`, `SealedForAnotherUse`.
        """
        token = _token(text)
        try:
            content = self.decrypted(token)
        except InvalidToken:
            raise _unknown_key("was sealed with a key that the operator does not have, or was changed since") from None
        return _bound(content, namespace, field)

    def decrypted(self, token: bytes) -> bytes:
        """The content of a Fernet token, whatever it is. Raises `InvalidToken`."""
        return self._all.decrypt(token)

    def opened_by(self, text: str) -> str | None:
        """The fingerprint of the key that opens a sealed text, whatever it was sealed for; None if none does."""
        try:
            token = _token(text)
        except Stalled:
            return None
        return next(
            (fingerprint(key) for key, one in zip(self._keys, self._each, strict=True) if _fits(one, token)), None
        )


def is_sealed(text: str) -> bool:
    """Whether a value begins as sealed values do. It may still not open."""
    return text.startswith(SEALED_PREFIX)


def is_token(text: str) -> bool:
    """Whether a value has the form of a sealed one. Without a key nothing more can be told."""
    try:
        _token(text)
    except Stalled:
        return False
    return is_sealed(text)


def open_unbound(ring: KeyRing, token: str) -> str:
    """The value of a Fernet token that is bound to no namespace and field, as other services store it.

    Raises ValueError that says what is wrong with the token and quotes nothing of it.
    """
    try:
        return ring.decrypted(token.strip().encode()).decode()
    except InvalidToken:
        raise ValueError("the token does not open with the old key") from None
    except UnicodeDecodeError:
        raise ValueError("the token holds no UTF-8 text") from None


def fingerprint(key: str) -> str:
    """What may be shown of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:_FINGERPRINT_LENGTH]


def open_with(ring: KeyRing | None, problem: str, text: str, namespace: str, field: Field) -> str:
    """`KeyRing.open` where there may be no keys; `problem` says why. Raises `Stalled`."""
    if ring is None:
        raise _unknown_key(f"is sealed, and {problem}")
    return ring.open(text, namespace, field)


def _unknown_key(problem: str) -> Stalled:
    """The error for a sealed value that no key opens; `problem` completes "the value …"."""
    message = f"the value {problem}. {_AGAIN}, or restore the keys from their backup."
    return Stalled(Reason.SEALING_KEY_UNKNOWN, message)


def _invalid(problem: str) -> Stalled:
    return Stalled(Reason.SECRET_INVALID, f"the sealed value {problem}. {_AGAIN}.")


def _token(text: str) -> bytes:
    """The token of a sealed text. Raises `Stalled` if the text does not have the form of one."""
    if len(text) > MAX_SEALED:
        raise _invalid("is longer than any that `kubectl byoc seal` makes")
    try:
        token = text.removeprefix(SEALED_PREFIX).encode()
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _invalid("is cut, or is no Fernet token") from None
    # Base64 can spell the same bytes in several ways. Only one is accepted, so that every changed character is noticed.
    if not raw or base64.urlsafe_b64encode(raw) != token:
        raise _invalid("is cut, or is no Fernet token")
    if raw[0] != _FERNET_VERSION:
        raise _invalid("is no Fernet token of a version that this operator knows")
    cipher = len(raw) - _HEAD - _SIGNATURE
    if cipher < _BLOCK or cipher % _BLOCK:
        raise _invalid("is cut")
    return token


def _bound(content: bytes, namespace: str, field: Field) -> str:
    """The value in the content of a token. Raises `Stalled` unless it was sealed for this namespace and field."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "v" not in found:
        message = "the sealed value is bound to no namespace, as tokens of other services are not. "
        raise Stalled(Reason.SECRET_INVALID, message + "Seal it again with `kubectl byoc migrate`.")
    if found["v"] != CONTENT_VERSION:
        raise _invalid("has a content of a version that this operator does not know")
    value = found.get("value")
    if set(found) != {"v", "namespace", "field", "value"} or not isinstance(value, str) or not _is_text(value):
        raise _invalid("has a content that this operator does not know")
    if found["namespace"] != namespace:
        raise _other_use("for another namespace", "A sealed value works only where it was sealed for")
    if found["field"] != field:
        raise _other_use(f"as {_label(found['field'])} and is used as {field.label}", _what_is_where(field))
    return value


def _label(field: object) -> str:
    """The field in words; it stands in the token, so it may be anything."""
    return next((each.label for each in Field if each == field), "something else")


def _what_is_where(field: Field) -> str:
    if field in _SIP:
        return "The key `username` holds the user name, any other a password"
    return f"The key `{KEY_OF[field]}` holds the {field.label}"


def _other_use(problem: str, rule: str) -> Stalled:
    return Stalled(Reason.SEALED_FOR_ANOTHER_USE, f"the value was sealed {problem}. {rule}. {_AGAIN}.")


def _is_text(value: str) -> bool:
    """Whether the value can be encoded: JSON can contain a lone surrogate, which UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fits(one: Fernet, token: bytes) -> bool:
    try:
        one.decrypt(token)
    except InvalidToken:
        return False
    return True
