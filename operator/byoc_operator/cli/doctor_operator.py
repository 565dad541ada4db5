"""The operator as `kubectl byoc doctor` judges it."""

import asyncio
from datetime import datetime
from typing import Final

from ..api.resource import PhoneNumber
from ..diagnosis.facts import OperatorSeen
from ..errors import OperatorError
from .cluster import Cluster
from .operator_finder import Operator

_SWEPT: Final = "byoc_last_sweep_timestamp_seconds "
_SILENT_S: Final = 5.0
_METRICS_S: Final = 15.0
"""Seconds for all lines of the metrics, which are read until the one that is wanted."""


def operator_seen(operator: Operator, number: PhoneNumber | None, swept_s: float | None, now_s: float) -> OperatorSeen:
    """The operator for the chain. `swept_s`: see `sweep_age`."""
    settings = operator.settings or {}
    return OperatorSeen(
        namespace=operator.namespace,
        deployment=None if operator.deployments is None else operator.deployment,
        replicas=operator.replicas,
        ready_pods=operator.ready_pods,
        waiting=next((pod.waiting for pod in operator.pods or () if pod.waiting), ""),
        lease=operator.lease_name,
        leader=operator.leader,
        renewed_s=_age(operator.renewed_at, now_s),
        swept_s=swept_s,
        sweeps_every_s=_number(settings.get("BYOC_SWEEP_INTERVAL_SECONDS", "")) or 300.0,
        watches=operator.watches(number.key.namespace) if number else None,
        unknown=operator.unknown,
    )


async def sweep_age(cluster: Cluster, operator: Operator, now_s: float) -> float | None:
    """Seconds since the leader's last good sweep, None if its metrics cannot be read through the API server."""
    pod = operator.leader_pod
    if pod is None:
        return None
    path = f"/api/v1/namespaces/{operator.namespace}/pods/{pod.name}:{pod.port}/proxy/metrics"
    try:
        async with asyncio.timeout(_METRICS_S):
            async for line in cluster.api.lines(path, resource="pods/proxy", silent_s=_SILENT_S):
                if line.startswith(_SWEPT):
                    ended_s = _number(line.removeprefix(_SWEPT))
                    return None if ended_s is None else now_s - ended_s
    except (OperatorError, TimeoutError):
        return None
    return None


def _age(time: str, now_s: float) -> float | None:
    """Seconds since an RFC 3339 time."""
    try:
        return now_s - datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
