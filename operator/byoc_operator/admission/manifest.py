"""Reads a Secret as an admission request has it: its values, its label, and the manifest in its annotation.

No I/O. Whatever the request contains, no message quotes a value.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..api.encoding import from_base64, to_base64
from ..api.names import WATCH_LABEL
from ..cluster.json_bounds import Bounds, decoded
from ..core.credential_values import Field, field_of
from ..core.credentials import LAST_APPLIED, MAX_KEYS
from ..sealing.sealed import MAX_SEALED

ANNOTATION_UNREADABLE = f"the annotation {LAST_APPLIED} cannot be read, so that nothing in it can be sealed"

MAX_ENCODED = 2 * MAX_SEALED
"""Characters of an encoded value: more than any sealed one takes in base64. Longer ones are not decoded."""

MAX_ANNOTATION = 256 * 1024
"""Bytes that the API server allows for all annotations of an object. It checks them only after the webhook."""

_MANIFEST = Bounds(MAX_ANNOTATION, depth=64, containers=20_000, strings=50_000, bare=MAX_ANNOTATION)
"""Bounds of the manifest in the annotation. That of a Secret is five levels deep."""

Json = dict[str, Any]


class Unstorable(Exception):
    """The Secret cannot be stored. The message says why, for its author, and contains no value.

    `without_keys`: whether the only reason is that there are no usable sealing keys at present.
    """

    def __init__(self, message: str, *, without_keys: bool = False) -> None:
        super().__init__(message)
        self.without_keys = without_keys


class Coding:
    """How a part of the manifest encodes its values. `decode`: returns None for a value that is not UTF-8 text."""

    def __init__(self, encode: Callable[[str], str], decode: Callable[[object], str | None]) -> None:
        self.encode = encode
        self._decode = decode

    def decode(self, key: str, value: str) -> str:
        """The text of a value. Raises `Unstorable`, with the name of the key."""
        text = self._decode(value)
        if text is None:
            raise Unstorable(f"{named(key)}: the value is not UTF-8 text and cannot be sealed")
        return text

    def lenient(self, value: object) -> str:
        """The text of a stored value; empty if it is not text or longer than `MAX_ENCODED`."""
        if not isinstance(value, str) or len(value) > MAX_ENCODED:
            return ""
        return self._decode(value) or ""


def _encodable(value: object) -> str | None:
    """The text, None if it cannot be encoded: JSON can contain a lone surrogate."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


PARTS = {"data": Coding(to_base64, from_base64), "stringData": Coding(str, _encodable)}
"""The parts of a Secret that hold values. A request has only `data`; the annotation may have `stringData` too."""


def data_text(value: str) -> str:
    """The text of a value in `data`, empty if it has none."""
    return PARTS["data"].lenient(value)


def values_of(manifest: Mapping[str, Any], part: str) -> dict[str, str]:
    """The values of a part of a manifest. Raises `Unstorable` if they are not texts, or too many."""
    values = manifest.get(part)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(value is None or isinstance(value, str) for value in values.values()):
        raise Unstorable(f"`{part}` must hold texts")
    if len(values) > MAX_KEYS:
        raise Unstorable(f"`{part}` has more than {MAX_KEYS} keys, which no Secret with SIP credentials needs")
    return {key: value for key, value in values.items() if value is not None}


def noted_values(old: Mapping[str, Any]) -> dict[str, Json]:
    """The values in the stored annotation, by part; empty if the annotation cannot be parsed."""
    text = last_applied(old)
    try:
        manifest = {} if text is None else manifest_in(text)
    except ValueError:
        return {}
    return {part: mapping(manifest.get(part)) for part in PARTS}


def last_applied(manifest: Mapping[str, Any]) -> str | None:
    """The manifest in the annotation, None if there is none."""
    text = mapping(mapping(manifest.get("metadata")).get("annotations")).get(LAST_APPLIED)
    return text if isinstance(text, str) else None


def manifest_in(text: str) -> Json:
    """The object in a JSON text. Raises ValueError, also for a repeated key, one of whose values would be ignored."""
    found = decoded(text.encode(), _MANIFEST, _once)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - for the caller it is one more text that cannot be read
    return found


def one_line(manifest: Json) -> str:
    """A manifest as JSON on one line. Raises `Unstorable` for a number such as `1e999`, which JSON cannot write."""
    try:
        return json.dumps(manifest, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise Unstorable(ANNOTATION_UNREADABLE) from None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def content(manifest: Mapping[str, Any]) -> tuple[Any, Any, str | None]:
    """Everything in a Secret that the webhook may change."""
    return manifest.get("data"), manifest.get("stringData"), last_applied(manifest)


def is_labelled(manifest: Mapping[str, Any]) -> bool:
    """Whether a Secret has the label with which the webhook seals it."""
    return mapping(mapping(manifest.get("metadata")).get("labels")).get(WATCH_LABEL) == "true"


def mapping(value: object) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def pointer_part(key: str) -> str:
    """A key in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def too_long(key: str) -> Unstorable:
    """The error for a value that is longer than a credential can be."""
    field = field_of(key)
    what = "SIP credential" if field in (Field.USERNAME, Field.PASSWORD) else field.label
    return Unstorable(f"{named(key)}: the value is longer than any {what}; up to {field.max_bytes} bytes are of use")


def named(key: str) -> str:
    """A key for a message: printable ASCII, of at most 64 characters of the key."""
    return f"key `{key[:64].encode('unicode_escape').decode()}`"
