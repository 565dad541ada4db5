"""What the webhook answers, without I/O: AdmissionReview request in, response out.

Plain values of a labelled Secret are sealed, in `data` and in the copy of the manifest that kubectl and Argo CD keep in
an annotation. A value whose plain text is already stored keeps its token, so that a rewrite changes nothing.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..api.conditions import Reason
from ..api.encoding import from_base64, to_base64
from ..api.names import WATCH_LABEL
from ..cluster.json_bounds import Bounds, decoded
from ..core.credentials import KEYS_SECRET, LAST_APPLIED, MAX_KEYS, REFUSED_TYPES, field_of, problem_of
from ..errors import Stalled
from ..sealing.freshness import Keys
from ..sealing.sealed import MAX_SEALED, is_sealed, open_with

_ANNOTATION_UNREADABLE = f"the annotation {LAST_APPLIED} cannot be read, so that nothing in it can be sealed"
_LAST_APPLIED_PATH = "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")
_INVALID = 422
_UNAVAILABLE = 503

MAX_PLAIN = 1024
"""Characters of a value in plain text; none of more than 256 bytes is of use. A Secret may have many of a megabyte."""

MAX_ENCODED = 2 * MAX_SEALED
"""Characters of a value as it is spelled: more than any sealed one takes in base64. Longer ones are not decoded."""

MAX_ANNOTATION = 256 * 1024
"""Bytes that the API server allows all annotations of an object together, but looks at only after us."""

_MANIFEST = Bounds(MAX_ANNOTATION, depth=64, containers=20_000, strings=50_000, bare=MAX_ANNOTATION)
"""Of a manifest in an annotation. That of a Secret is five levels deep."""

Json = dict[str, Any]


class _Unstorable(Exception):
    """Why the Secret cannot be stored. The text is for its author and holds no value."""

    def __init__(self, message: str, code: int = _INVALID) -> None:
        super().__init__(message)
        self.code = code


def review(request: Mapping[str, Any], keys: Keys) -> Json:
    """The AdmissionResponse to an AdmissionRequest on a Secret. Never holds a plain value, whatever the request is.

    Refused is what cannot be sealed (503 while there are no keys to seal with) and what is sealed for another use. An
    update that leaves values and annotation as they are is never refused: labels, owners and finalizers of a Secret
    from before must stay free to change.
    """
    wanted, old = _mapping(request.get("object")), _mapping(request.get("oldObject"))
    if request.get("operation") not in ("CREATE", "UPDATE") or not _labelled(wanted):
        return _allowed(request)
    if _mapping(request.get("kind")).get("kind", "Secret") != "Secret":
        return _allowed(request, warnings=["not sealed: only Secrets hold SIP credentials"])
    if str(wanted.get("type")) in REFUSED_TYPES or _mapping(wanted.get("metadata")).get("name") == KEYS_SECRET:
        return _allowed(request, warnings=["not sealed: a Secret of this kind never holds SIP credentials"])
    sealer = _SecretSealer(keys, str(request.get("namespace") or ""), old)
    try:
        patch = sealer.patch(wanted)
    except _Unstorable as exc:
        if _labelled(old) and _content(wanted) == _content(old):
            return _allowed(request, warnings=[f"not sealed: {exc}"])
        return _denied(request, str(exc), exc.code)
    return _allowed(request, patch, sealer.warnings)


class _SecretSealer:
    """Seals what one request wants to store. `old`: what is stored now, empty on creation."""

    def __init__(self, keys: Keys, namespace: str, old: Mapping[str, Any]) -> None:
        self._ring = keys.ring
        self._problem = keys.problem
        self._namespace = namespace
        self._stored = {key: value for key, value in _mapping(old.get("data")).items() if isinstance(value, str)}
        self._was_ours = _labelled(old)
        self._frozen = old.get("immutable") is True
        self._noted = _parts_of(old)
        self._current: dict[str, str] = {}
        self.warnings: list[str] = []

    def patch(self, wanted: Mapping[str, Any]) -> list[Json]:
        """The JSON patch (RFC 6902) that seals; empty if everything is. Raises `_Unstorable`."""
        return [*self._values(wanted), *self._annotation(wanted)]

    def _values(self, wanted: Mapping[str, Any]) -> Iterable[Json]:
        for part, coding in _PARTS.items():
            for key, value in _strings(wanted, part).items():
                stored = self._stored.get(key) if part == "data" else None
                if self._was_ours and value == stored and is_sealed(_tolerant(value)):
                    sealed = value  # as it was: nobody asks to store it, and whoever did may have had other keys
                else:
                    sealed = self._sealed(key, value, coding, self._known(key))
                if not is_sealed(coding.lenient(value)):
                    # Only beside its own plain text: else who has a token could test guesses at what is in it here.
                    self._current[key] = coding.lenient(sealed)
                if sealed != value:
                    yield {"op": "replace", "path": f"/{part}/{_escaped(key)}", "value": sealed}

    def _annotation(self, wanted: Mapping[str, Any]) -> Iterable[Json]:
        text = _last_applied(wanted)
        if text is None:
            return
        try:
            manifest = _parsed(text)
        except ValueError:
            raise _Unstorable(_ANNOTATION_UNREADABLE) from None
        sealed = dict(manifest)
        for part, coding in _PARTS.items():
            if part in manifest and manifest[part] is not None:
                sealed[part] = manifest[part] | {
                    key: self._copy(part, key, value, coding) for key, value in _strings(manifest, part).items()
                }
        if sealed != manifest:
            # As kubectl writes it: one line, and a newline at its end.
            again = _json(sealed) + "\n" * text.endswith("\n")
            yield {"op": "replace", "path": _LAST_APPLIED_PATH, "value": again}

    def _copy(self, part: str, key: str, value: str, coding: "_Coding") -> str:
        """A value in the annotation. The token that stands there is preferred to the one in the data."""
        stored = self._noted.get(part, {}).get(key)
        if value == stored and is_sealed(_tolerant(value) if part == "data" else value):
            return value
        known = [] if stored is None else [coding.lenient(stored)]
        return self._sealed(key, value, coding, [*known, self._current.get(key, ""), *self._known(key)])

    def _known(self, key: str) -> list[str]:
        """Texts that are stored under a key, in the order in which they are preferred."""
        noted = [
            _PARTS[part].lenient(values[key])
            for part, values in self._noted.items()
            if isinstance(values.get(key), str)
        ]
        return [_tolerant(self._stored.get(key, "")), *noted]

    def _sealed(self, key: str, value: str, coding: "_Coding", known: Iterable[str]) -> str:
        """A value as it will be stored, coded as it came. Raises `_Unstorable`."""
        if not value:
            return value
        if len(value) > MAX_ENCODED:
            raise _too_long(key)
        text = coding.decode(key, value)
        if is_sealed(text):
            self._check(key, text)
            return value
        if len(text) > MAX_PLAIN:
            raise _too_long(key)
        self._warn(key, problem_of(text, field_of(key)))
        for token in known:
            if is_sealed(token) and self._opened(key, token) == text:
                return coding.encode(token)
        if self._frozen and coding is _PARTS["data"] and value == self._stored.get(key):
            if not self._was_ours:
                raise _Unstorable(
                    f"{_named(key)}: the Secret is immutable, so that the value cannot be sealed; make it anew"
                )
            self._warn(key, "the Secret is immutable, so that the value stays plain text")
            return value
        return coding.encode(self._seal(key, text))

    def _seal(self, key: str, text: str) -> str:
        if self._ring is None or self._problem:
            why = self._problem or "there are none"
            raise _Unstorable(f"{_named(key)} cannot be sealed without the operator's keys: {why}", _UNAVAILABLE)
        return self._ring.seal(text, self._namespace, field_of(key))

    def _open(self, key: str, token: str) -> str:
        return open_with(self._ring, self._problem, token, self._namespace, field_of(key))

    def _opened(self, key: str, token: str) -> str | None:
        try:
            return self._open(key, token)
        except Stalled:
            return None

    def _check(self, key: str, token: str) -> None:
        """Refuse a token that is known to be for another use; one of unknown keys may be older than our keys are."""
        try:
            text = self._open(key, token)
        except Stalled as exc:
            if exc.reason != Reason.SEALING_KEY_UNKNOWN:
                raise _Unstorable(f"{_named(key)}: {exc.message}") from None
            self._warn(key, exc.message)
        else:
            self._warn(key, problem_of(text, field_of(key)))

    def _warn(self, key: str, problem: str) -> None:
        warning = f"{_named(key)}: {problem}"
        if problem and warning not in self.warnings:
            self.warnings.append(warning)


class _Coding:
    """How a part of the manifest spells its values. `decode` gives None for what is no text."""

    def __init__(self, encode: Callable[[str], str], decode: Callable[[object], str | None]) -> None:
        self.encode = encode
        self._decode = decode

    def decode(self, key: str, value: str) -> str:
        """The text of a value. Raises `_Unstorable` that names its key."""
        text = self._decode(value)
        if text is None:
            raise _Unstorable(f"{_named(key)}: the value is not UTF-8 text and cannot be sealed")
        return text

    def lenient(self, value: object) -> str:
        """The text of a stored value, empty if it has none, or one that is longer than any that matters here."""
        if not isinstance(value, str) or len(value) > MAX_ENCODED:
            return ""
        return self._decode(value) or ""


def _as_it_is(value: object) -> str | None:
    """A text that can be encoded: JSON can spell half a character."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


