"""What commands read of a cluster, and the annotations that they write; all of it bounded in time and in size."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from ..api.conditions import Reason
from ..api.grammar import is_object_name
from ..api.names import GROUP, PLURAL, VERSION
from ..api.resource import Key, PhoneNumber, parse
from ..cluster.answers import NotFound
from ..cluster.port import MERGE_PATCH, UserApi
from ..cluster.reading import Unreadable
from ..errors import Unavailable
from .exit_codes import ExitCode, Refused
from .naming import CALLED, NUMBER, named

MAX_OBJECTS = 100_000
"""Objects of one list that a command reads: ten times what one operator is measured with."""

_NUMBERS = f"/apis/{GROUP}/{VERSION}"

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which numbers: those of `namespace`, or of all, that have the labels of `selector`."""

    namespace: str
    everywhere: bool = False
    selector: str = ""

    def path(self, base: str, plural: str) -> str:
        """The path of a LIST."""
        return f"{base}/{plural}" if self.everywhere else f"{base}/namespaces/{self.namespace}/{plural}"

    def nowhere(self, what: str) -> str:
        """The sentence that `what` is not among these numbers, and where it was looked for."""
        labels = f" with the labels {self.selector}" if self.selector else ""
        where = "any namespace" if self.everywhere else f"the namespace {self.namespace}; -A looks in all namespaces"
        return f"there is no {what}{labels} in {where}"


