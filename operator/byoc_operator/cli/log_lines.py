"""Lines of the operator's log: which object a line is about, and how a person reads it. Values in, values out."""

import json
from dataclasses import dataclass
from typing import Any

from ..api.resource import Key

_LONGEST_STAMP = 40


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, with the lines that belong to it. `stamp`: RFC 3339; lines of one operator sort by it.

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
        return LogLine(self.stamp, self.about, f"{self.text}\n{raw}", f"{self.raw}\n{raw}")


def line_of(raw: str) -> LogLine | None:
    """One line, None if it continues the one before."""
    if raw.startswith("{"):
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError):
            return LogLine("", "", raw, raw)
        return _of_json(fields, raw) if isinstance(fields, dict) else None
    if raw.startswith(" "):
        return None
    stamp, _, rest = raw.partition(" ")
    after_level = rest.partition(" ")[2].lstrip(" ")
    about, closed, _ = after_level.removeprefix("[").partition("]")
    named = after_level.startswith("[") and closed and "/" in about
    return LogLine(stamp[:_LONGEST_STAMP], about.partition(" ")[0] if named else "", raw, raw)


def _of_json(fields: dict[str, Any], raw: str) -> LogLine:
    def text(name: str) -> str:
        return str(fields.get(name) or "")

    namespace, name, stamp = text("namespace"), text("name"), text("timestamp")[:_LONGEST_STAMP]
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