_PARTS = {"data": _Coding(to_base64, from_base64), "stringData": _Coding(str, _as_it_is)}
"""What of a Secret holds values. The API server asks with `data` only; the annotation keeps `stringData` as well."""


def _tolerant(value: str) -> str:
    return _PARTS["data"].lenient(value)


def _strings(manifest: Mapping[str, Any], part: str) -> dict[str, str]:
    """The values of a part of a manifest. Raises `_Unstorable` if they are no texts, or far too many."""
    values = manifest.get(part)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(value is None or isinstance(value, str) for value in values.values()):
        raise _Unstorable(f"`{part}` must hold texts")
    if len(values) > MAX_KEYS:
        raise _Unstorable(f"`{part}` has more than {MAX_KEYS} keys, which no Secret with SIP credentials needs")
    return {key: value for key, value in values.items() if value is not None}


def _parts_of(old: Mapping[str, Any]) -> dict[str, Json]:
    """What the stored annotation holds, as far as it can be read."""
    text = _last_applied(old)
    try:
        manifest = {} if text is None else _parsed(text)
    except ValueError:
        return {}
    return {part: _mapping(manifest.get(part)) for part in _PARTS}


def _last_applied(manifest: Mapping[str, Any]) -> str | None:
    """The manifest in the annotation, None if there is none."""
    text = _mapping(_mapping(manifest.get("metadata")).get("annotations")).get(LAST_APPLIED)
    return text if isinstance(text, str) else None


