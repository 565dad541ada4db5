"""Reads the API server's audit log: the user, the request and the response code of each request."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One finished request. A watch appears when it ends, not when it starts."""

    at: datetime
    user: str
    user_agent: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int

    @property
    def is_write(self) -> bool:
        """Whether the verb asks for a change; it may have been refused (see `code`)."""
        return self.verb in WRITES


def read_audit_log(path: Path, user: str) -> list[AuditEntry]:
    """Finished requests of `user`, oldest first."""
    if not path.exists():
        return []
    with path.open() as lines:
        # The first test is cheap and spares parsing what the controller-manager did meanwhile. A last line without
        # its line feed is still being written.
        events = [json.loads(line) for line in lines if user in line and line.endswith("\n")]
    return [_entry(event) for event in events if event["user"].get("username") == user]


def _entry(event: dict[str, Any]) -> AuditEntry:
    target = event.get("objectRef", {})  # missing for /version, /healthz and the like
    return AuditEntry(
        at=datetime.fromisoformat(event["stageTimestamp"]),
        user=event["user"]["username"],
        user_agent=event.get("userAgent", ""),
        verb=event["verb"],
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
    )
