"""What a value of a Secret is used as, and which texts can be such a value. No message quotes a text."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Self

from ..api import secret_keys
from ..api.characters import unseen

MAX_BYTES: Final = 256
"""Bytes of a credential."""

MAX_DOCUMENT_BYTES: Final = 4096
"""Bytes of the JSON with the key of a service account; Google's have about 2,400."""


class Field(StrEnum):
    """What a value in a Secret is used as. A sealed value contains the field that it was sealed for.

    `label`: the field in messages. `max_bytes`: of the longest value.
    """

    label: str
    max_bytes: int

    USERNAME = "username", "user name"
    PASSWORD = "password", "password"
    ACCESS_KEY_ID = "accessKeyId", "access key ID of S3"
    SECRET_ACCESS_KEY = "secretAccessKey", "secret access key of S3"
    SERVICE_ACCOUNT_KEY = "serviceAccountKey", "key of a service account of Google", MAX_DOCUMENT_BYTES
    STORAGE_ACCOUNT_KEY = "storageAccountKey", "key of a storage account of Azure"

    def __new__(cls, name: str, label: str, max_bytes: int = MAX_BYTES) -> Self:
        """A member whose value is its name in sealed values, with the others as attributes."""
        field = str.__new__(cls, name)
        field._value_, field.label, field.max_bytes = name, label, max_bytes
        return field


KEY_OF: Final[Mapping[Field, str]] = {
    Field.USERNAME: secret_keys.USERNAME,
    Field.ACCESS_KEY_ID: secret_keys.S3_ACCESS_KEY_ID,
    Field.SECRET_ACCESS_KEY: secret_keys.S3_SECRET_ACCESS_KEY,
    Field.SERVICE_ACCOUNT_KEY: secret_keys.GCS_SERVICE_ACCOUNT,
    Field.STORAGE_ACCOUNT_KEY: secret_keys.AZURE_ACCOUNT_KEY,
}
"""The keys of a Secret with a fixed field."""

_FIELD_OF: Final = {key: field for field, key in KEY_OF.items()}


def field_of(key: str) -> Field:
    """The field of a key of a Secret: a few keys have a field of their own, every other key has a password."""
    return _FIELD_OF.get(key, Field.PASSWORD)


_BYTE_ORDER_MARK: Final = "\ufeff"
"""An invisible character that editors on Windows put at the beginning of a file."""

# A Fernet token of at least one block. The hosted service stored such tokens, and no password looks like one.
_FOREIGN_TOKEN: Final = re.compile(r"gAAAA[A-Za-z0-9_-]{95,}={0,2}")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_OF_DOCUMENTS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Lone surrogates. JSON can contain them, and Python makes one of each byte that a terminal's encoding does not have.
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
# RFC 3261 section 25: a user name stands in a quoted string. The digest uses user:realm:password, so it has no colon.
_NOT_IN_USERNAME: Final = re.compile(r'["\\:]')
_USERNAME_RULE: Final = 'a user name must not contain `"`, `\\` or `:`'
# The access key ID stands in a list of `Credential=ID/date/…, …` (AWS Signature Version 4).
_ACCESS_KEY_ID: Final = re.compile(r"[!-~]+")
_NOT_IN_ACCESS_KEY_ID: Final = re.compile(r'[",/=]')
_OF_A_SERVICE_ACCOUNT: Final = ("client_email", "private_key")
GOOGLES_ISSUER: Final = "https://oauth2.googleapis.com/token"
"""Where a service account gets its tokens. Google's library asks there if the key names no other place."""


