"""The texts in the values of a Secret that may be credentials, and which of them are ordinary words. Pure."""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from ..api import secret_keys
from ..api.conditions import Reason
from ..api.encoding import from_base64
from ..core.credential_values import field_of
from ..core.credentials import SEALED_PREFIX
from ..core.findings import Code
from ..core.trunk import Kind
from ..errors import Stalled

if TYPE_CHECKING:
    from ..sealing.sealed import KeyRing

LONGEST: Final = 4096
"""Characters of a value, or of a line of one, that is looked for. The key of a Google service account has 2,400."""

MOST_OPENED: Final = 64
"""How many sealed values of one Secret are opened. The operator reads no Secret with more keys."""

_MARK: Final = "-----"
"""The beginning of the first and the last line of a private key, the same for all (RFC 7468)."""

_SAME_FOR_ALL: Final = frozenset(
    {
        "service_account",
        "googleapis.com",
        "https://accounts.google.com/o/oauth2/auth",
        "https://accounts.google.com/o/oauth2/token",
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v1/certs",
    }
)
"""What the file with the key of every service account of Google has."""

_LEAST_OF_A_TOKEN: Final = 12
"""Characters of a word within a value that is looked for by itself. Few words of prose are as long; tokens are."""

_LEAST_OF_A_WORD: Final = 8
"""Characters of a word of letters, or of a number, that is looked for whatever its name is."""

_ASSIGNED: Final = re.compile(
    r"(?:export[ \t]{1,4}|-[ \t]{1,4})?[\"']?([A-Za-z_][\w.-]{0,62})[\"']?[ \t]?[:=][ \t]*+(.*)"
)
_USER_OF_URL: Final = re.compile(r"://([^\s/\"'<>]{1,512})@")
_TELLING_NAME: Final = re.compile(r"(?i)pass|pw|secret|token|key|cred|auth|user|login|account|pin$|sid$")
"""A name whose value may be a credential even if that is an ordinary word."""

_QUOTES: Final = "\"'"
_AROUND: Final = "\"',;"

