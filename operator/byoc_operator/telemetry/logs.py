"""Log lines: JSON or text. A line about an object has its namespace and name, its state, and the run that wrote it."""

import json
import logging
import sys
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ..api.printable import printable, shortened
from ..api.recorded_status import RecordedStatus
from ..api.resource import PhoneNumber
from .rationed import Rationed

MAX_MESSAGE = 8192
"""Characters of a message: twice our longest one, and short enough that container runtimes do not split the line."""

MAX_NAME = 400
"""Characters of namespace, slash and name: Kubernetes allows 63 and 253."""


MAX_FIELD = 256
"""Characters of a LiveKit ID, a carrier or a reason."""

RUN: ContextVar[int] = ContextVar("RUN", default=0)
"""The run that logs, counted in this process; 0: no run. It costs a run nothing but this assignment."""


def about(number: PhoneNumber, status: RecordedStatus | None = None) -> dict[str, Any]:
    """`extra` of a line about an object. `status`: what it reads by now, None: as in the object."""
    return {"number": number.key, "recorded": status or number.status}


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


class _Runs:
    """Names runs so that those of two processes differ."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex[:6]

    def name(self) -> str:
        """The name of the run that logs, empty outside of runs."""
        run = RUN.get()
        return f"{self._process}-{run}" if run else ""


def _fields(record: logging.LogRecord) -> dict[str, str]:
    """What a line says of an object's state, without what is empty."""
    status = getattr(record, "recorded", None)
    if not isinstance(status, RecordedStatus):
        return {}
    fields = {
        "reason": status.ready.reason,
        "carrier": status.carrier,
        "inboundTrunkId": status.ids.inbound,
        "outboundTrunkId": status.ids.outbound,
    }
    return {name: printable(text, MAX_FIELD) for name, text in fields.items() if text}


def _about(record: logging.LogRecord) -> str:
    return printable(str(getattr(record, "number", "")), MAX_NAME)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._runs = _Runs()

    def format(self, record: logging.LogRecord) -> str:
        object_, run = _about(record), self._runs.name()
        fields = {**_fields(record), **({"run": run} if run else {})}
        beside = "".join(f" {name}={text}" for name, text in fields.items())
        where = f" [{object_}{beside}]" if object_ else ""
        line = f"{_time(record)} {record.levelname:<7}{where} {_message(record)}"
        return line.replace("\n", "\n    ")


class _Json(logging.Formatter):
    def __init__(self) -> None:
        super().__init__()
        self._runs = _Runs()

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _time(record),
            "severity": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        namespace, _, name = _about(record).partition("/")
        if name:
            line |= {"namespace": namespace, "name": name, **_fields(record)}
        if run := self._runs.name():
            line["run"] = run
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
