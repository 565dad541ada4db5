"""Makes the AdmissionResponse to an AdmissionRequest on a Secret. No I/O.

The webhook seals the plain values of a labelled Secret, in `data` and in the copy of the manifest that kubectl and Argo
CD keep in an annotation. A value whose plain text is stored sealed already gets the stored token, so that applying the
same manifest again changes nothing.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..api.conditions import Reason
from ..api.encoding import to_base64
from ..core.credential_values import field_of, problem_of
from ..core.credentials import KEYS_SECRET, LAST_APPLIED, REFUSED_TYPES
from ..errors import Stalled
from ..sealing.freshness import Keys
from ..sealing.sealed import is_sealed, open_with
from .manifest import (
    ANNOTATION_UNREADABLE,
    MAX_ENCODED,
    PARTS,
    Coding,
    Json,
    Unstorable,
    content,
    data_text,
    is_labelled,
    last_applied,
    manifest_in,
    mapping,
    named,
    noted_values,
    one_line,
    pointer_part,
    too_long,
    values_of,
)

_LAST_APPLIED_PATH = "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")
_INVALID, _UNAVAILABLE = 422, 503

MAX_PLAIN = 1024
"""Characters of a plain text that is sealed, if its field allows no more bytes. A Secret may have a megabyte."""


def review(request: Mapping[str, Any], keys: Keys) -> Json:
    """The AdmissionResponse to an AdmissionRequest on a Secret. The response never contains a plain value.

    The response refuses a Secret with a value that cannot be sealed (503 while there are no usable keys) or that was
    sealed for another use. It never refuses an update that leaves values and annotation unchanged, so that labels,
    owners and finalizers of an older Secret can change.
    """
    wanted, old = mapping(request.get("object")), mapping(request.get("oldObject"))
    if request.get("operation") not in ("CREATE", "UPDATE") or not is_labelled(wanted):
        return _allowed(request)
    if mapping(request.get("kind")).get("kind", "Secret") != "Secret":
        return _allowed(request, warnings=["not sealed: only Secrets hold SIP credentials"])
    if str(wanted.get("type")) in REFUSED_TYPES or mapping(wanted.get("metadata")).get("name") == KEYS_SECRET:
        return _allowed(request, warnings=["not sealed: a Secret of this kind never holds SIP credentials"])
    sealer = _SecretSealer(keys, str(request.get("namespace") or ""), old)
    try:
        patch = sealer.patch(wanted)
    except Unstorable as exc:
        if is_labelled(old) and content(wanted) == content(old):
            return _allowed(request, warnings=[f"not sealed: {exc}"])
        return _denied(request, str(exc), _UNAVAILABLE if exc.without_keys else _INVALID)
    return _allowed(request, patch, sealer.warnings)


class _SecretSealer:
    """Seals the values of the Secret in one request. `old`: the stored Secret, empty on creation."""

    def __init__(self, keys: Keys, namespace: str, old: Mapping[str, Any]) -> None:
        self._ring = keys.ring
        self._problem = keys.problem
        self._namespace = namespace
        self._stored = {key: value for key, value in mapping(old.get("data")).items() if isinstance(value, str)}
        self._was_ours = is_labelled(old)
        self._frozen = old.get("immutable") is True
        self._noted = noted_values(old)
        self._current: dict[str, str] = {}
        self.warnings: list[str] = []

    def patch(self, wanted: Mapping[str, Any]) -> list[Json]:
        """The JSON patch (RFC 6902) that seals all values; empty if all are sealed. Raises `Unstorable`."""
        return [*self._values(wanted), *self._annotation(wanted)]

    def _values(self, wanted: Mapping[str, Any]) -> Iterable[Json]:
        for part, coding in PARTS.items():
            for key, value in values_of(wanted, part).items():
                stored = self._stored.get(key) if part == "data" else None
                if self._was_ours and value == stored and is_sealed(data_text(value)):
                    sealed = value  # unchanged, and perhaps sealed with keys that are gone
                else:
                    sealed = self._sealed(key, value, coding, self._known(key))
                if not is_sealed(coding.lenient(value)):
                    # Only for a value that came as plain text: otherwise anybody with a token could test guesses here.
                    self._current[key] = coding.lenient(sealed)
                if sealed != value:
                    yield {"op": "replace", "path": f"/{part}/{pointer_part(key)}", "value": sealed}

    def _annotation(self, wanted: Mapping[str, Any]) -> Iterable[Json]:
        text = last_applied(wanted)
        if text is None:
            return
        try:
            manifest = manifest_in(text)
        except ValueError:
            raise Unstorable(ANNOTATION_UNREADABLE) from None
        sealed = dict(manifest)
        for part, coding in PARTS.items():
            if part in manifest and manifest[part] is not None:
                sealed[part] = manifest[part] | {
                    key: self._copy(part, key, value, coding) for key, value in values_of(manifest, part).items()
                }
        if sealed != manifest:
            # Like kubectl: one line, with a newline at its end.
            again = one_line(sealed) + "\n" * text.endswith("\n")
            yield {"op": "replace", "path": _LAST_APPLIED_PATH, "value": again}

    def _copy(self, part: str, key: str, value: str, coding: "Coding") -> str:
        """The sealed value for the annotation: the token there if it fits, else the one in the data, else a new one."""
        stored = self._noted.get(part, {}).get(key)
        if value == stored and is_sealed(data_text(value) if part == "data" else value):
            return value
        known = [] if stored is None else [coding.lenient(stored)]
        return self._sealed(key, value, coding, [*known, self._current.get(key, ""), *self._known(key)])

    def _known(self, key: str) -> list[str]:
        """The stored texts of a key, the preferred one first."""
        noted = [
            PARTS[part].lenient(values[key]) for part, values in self._noted.items() if isinstance(values.get(key), str)
        ]
        return [data_text(self._stored.get(key, "")), *noted]

    def _sealed(self, key: str, value: str, coding: "Coding", known: Iterable[str]) -> str:
        """A value as it will be stored, in the encoding in which it came. Raises `Unstorable`.

        `known`: stored texts; a token of them that has the same plain text is used again.
        """
        if not value:
            return value
        if len(value) > MAX_ENCODED:
            raise too_long(key)
        text = coding.decode(key, value)
        if is_sealed(text):
            self._check(key, text)
            return value
        if len(text) > max(MAX_PLAIN, field_of(key).max_bytes):
            raise too_long(key)
        self._warn(key, problem_of(text, field_of(key)))
        for token in known:
            if is_sealed(token) and self._opened(key, token) == text:
                return coding.encode(token)
        if self._frozen and coding is PARTS["data"] and value == self._stored.get(key):
            if not self._was_ours:
                raise Unstorable(
                    f"{named(key)}: the Secret is immutable, so that the value cannot be sealed; make it anew"
                )
            self._warn(key, "the Secret is immutable, so that the value stays plain text")
            return value
        return coding.encode(self._seal(key, text))

    def _seal(self, key: str, text: str) -> str:
        if self._ring is None or self._problem:
            why = self._problem or "there are none"
            raise Unstorable(f"{named(key)} cannot be sealed without the operator's keys: {why}", without_keys=True)
        return self._ring.seal(text, self._namespace, field_of(key))

    def _open(self, key: str, token: str) -> str:
        return open_with(self._ring, self._problem, token, self._namespace, field_of(key))

    def _opened(self, key: str, token: str) -> str | None:
        try:
            return self._open(key, token)
        except Stalled:
            return None

    def _check(self, key: str, token: str) -> None:
        """Raise `Unstorable` for a token of another use. A token of an unknown key gets a warning: it may be old."""
        try:
            text = self._open(key, token)
        except Stalled as exc:
            if exc.reason != Reason.SEALING_KEY_UNKNOWN:
                raise Unstorable(f"{named(key)}: {exc.message}") from None
            self._warn(key, exc.message)
        else:
            self._warn(key, problem_of(text, field_of(key)))

    def _warn(self, key: str, problem: str) -> None:
        warning = f"{named(key)}: {problem}"
        if problem and warning not in self.warnings:
            self.warnings.append(warning)


def _allowed(request: Mapping[str, Any], patch: list[Json] | None = None, warnings: list[str] | None = None) -> Json:
    answer: Json = {"uid": str(request.get("uid") or ""), "allowed": True}
    if patch:
        answer |= {"patchType": "JSONPatch", "patch": to_base64(json.dumps(patch))}
    return answer | ({"warnings": warnings} if warnings else {})


def _denied(request: Mapping[str, Any], message: str, code: int) -> Json:
    return {"uid": str(request.get("uid") or ""), "allowed": False, "status": {"code": code, "message": message}}