class Cluster:
    """The API server as commands see it. `unread`: objects that a list passed over, and why.

    Raises OperatorError: the classes of `cluster.answers`, `Unavailable`, `Refused` with a sentence of our own.
    """

    def __init__(self, api: UserApi, scope: Scope, timeout_s: float) -> None:
        self.api = api
        self.scope = scope
        self.unread: dict[str, str] = {}
        self._timeout_s = timeout_s
        api.listen(self._pass_over)

    @property
    def namespace(self) -> str:
        """The namespace of the option or of the context."""
        return self.scope.namespace

    # Numbers

    async def numbers(self, fields: str = "") -> AsyncIterator[PhoneNumber]:
        """The numbers of the scope. `fields`: a field selector."""
        selectors = {"labelSelector": self.scope.selector, "fieldSelector": fields}
        query = {name: text for name, text in selectors.items() if text}
        try:
            async for raw in self._listed(self.scope.path(_NUMBERS, PLURAL), PLURAL, query):
                yield parse(raw)
        except NotFound as exc:
            raise Refused("the cluster has no ByocPhoneNumbers: the operator's CRD is not installed") from exc

    async def found(self, text: str) -> list[PhoneNumber]:
        """The object called `text`, or all objects of the scope with number or alias `text` (`+…`); at least one."""
        if text.startswith("+"):
            several = await self.called(text)
            if not several:
                raise Refused(self.scope.nowhere(f"ByocPhoneNumber {text}"))
            return several
        named("NAME", text, NUMBER)
        if self.scope.everywhere:
            raise Refused(f"the name {text} needs -n NAMESPACE; -A goes with a phone number (+…)", ExitCode.USAGE)
        return [await self.number(Key(self.namespace, text))]

    async def called(self, text: str) -> list[PhoneNumber]:
        """The objects of the scope with this phone number (`+…`); if there are none, those with it as an alias."""
        named("the phone number", text, CALLED)
        several = [each async for each in self.numbers(f"spec.phoneNumber={text}")]
        return several or [each async for each in self.numbers() if each.names(text)]

    async def number(self, key: Key) -> PhoneNumber:
        """One object by name."""
        named("NAME", key.name, NUMBER)
        try:
            return parse(await self.get(f"{_NUMBERS}/namespaces/{key.namespace}/{PLURAL}/{key.name}", PLURAL))
        except NotFound as exc:
            message = f"there is no ByocPhoneNumber {key.namespace}/{key.name}; `kubectl byoc status -A` shows all"
            raise Refused(message) from exc

    async def present(self, key: Key) -> PhoneNumber | None:
        """One object as it is now, None if there is none."""
        raw = await self.optional(f"{_NUMBERS}/namespaces/{key.namespace}/{PLURAL}/{key.name}", PLURAL)
        return None if raw is None else parse(raw)

    async def annotate(self, number: PhoneNumber, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of this very object, not of a successor with its name. None takes one away."""
        body = {"metadata": {"uid": number.uid, "annotations": dict(annotations)}}
        path = f"{_NUMBERS}/namespaces/{number.key.namespace}/{PLURAL}/{number.key.name}"
        await self.api.request("PATCH", path, resource=PLURAL, body=body, content_type=MERGE_PATCH)

    # What stands around them

    async def secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A Secret, None if there is none."""
        return await self._one(f"/api/v1/namespaces/{namespace}", "secrets", name)

    async def config_map(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A ConfigMap, None if there is none."""
        return await self._one(f"/api/v1/namespaces/{namespace}", "configmaps", name)

    async def lease(self, namespace: str, name: str) -> dict[str, Any] | None:
        """A Lease, None if there is none."""
        return await self._one(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}", "leases", name)

    async def deployments(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        """The Deployments with some labels."""
        return await self._all(f"/apis/apps/v1/namespaces/{namespace}/deployments", "deployments", labels)

    async def pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        """The pods with some labels."""
        return await self._all(f"/api/v1/namespaces/{namespace}/pods", "pods", labels)

    async def events(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """The Events about the objects of a name, oldest first."""
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        query = {"fieldSelector": f"regarding.name={name}"}
        found = [each async for each in self._listed(path, "events", query)]
        return sorted(found, key=lambda event: str(event.get("eventTime") or ""))

    def listed(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """The objects of any LIST, as they are stored."""
        return self._listed(path, resource, query)

    async def stored_numbers(self) -> list[dict[str, Any]]:
        """The numbers of the scope, as they are stored."""
        query = {"labelSelector": self.scope.selector} if self.scope.selector else {}
        return [each async for each in self._listed(self.scope.path(_NUMBERS, PLURAL), PLURAL, query)]

    async def pod_text(self, namespace: str, pod: str, port: int, path: str) -> AsyncIterator[str]:
        """The lines that a pod answers on a port, through the API server."""
        url = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}"
        async for line in self.api.lines(url, resource="pods/proxy", silent_s=self._timeout_s):
            yield line

    def log(self, namespace: str, pod: str, query: Mapping[str, str], silent_s: float | None) -> AsyncIterator[str]:
        """The log of a pod, line by line. `query`: of the API (`tailLines`, `sinceSeconds`, `follow`, …)."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log?{urlencode(query)}"
        return self.api.lines(path, resource="pods/log", silent_s=silent_s)

    async def get(self, path: str, resource: str) -> dict[str, Any]:
        """One object."""
        return await self.api.request("GET", path, resource=resource)

    async def optional(self, path: str, resource: str) -> dict[str, Any] | None:
        """One object, None if there is none."""
        try:
            return await self.get(path, resource)
        except NotFound:
            return None

    async def _one(self, base: str, resource: str, name: str) -> dict[str, Any] | None:
        """An object with a name that somebody wrote into another object. Such a name must not lead to another path."""
        if not is_object_name(name):
            raise Refused(f"its name is not one of {resource}")
        return await self.optional(f"{base}/{resource}/{name}", resource)

    async def _all(self, path: str, resource: str, labels: str) -> list[dict[str, Any]]:
        return [each async for each in self._listed(path, resource, {"labelSelector": labels})]

    async def _listed(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """The objects of a LIST. Raises `Unavailable` where the next one takes too long."""
        count = 0
        async for raw in _patient(self.api.pages(path, resource, query), self._timeout_s):
            count += 1
            if count > MAX_OBJECTS:
                raise Refused(f"there are more than {MAX_OBJECTS} {resource}; narrow it with -n or -l", ExitCode.USAGE)
            yield raw

    def _pass_over(self, found: Unreadable) -> None:
        self.unread[found.where] = found.message


async def _patient(items: AsyncIterator[_Item], timeout_s: float) -> AsyncIterator[_Item]:
    """The items, as long as none takes longer than `timeout_s`."""
    while True:
        try:
            async with asyncio.timeout(timeout_s or None):
                item = await anext(items)
        except StopAsyncIteration:
            return
        except TimeoutError as exc:
            message = f"the API server does not answer within {timeout_s:.0f} s; see --request-timeout"
            raise Unavailable(Reason.KUBERNETES_UNAVAILABLE, message) from exc
        yield item
