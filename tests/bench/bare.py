"""`python -m bench.bare`: the least program that does the operator's work, without cache, retries and checks.

Environment: KUBECONFIG, BENCH_NAMESPACE, LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET. Prints `watching` once it
is, then the number of its LiveKit calls whenever it has changed.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from bench.kube import Kube
from bench.objects import FINALIZER, JSON_PATCH, MERGE_PATCH, Object, numbers_path
from bench.sip import Ids, Sip

CONNECTIONS = 20
WATCHING = "watching"
CALLS = "calls"
_REPORT_EVERY_S = 0.25


class Bare:
    """Twenty workers between a watch and LiveKit."""

    def __init__(self, kube: Kube, sip: Sip, namespace: str) -> None:
        self._kube = kube
        self._sip = sip
        self._namespace = namespace
        self._work: asyncio.Queue[Object] = asyncio.Queue()
        self._made: dict[str, Ids] = {}

    async def watch(self, kube: Kube) -> None:
        """Queue every number once when it comes and once when it goes."""
        path = numbers_path(self._namespace)
        version = (await kube.get(f"{path}?limit=1"))["metadata"]["resourceVersion"]
        print(WATCHING, flush=True)
        known: set[tuple[str, bool]] = set()
        async for kind, number in kube.watch(path, version):
            step = number["metadata"]["name"], "deletionTimestamp" in number["metadata"]
            if kind != "DELETED" and step not in known:
                known.add(step)
                self._work.put_nowait(number)

    async def work(self) -> None:
        """One number after the other."""
        while True:
            number = await self._work.get()
            if "deletionTimestamp" in number["metadata"]:
                await self._remove(number)
            else:
                await self._make(number)

    async def count(self) -> None:
        """Print the calls."""
        told = 0
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            if self._sip.calls != told:
                told = self._sip.calls
                print(CALLS, told, flush=True)

    async def _make(self, number: Object) -> None:
        metadata = number["metadata"]
        path = numbers_path(self._namespace, metadata["name"])
        if FINALIZER not in metadata.get("finalizers", ()):
            test = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
            add = {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}
            await self._kube.request("PATCH", path, [test, add], JSON_PATCH)
        ids = self._made[metadata["name"]] = await self._sip.create(number)
        await self._kube.request("PATCH", f"{path}/status", {"status": _status(number, ids)}, MERGE_PATCH)

    async def _remove(self, number: Object) -> None:
        metadata = number["metadata"]
        await self._sip.delete(self._made.pop(metadata["name"]))
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]
        await self._kube.request("PATCH", numbers_path(self._namespace, metadata["name"]), patch, JSON_PATCH)


def _status(number: Object, ids: Ids) -> dict[str, Any]:
    """What the operator would write, so that the API server has the same to do."""
    return {
        "observedGeneration": 1,
        "conditions": [
            _condition("Ready", "LiveKit is in step with this object."),
            _condition("CredentialsResolved", "The credentials are usable."),
        ],
        "carrier": "Twilio",
        "inboundTrunkId": ids.inbound,
        "outboundTrunkId": ids.outbound,
        "dispatchRuleId": ids.rule,
        "originationUri": "sip:sip.example.com;transport=tls",
        "liveKit": "127.0.0.1",
        "credentials": {
            "secretName": number["spec"]["sipPasswordSecretRef"]["name"],
            "resourceVersion": number["metadata"]["resourceVersion"],
            "sealed": False,
        },
    }


def _condition(kind: str, message: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": "Synced",
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


async def _run() -> None:
    environment = os.environ
    kubeconfig = Path(environment["KUBECONFIG"])
    livekit = (environment["LIVEKIT_URL"], environment["LIVEKIT_API_KEY"], environment["LIVEKIT_API_SECRET"])
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with Kube(kubeconfig, CONNECTIONS) as kube, Kube(kubeconfig, 1) as watch, Sip(*livekit) as sip:
        bare = Bare(kube, sip, environment["BENCH_NAMESPACE"])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(bare.watch(watch)), group.create_task(bare.count())]
            tasks += [group.create_task(bare.work()) for _ in range(CONNECTIONS)]
            await stopped.wait()
            for task in tasks:
                task.cancel()


if __name__ == "__main__":
    asyncio.run(_run())
