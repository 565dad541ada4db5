"""Reads and writes a Lease of `coordination.k8s.io`. A write fails if the Lease has changed since it was read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..api.conditions import Reason
from ..errors import Unavailable
from .answers import Conflict, NotFound
from .port import JsonApi

ATTEMPTS = 5
"""How often a write to the Lease is tried if another write, such as the leader's renewal, comes first."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A Lease as it was read. `version`: changes with every renewal, which shows standbys that the holder is alive.

    `annotations`, `labels`: kept as they are by a write.
    """

    holder: str
    duration_s: int
    version: str
    transitions: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class LeaseApi:
    """One Lease by name. Raises `ApiRefused` and `Unavailable`."""

    def __init__(self, api: JsonApi, namespace: str, name: str) -> None:
        self._api = api
        self._base = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._name = name

    async def read(self) -> Holding | None:
        """The current Lease; None if there is none."""
        try:
            raw = await self._api.request("GET", f"{self._base}/{self._name}", resource="leases")
        except NotFound:
            return None
        return _holding(raw)

    async def write(self, before: Holding | None, holder: str, duration_s: int) -> Holding | None:
        """Write the holder ("": nobody) if the Lease still has the version of `before`; None if it has another one."""
        transitions = before.transitions if before else 0
        if before and before.holder != holder and holder:
            transitions += 1
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec: dict[str, Any] = {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration_s,
            "leaseTransitions": transitions,
            "renewTime": now,
        }
        if before is None or before.holder != holder:
            spec["acquireTime"] = now
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        if before is not None:
            metadata |= {"resourceVersion": before.version, "annotations": dict(before.annotations)}
            metadata["labels"] = dict(before.labels)
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        method, path = ("PUT", f"{self._base}/{self._name}") if before else ("POST", self._base)
        try:
            return _holding(await self._api.request(method, path, resource="leases", body=body))
        except (Conflict, NotFound):
            return None

    async def amend(self, annotation: str, change: Callable[[str], str]) -> None:
        """Change one annotation, whoever holds the Lease. Nothing is written if the text stays equal.

        `change` gets the stored text, empty if there is none. It is called again if another write comes first.
        """
        for _ in range(ATTEMPTS):
            raw = await self._stored()
            annotations = raw["metadata"].get("annotations") or {}
            before = annotations.get(annotation, "")
            wanted = change(before)
            if wanted == before:
                return
            raw["metadata"]["annotations"] = {**annotations, annotation: wanted}
            there = "resourceVersion" in raw["metadata"]
            method, path = ("PUT", f"{self._base}/{self._name}") if there else ("POST", self._base)
            try:
                await self._api.request(method, path, resource="leases", body=raw)
            except (Conflict, NotFound):
                continue
            return
        raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, "the Lease changes all the time")

    async def _stored(self) -> dict[str, Any]:
        """The stored Lease; if there is none, the body of a new one without a holder."""
        try:
            return await self._api.request("GET", f"{self._base}/{self._name}", resource="leases")
        except NotFound:
            pass
        metadata = {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}


def _holding(raw: dict[str, Any]) -> Holding:
    spec = raw.get("spec") or {}
    return Holding(
        holder=str(spec.get("holderIdentity") or ""),
        duration_s=int(spec.get("leaseDurationSeconds") or 0),
        version=str(raw["metadata"]["resourceVersion"]),
        transitions=int(spec.get("leaseTransitions") or 0),
        annotations=raw["metadata"].get("annotations") or {},
        labels=raw["metadata"].get("labels") or {},
    )