_OWN_WORDS: Final = "\n".join(
    [
        *(*Reason, *Code, *Kind, "Ready", "Reconciling", "Stalled", "CredentialsResolved"),
        *("ByocPhoneNumber", "Secret", "Deployment", "ConfigMap", "Namespace", "Event", "Lease", "Pod"),
        *("True", "False", "Unknown", "true", "false", "null", "Normal", "Warning"),
        *("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "debug", "info", "warning", "error", "critical"),
        *("timestamp", "severity", "logger", "message", "namespace", "name", "reason", "carrier", "run"),
        *("inboundTrunkId", "outboundTrunkId", "byoc-operator", "byoc_operator", "byoc_numbers", "livekit"),
    ]
)
"""The words of the operator's statuses, Events and logs, one a line."""


class Rank(IntEnum):
    """Where a text comes from, the surest credential first.

    A whole value that a number uses, a part of one, what a name says is a credential, and everything else.
    """

    VALUE_IN_USE = 0
    PART_IN_USE = 1
    NAMED = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a Secret. `username`: whether it stands in the key of a SIP user name."""

    text: str
    rank: Rank = Rank.OTHER
    username: bool = False

    @property
    def ordinary(self) -> bool:
        """Whether the text is a word that many lines have, and no value of a key in use.

        Whoever may write a Secret could otherwise take such words out of the whole bundle.
        """
        text = self.text.strip()
        if self.rank is Rank.VALUE_IN_USE:
            return False
        return text in _OWN_WORDS or (self.rank is Rank.OTHER and _is_plain(text))


def _is_plain(text: str) -> bool:
    letters = text.isalpha() and (text.islower() or text.istitle() or text.isupper())
    return len(text) < _LEAST_OF_A_WORD and (letters or text.isdigit())


def values_of(raw: Mapping[str, Any], used: Iterable[str] = (), ring: "KeyRing | None" = None) -> Iterator[Text]:
    """The texts in the values of a Secret: those of the keys `used` by numbers first, the whole values before parts.

    Parts are the lines, every string of JSON, what stands behind a name and a colon or an equals sign, user and
    password of a URL, and the words as long as tokens. `ring`: opens what is sealed; None where the keys are not known.
    """
    stored = _opened(raw, ring)
    in_use = [each for each in dict.fromkeys(used) if each in stored]
    for key in in_use:
        for value in stored[key]:
            yield from (Text(each, Rank.VALUE_IN_USE, key == secret_keys.USERNAME) for each in _wholes(value))
    for key in in_use:
        for value in stored[key]:
            yield from (_part_in_use(value, name, each) for name, each in _parts(value, key))
    for key in sorted(stored.keys() - set(in_use)):
        for value in stored[key]:
            yield from (_ranked(key, each) for each in _wholes(value))
            yield from (_ranked(name, each) for name, each in _parts(value, key))


def unreadable_in(raw: Mapping[str, Any]) -> int:
    """How many values of a Secret are no UTF-8 text."""
    return sum(from_base64(value) is None for value in _data(raw).values())


def _ranked(name: str, text: str) -> Text:
    return Text(text, Rank.NAMED if _TELLING_NAME.search(name) else Rank.OTHER)


def _part_in_use(value: str, name: str, text: str) -> Text:
    """A part of a value in use. In JSON the names tell the words: the project of a service account is no credential."""
    named = _ranked(name, text)
    return named if named.ordinary and _may_be_json(value) else Text(text, Rank.PART_IN_USE)


def _opened(raw: Mapping[str, Any], ring: "KeyRing | None") -> dict[str, list[str]]:
    """For each key its value, what is sealed in it first. Raises nothing for a value that cannot be opened."""
    namespace = str((raw.get("metadata") or {}).get("namespace"))
    found: dict[str, list[str]] = {}
    opened = 0
    for key, value in _data(raw).items():
        text = from_base64(value) or ""
        found[key] = [text]
        if ring is None or opened >= MOST_OPENED or not text.startswith(SEALED_PREFIX):
            continue
        opened += 1
        try:
            found[key].insert(0, ring.open(text, namespace, field_of(key)))
        except Stalled:
            continue
    return found


def _data(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    data = raw.get("data")
    return {str(key): value for key, value in data.items()} if isinstance(data, Mapping) else {}


def _wholes(value: str) -> Iterator[str]:
    """The value with and without the blanks around it. One that is too long and may have parts is no credential."""
    for each in dict.fromkeys((value, value.strip())):
        if len(each) <= LONGEST or not (each.strip().splitlines()[1:] or _may_be_json(each)):
            yield each


def _may_be_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _parts(value: str, key: str) -> Iterator[tuple[str, str]]:
    """The parts of a value, each with the name that it stands behind; `key`: the name of the whole value."""
    found = _json_in(value, key)
    for name, text in found or [(key, value)]:
        lines = text.strip().splitlines()
        for line in map(str.strip, lines):
            if len(lines) > 1 and (
                line.startswith(_MARK) or not any(map(str.isalnum, line))
            ):  # such as a bracket alone
                continue
            if found or len(lines) > 1 or len(line) > LONGEST:
                yield name, line
            if len(line) <= LONGEST:
                yield from _parts_of_line(line, name)


def _json_in(text: str, key: str) -> list[tuple[str, str]]:
    """The strings in a JSON object or list, and the numbers that have the name of a credential; each with its name.

    `key`: the name of what stands in no object. Empty if the text is neither. The names are no credentials: those such
    as `"type":` stand in every log.
    """
    try:
        root = json.loads(text) if _may_be_json(text) else None
    except (ValueError, RecursionError):
        return []
    found: list[tuple[str, str]] = []
    waiting: deque[tuple[str, object]] = deque([(key, root)])
    while waiting:  # not recursive: a document may be as deep as the parser allows
        name, value = waiting.popleft()
        if isinstance(value, dict):
            waiting.extend((str(each), inner) for each, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((name, inner) for inner in value)
        elif isinstance(value, str) and value not in _SAME_FOR_ALL:
            found.append((name, value))
        elif isinstance(value, int) and not isinstance(value, bool) and _TELLING_NAME.search(name):
            found.append((name, str(value)))
    return found


def _parts_of_line(line: str, name: str) -> Iterator[tuple[str, str]]:
    assigned = _ASSIGNED.fullmatch(line)
    if assigned:
        yield assigned[1], assigned[2].strip().rstrip(",;").strip(_QUOTES)
    for found in _USER_OF_URL.finditer(line):
        user, colon, password = found[1].partition(":")
        yield from (("password", each) for each in dict.fromkeys((password, unquote(password))) if colon)
        yield ("user", user) if not colon or len(user) >= _LEAST_OF_A_TOKEN else ("", user)
    words = (each.strip(_AROUND) for each in line.split())
    yield from ((name, each) for each in words if _LEAST_OF_A_TOKEN <= len(each) < len(line))
