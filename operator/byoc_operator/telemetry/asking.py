"""Asks a running operator whether it is ready: the other side of `/readyz`, for `helm test`."""

import http.client
from urllib.parse import urlsplit

from .health import OK

_WITHIN_S = 10.0
"""Seconds for the connection, and for each read."""

_MAX_BYTES = 2**16
"""Bytes of the answer that are read; an answer has a line for each problem."""


def problem_at(url: str) -> str:
    """Why the operator at this `/readyz` is not ready, in one line; empty if it is ready. No proxy is used.

    Raises ValueError for anything that is no http URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.username:
        raise ValueError("must be an http URL, like http://byoc-operator.byoc-system.svc:8080/readyz")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_WITHIN_S)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read(_MAX_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as exc:
        return f"nobody answers ({type(exc).__name__}): has the Service a ready replica?"
    finally:
        connection.close()
    return "" if answer.status == OK else f"HTTP {answer.status}: {body}"