def problem_of(text: str, field: Field) -> str:
    """Why a plain text cannot be a credential, empty if it can. The text is never quoted."""
    too_long = f"the value is longer than {field.max_bytes} bytes"
    if len(text) > field.max_bytes:
        return too_long  # before the other checks, because a value may have a megabyte
    if not text:
        return f"the value is empty; 1 to {field.max_bytes} bytes are allowed"
    if _SURROGATES.search(text):
        return "the value is not UTF-8 text"
    if len(text.encode()) > field.max_bytes:
        return too_long
    if field is Field.SERVICE_ACCOUNT_KEY:
        return _problem_of_document(text)
    checks = (
        (bool(wrapped(text)), wrapped(text)),
        (bool(_CONTROL.search(text)), "the value contains control characters"),
        (bool(unseen(text)), f"the value contains {unseen(text)}, a character that cannot be seen"),
        (
            bool(_FOREIGN_TOKEN.fullmatch(text)),
            "the value is a Fernet token of another service, no credential; seal it anew with `kubectl byoc migrate`",
        ),
    )
    return next((problem for there, problem in checks if there), "") or _OF_FIELD.get(field, _no_problem)(text)


def wrapped(text: str) -> str:
    """What is wrong with the ends of a value, empty if nothing is. A common cause is `echo password | base64`."""
    if text.endswith(("\n", "\r")):
        return "the value ends with a newline; `echo -n` and `kubectl create secret --from-literal` add none"
    if text.startswith(_BYTE_ORDER_MARK):
        return "the value starts with a byte order mark; save the file as UTF-8 without BOM"
    return "the value starts or ends with a blank" if text != text.strip() else ""


def _no_problem(_text: str) -> str:
    return ""


def _problem_of_username(text: str) -> str:
    return _USERNAME_RULE if _NOT_IN_USERNAME.search(text) else ""


def _problem_of_access_key_id(text: str) -> str:
    if _ACCESS_KEY_ID.fullmatch(text) and not _NOT_IN_ACCESS_KEY_ID.search(text):
        return ""
    return 'an access key ID has ASCII letters and digits, no blank, and none of `"`, `,`, `/` and `=`'


def _problem_of_secret_access_key(text: str) -> str:
    return "" if _ACCESS_KEY_ID.fullmatch(text) else "a secret access key has ASCII characters and no blank"


def _problem_of_account_key(text: str) -> str:
    """Egress decodes the key before it uses it (Azure's `NewSharedKeyCredential`)."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "the key of a storage account is base64, as Azure shows it under Access keys"
    return ""


class _NamedTwiceError(ValueError):
    """A JSON object has two names that differ in upper and lower case at most."""


def _folded(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object with names in lower case. Go takes a name in any case, and the last of several."""
    found = {name.casefold(): value for name, value in pairs}
    if len(found) != len(pairs):
        raise _NamedTwiceError
    return found


def _problem_of_document(text: str) -> str:
    """Egress reads the JSON of a service account only (golang.org/x/oauth2 `google.JWTConfigFromJSON`).

    It sends a request to `token_uri`, whatever host that names.
    """
    if _CONTROL_OF_DOCUMENTS.search(text):
        return "the value contains control characters"
    if unseen(text):
        return f"the value contains {unseen(text)}, a character that cannot be seen"
    try:
        found = json.loads(text, object_pairs_hook=_folded)
    except _NamedTwiceError:
        return "the key of the service account has a name twice; upper and lower case make no difference"
    except (ValueError, RecursionError):
        return "the value is not JSON; it must be the file that Google gives for a key of a service account"
    return _problem_of_account(found)


def _problem_of_account(found: object) -> str:
    if not isinstance(found, dict) or found.get("type") != "service_account":
        return 'the value is no key of a service account: a JSON object with "type": "service_account"'
    missing = [name for name in _OF_A_SERVICE_ACCOUNT if not isinstance(found.get(name), str) or not found[name]]
    if missing:
        return f"the key of the service account has no {missing[0]}"
    if found.get("token_uri") not in (None, "", GOOGLES_ISSUER):
        return f"token_uri in the key of the service account must be {GOOGLES_ISSUER}; egress sends a request there"
    return ""


_OF_FIELD: Final[Mapping[Field, Callable[[str], str]]] = {
    Field.USERNAME: _problem_of_username,
    Field.ACCESS_KEY_ID: _problem_of_access_key_id,
    Field.SECRET_ACCESS_KEY: _problem_of_secret_access_key,
    Field.STORAGE_ACCOUNT_KEY: _problem_of_account_key,
}
"""What is checked of a field beside what is checked of all."""
