"""Log lines: JSON or text, with namespace and name of the object on every line that is about one."""

import json
import logging
import sys
from datetime import UTC, datetime

from ..api.printable import printable, shortened
from .rationed import Rationed

MAX_MESSAGE = 8192
"""Characters of a message: twice our longest one, and short enough that container runtimes do not split the line."""

MAX_NAME = 400
"""Characters of namespace, slash and name: Kubernetes allows 63 and 253."""


def set_up(*, as_json: bool, level: str) -> None:
    """Log to standard error. Libraries log warnings only, because at DEBUG they log whole bodies."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Text())
    handler.addFilter(Rationed())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("byoc_operator").setLevel(level)
    logging.captureWarnings(capture=True)  # otherwise Python prints warnings in another format


def _about(record: logging.LogRecord) -> str:
    return printable(str(getattr(record, "number", "")), MAX_NAME)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        about = _about(record)
        where = f" [{about}]" if about else ""
        line = f"{_time(record)} {record.levelname:<7}{where} {_message(record)}"
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
    """The message, with the type of an exception and without its text, which may contain data.

    Names come from users and from LiveKit, and must not look like a log line. Invisible characters are therefore
    escaped, in JSON too, because a reader of JSON would show them. Line ends stay: JSON escapes them, and the text
    format indents the lines that follow.
    """
    try:
        message = record.getMessage()
    except Exception as exc:  # noqa: BLE001 - a bug of a library, which logging would print in many lines
        message = f"{record.msg} (its arguments do not fit: {type(exc).__name__})"
    if record.name == "asyncio":
        message = message.partition("\n")[0]  # the other lines contain the text of the exception
    if record.exc_info and record.exc_info[0] is not None:
        message = f"{shortened(message, MAX_MESSAGE)} ({record.exc_info[0].__name__})"
    return printable(message, MAX_MESSAGE + MAX_NAME, keep="\n")
