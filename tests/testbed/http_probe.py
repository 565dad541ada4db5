"""Makes a GET to 127.0.0.1 without a proxy; returns status 0 while the server does not answer."""

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body; status 0 means that nobody answered."""

    status: int
    body: str


def get(
    port: int,
    path: str,
    *,
    authority: Path | None = None,
    token: str | None = None,
    any_certificate: bool = False,
    timeout_s: float = 5,
) -> Answer:
    """GET over HTTP, or over HTTPS when `authority` (a PEM file) or `any_certificate` is given."""
    connection: http.client.HTTPConnection | None = None
    try:
        if authority is None and not any_certificate:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        else:
            trust = ssl.create_default_context(cafile=str(authority) if authority else None)
            if any_certificate:
                trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=trust)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException):  # an authority file that is not written yet is an OSError too
        return Answer(0, "")
    finally:
        if connection is not None:
            connection.close()
