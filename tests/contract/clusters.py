"""The two API servers that have to behave alike, and what a test needs of each beside requests."""

import asyncio
import base64
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from byoc_operator.api.names import GROUP, PLURAL, VERSION
from byoc_operator.cluster.api import connect_as_user
from byoc_operator.cluster.connection import Access
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.cluster.port import JsonApi
from byoc_operator.cluster.secrets import LABEL_SELECTOR
from testbed.bed import Bed

Json = dict[str, Any]
NOBODY = "nobody"


class Cluster(Protocol):
    """An API server with the CRD, and a namespace for the test."""

    namespace: str

    @property
    def api(self) -> JsonApi:
        """Requests as administrator."""
        ...

    @property
    def lacking(self) -> JsonApi:
        """Requests as a user who may only read namespaces."""
        ...

    async def watched(self, plural: str, since: str) -> list[tuple[str, Json]]:
        """What a watch tells of our namespace after a resourceVersion: type and object. Of Secrets: the labelled."""
        ...

    async def forget_versions(self) -> None:
        """Nothing older than now can be read any more."""
        ...


class FakeSide:
    """The API server in memory."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.lacking = FakeApi()
        self.lacking.without = {
            *((verb, PLURAL) for verb in ("get", "list", "patch")),
            *((verb, "secrets") for verb in ("get", "list", "create")),
            *((verb, resource) for verb in ("create", "update") for resource in ("events", "leases")),
            ("patch", f"{PLURAL}/status"),
        }
        self.namespace = "voice"
        self._told: dict[str, list[tuple[str, Json]]] = {PLURAL: [], "secrets": []}
        self.api.watch_numbers.append(lambda type_, raw: self._told[PLURAL].append((type_, raw)))
        self.api.watch_secrets.append(lambda type_, raw: self._told["secrets"].append((type_, raw)))

    async def watched(self, plural: str, since: str) -> list[tuple[str, Json]]:
        """What was told later than a resourceVersion."""
        await asyncio.sleep(0)
        return [each for each in self._told[plural] if int(each[1]["metadata"]["resourceVersion"]) > int(since)]

    async def forget_versions(self) -> None:
        """Compact."""
        self.api.compact()


class RealSide:
    """The test bed's API server."""

    def __init__(self, bed: Bed, api: JsonApi, lacking: JsonApi, namespace: str) -> None:
        self._bed = bed
        self.api = api
        self.lacking = lacking
        self.namespace = namespace

    async def watched(self, plural: str, since: str) -> list[tuple[str, Json]]:
        """A watch that the API server ends after a second."""
        base = f"/apis/{GROUP}/{VERSION}" if plural == PLURAL else "/api/v1"
        selector = "" if plural == PLURAL else f"&labelSelector={LABEL_SELECTOR}"
        query = f"watch=true&resourceVersion={since}&timeoutSeconds=1{selector}"
        path = f"{base}/namespaces/{self.namespace}/{plural}?{query}"
        done = await asyncio.to_thread(self._bed.kubectl, "get", "--raw", path)
        return [(event["type"], event["object"]) for event in map(json.loads, done.stdout.splitlines())]

    async def forget_versions(self) -> None:
        """Have etcd compacted, as the API server does every five minutes."""
        found = await self.api.request("GET", f"/api/v1/namespaces/{self.namespace}/secrets", resource="lists")
        body = json.dumps({"revision": found["metadata"]["resourceVersion"], "physical": True}).encode()
        request = urllib.request.Request(f"{self._bed.etcd.url}/v3/kv/compaction", body)  # noqa: S310 - it is http
        with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10) as answer:
            assert answer.status == 200


@asynccontextmanager
async def real_side(bed: Bed, namespace: str) -> AsyncIterator[RealSide]:
    """The test bed's API server, as administrator and as a service account without rights."""
    bed.kubectl("create", "serviceaccount", NOBODY, f"--namespace={namespace}")
    bed.kubectl("create", "clusterrole", "sees-namespaces", "--verb=get", "--resource=namespaces", check=False)
    account = f"--serviceaccount={namespace}:{NOBODY}"
    bed.kubectl(
        "create", "clusterrolebinding", f"sees-namespaces-{namespace}", "--clusterrole=sees-namespaces", account
    )
    api, _ = await connect_as_user(Access(str(bed.kubeconfig)))
    lacking, _ = await connect_as_user(Access(str(bed.service_account_kubeconfig(namespace, NOBODY))))
    try:
        yield RealSide(bed, api, lacking, namespace)
    finally:
        await api.close()
        await lacking.close()


def with_version(token: str, version: int) -> str:
    """A continue token for an older version of the list. Tokens are base64 of JSON, without padding."""
    place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps(place | {"rv": version}).encode()).decode().rstrip("=")
