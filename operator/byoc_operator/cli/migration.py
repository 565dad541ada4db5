"""Reads the credentials of the hosted service: plain Fernet tokens under one key, bound to no namespace."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..api import secret_keys
from ..sealing.sealed import KeyRing, open_unbound
from .exit_codes import ExitCode, Refused
from .naming import NAMESPACE, SECRET, named
from .sealer import checked

_FIELDS = {"name", "namespace", "username", "usernameToken", "passwordToken"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One Secret to be made. `values`: plain text by key, which the repr does not show."""

    namespace: str
    name: str
    values: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Entry({self.namespace}/{self.name})"


def entries(lines: str, old_key: str, namespace: str) -> list[Entry]:
    """One entry per JSON line, opened with the old key or keys. Raises `Refused` that names the line, never a value."""
    try:
        ring = KeyRing.parse(old_key)
    except ValueError as exc:
        raise Refused(f"the old key: {exc}", ExitCode.USAGE) from exc
    # Not `splitlines`: it also splits at characters that JSON may contain, such as U+2028.
    found = [_entry(count, line, ring, namespace) for count, line in enumerate(lines.split("\n"), 1) if line.strip()]
    names = [(entry.namespace, entry.name) for entry in found]
    twice = sorted({f"{each[0]}/{each[1]}" for each in names if names.count(each) > 1})
    if twice:
        raise Refused(f"more than one line makes {', '.join(twice)}", ExitCode.USAGE)
    return found


def _entry(count: int, line: str, ring: KeyRing, namespace: str) -> Entry:
    try:
        return _opened(line, ring, namespace)
    except (ValueError, Refused) as exc:
        message = exc.message if isinstance(exc, Refused) else str(exc)
        raise Refused(f"line {count}: {message}", ExitCode.USAGE) from None


def _opened(line: str, ring: KeyRing, namespace: str) -> Entry:
    try:
        stated = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON object") from None
    if not isinstance(stated, dict) or not all(isinstance(each, str) for each in stated.values()):
        raise ValueError("it is no JSON object of texts")
    if set(stated) - _FIELDS:
        raise ValueError(f"only {', '.join(sorted(_FIELDS))} are known")
    if not stated.get("name") or not stated.get("passwordToken"):
        raise ValueError("name and passwordToken are needed")
    values = {}
    if stated.get("usernameToken"):
        values[secret_keys.USERNAME] = _value("usernameToken", stated["usernameToken"], ring)
    elif stated.get("username"):
        values[secret_keys.USERNAME] = stated["username"]
    values[secret_keys.PASSWORD] = _value("passwordToken", stated["passwordToken"], ring)
    checked(values)
    where = named("namespace", stated.get("namespace") or namespace, NAMESPACE)
    return Entry(where, named("name", stated["name"], SECRET), values)


def _value(field: str, token: str, ring: KeyRing) -> str:
    try:
        return open_unbound(ring, token)
    except ValueError as exc:
        raise ValueError(f"{field}: {exc}") from None
