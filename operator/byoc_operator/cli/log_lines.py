"""Lines of the operator's log: which object a line is about, and how a person reads it. Values in, values out."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..api.resource import Key

_LONGEST_STAMP = 40

LONGEST_ENTRY = 256 * 1024
"""Characters of a line with the lines that continue it, which is a long traceback; what is beyond is left out."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, with the lines that belong to it.

    `stamp`: RFC 3339, empty if it has none; lines of one operator sort by it.
    `about`: `namespace/name`, empty where a line is about no object. `raw`: as the operator wrote it.
    """

    stamp: str
    about: str
    text: str
    raw: str

    def is_about(self, key: Key) -> bool:
        """Whether it is about this object."""
        return self.about == str(key)

    def with_more(self, raw: str) -> "LogLine":
        """The line with one that continues it."""
        if len(self.raw) + len(raw) > LONGEST_ENTRY:
            return self
        return LogLine(self.stamp, self.about, f"{self.text}\n{raw}", f"{self.raw}\n{raw}")


def line_of(raw: str) -> LogLine | None:
    """One line, None if it continues the one before."""
    if raw.startswith("{"):
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError):
            return LogLine("", "", raw, raw)
        return _of_json(fields, raw) if isinstance(fields, dict) else None
    first, _, rest = raw.partition(" ")
    stamp = _stamp(first)
    if not stamp:
        return None
    after_level = rest.partition(" ")[2].lstrip(" ")
    about, closed, _ = after_level.removeprefix("[").partition("]")
    named = after_level.startswith("[") and closed and "/" in about
    return LogLine(stamp, about.partition(" ")[0] if named else "", raw, raw)


def _stamp(text: str) -> str:
    """The text if it is a time; else empty. What a library prints when the process crashes begins with any word."""
    try:
        datetime.fromisoformat(text[:_LONGEST_STAMP])
    except ValueError:
        return ""
    return text[:_LONGEST_STAMP]


def _of_json(fields: dict[str, Any], raw: str) -> LogLine:
    def text(name: str) -> str:
        return str(fields.get(name) or "")

    namespace, name, stamp = text("namespace"), text("name"), _stamp(text("timestamp"))
    beside = [f"{label}={text(field)}" for label, field in _BESIDE.items() if text(field)]
    shown = f"{stamp} {text('severity'):<7} {text('message')}" + (f" ({' '.join(beside)})" if beside else "")
    return LogLine(stamp, f"{namespace}/{name}" if name else "", shown, raw)


_BESIDE = {
    "reason": "reason",
    "carrier": "carrier",
    "inbound": "inboundTrunkId",
    "outbound": "outboundTrunkId",
    "run": "run",
}


@dataclass(slots=True)
class Place:
    """How far a log has been read. `stamp`: of the newest line; `lines`: all lines that have it."""

    stamp: str = ""
    lines: set[str] = field(default_factory=set)

    def move(self, line: LogLine) -> None:
        """Note that a line has been read."""
        if line.stamp > self.stamp:
            self.stamp, self.lines = line.stamp, {line.raw}
        elif line.stamp and line.stamp == self.stamp:
            self.lines.add(line.raw)

    def has_passed(self, line: LogLine) -> bool:
        """Whether a line of a log that is read anew has been read before."""
        return line.stamp < self.stamp or line.raw in self.lines
