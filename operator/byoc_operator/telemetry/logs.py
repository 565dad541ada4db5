"""Log lines: JSON or text, with namespace and name of the number on every line that is about one."""

import json
import logging
import sys
from datetime import UTC, datetime


def set_up(*, as_json: bool, level: str) -> None:
    """Log to standard error. Libraries are kept to warnings: at DEBUG they print whole bodies."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("byoc_operator").setLevel(level)


def _about(record: logging.LogRecord) -> str:
    return str(getattr(record, "number", ""))


_HIDDEN = {*range(32), *range(127, 160), 0x2028, 0x2029} - {ord("\n")}
_VISIBLE = {number: f"\\x{number:02x}" for number in _HIDDEN}
"""Names come from users: none of them may look like a line of its own; what follows an end of line is indented."""


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        about = _about(record)
        where = f" [{about}]" if about else ""
        line = f"{_time(record)} {record.levelname:<7}{where} {_message(record)}".translate(_VISIBLE)
        return line.replace("\n", "\n    ")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _time(record),
            "severity": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        namespace, _, name = _about(record).partition("/")
        if name:
            line |= {"namespace": namespace, "name": name}
        return json.dumps(line, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    """The message, and of an exception the type only: its text may hold what it was handed."""
    message = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        message += f" ({record.exc_info[0].__name__})"
    return message