def _parsed(text: str) -> Json:
    """The object in a JSON text. Raises ValueError, also if a key is there twice: one of them would be overlooked."""
    found = decoded(text.encode(), _MANIFEST, _once)
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - for the caller it is one more text that cannot be read
    return found


def _json(manifest: Json) -> str:
    """On one line. Raises `_Unstorable` for a number that Python took in and JSON cannot write: `1e999`."""
    try:
        return json.dumps(manifest, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise _Unstorable(_ANNOTATION_UNREADABLE) from None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _content(manifest: Mapping[str, Any]) -> tuple[Any, Any, str | None]:
    return manifest.get("data"), manifest.get("stringData"), _last_applied(manifest)


def _labelled(manifest: Mapping[str, Any]) -> bool:
    return _mapping(_mapping(manifest.get("metadata")).get("labels")).get(WATCH_LABEL) == "true"


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _escaped(key: str) -> str:
    """A key in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _too_long(key: str) -> _Unstorable:
    return _Unstorable(f"{_named(key)}: the value is longer than any SIP credential; up to 256 bytes are of use")


def _named(key: str) -> str:
    return f"key `{key[:64].encode('unicode_escape').decode()}`"


def _allowed(request: Mapping[str, Any], patch: list[Json] | None = None, warnings: list[str] | None = None) -> Json:
    answer: Json = {"uid": str(request.get("uid") or ""), "allowed": True}
    if patch:
        answer |= {"patchType": "JSONPatch", "patch": to_base64(json.dumps(patch))}
    return answer | ({"warnings": warnings} if warnings else {})


def _denied(request: Mapping[str, Any], message: str, code: int) -> Json:
    return {"uid": str(request.get("uid") or ""), "allowed": False, "status": {"code": code, "message": message}}
