"""An API server in memory: the interface of `ClusterApi` for numbers, Secrets, Events, Leases and namespaces.

It behaves as kube-apiserver 1.37.2 in the points that the operator relies on: one resourceVersion for all objects,
generations, finalizers, merge patch and JSON patch, patches that change nothing. Not modelled: validation and defaults
of the CRD (an object may be older than the CRD), RBAC beyond `without`, pages of one version, managedFields. Both pass
`tests/contract/test_api_server.py`.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..api import names
from ..api.encoding import to_base64
from ..api.names import PLURAL
from ..errors import Failure
from .answers import Answer, Answered, asked, error_of, nobody_asks
from .fake_lists import Json, Refuse, page
from .fake_patch import PatchFailed, json_patched, merged
from .fake_store import UNSEEN, FakeCluster, Name, copied
from .port import JSON_PATCH
from .reading import Told, Unreadable, pass_over

__all__ = ["Fail", "FakeApi", "Hold", "Refuse", "Request"]

_OUTDATED = "the object has been modified; please apply your changes to the latest"


@dataclass(frozen=True, slots=True)
class Fail:
    """The request fails with `error`. `applied`: the request is carried out, and only the answer is lost."""

    error: Failure
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """The API server holds the request until the event `until`, then answers as usual."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the fake received."""

    method: str
    path: str
    resource: str
    body: Any = None
    content_type: str = "application/json"


class FakeApi(FakeCluster):
    """`port.JsonApi` over a `FakeCluster`. `wall`: epoch seconds, for timestamps.

    `requests`: how many came in, by method and resource; `writes`: those that were not GET, refused ones too;
    `garbled`: objects that are there and cannot be read; `events`: the Events that were posted; `admitting`: what a
    mutating webhook makes of a Secret in a dry run; `without`: verbs and resources that RBAC refuses; `logs`: the lines
    of pods, by namespace and name, `NAME previous` for those before a restart; `log_faults`: what the API server
    answers in their place, or until when it keeps such an answer open.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        super().__init__(wall)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.writes: list[Request] = []
        self.events: list[Json] = []
        self.admitting: Callable[[Json], Json] | None = None
        self._unreadable: Told = pass_over
        self.garbled: set[Name] = set()
        self.answered: Answered = nobody_asks
        self.without: set[tuple[str, str]] = set()
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.log_faults: dict[tuple[str, str], Refuse | Hold] = {}
        self._faults: list[tuple[Fail | Refuse | Hold, str | None, str | None]] = []

    # As ClusterApi

    async def close(self) -> None:
        """Nothing to close."""

    def listen(self, told: Told) -> None:
        """From now on `told` hears of every object that a LIST passes over."""
        self._unreadable = told

    async def request(
        self, method: str, path: str, *, resource: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """One request, its JSON answer. Raises `ApiRefused` or the error of a fault."""
        request = Request(method, path, resource, copied(body), content_type)
        self.requests[method, resource] += 1
        if method != "GET":
            self.writes.append(request)
        await asyncio.sleep(0)  # other tasks get their turn, as with a network between
        what = asked(method, path.partition("?")[0])
        try:
            answer = await self._faulty(request)
        except Refuse as refused:
            error = error_of(Answer(method, what, refused.status, resource, refused.said))
            self.answered(what, error)
            raise error or AssertionError(f"{refused.status} refuses nothing") from None
        self.answered(what, None)
        return answer

    async def _faulty(self, request: Request) -> Json:
        method, resource = request.method, request.resource
        match self._take_fault(method, resource):
            case Hold(until):
                await until.wait()
            case Refuse() as refusal:
                raise refusal
            case Fail(error, applied):
                if applied:
                    self._answer(request)
                raise replace(error)
        answer: Json = copied(self._answer(request))
        garbled = self._garbled(answer, resource.partition("/")[0])
        if garbled is not None:
            raise garbled
        return answer

    async def pages(self, path: str, resource: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Every object of a LIST."""
        token = ""
        while True:
            parameters = {**query} | ({"continue": token} if token else {})
            answer = await self.request("GET", f"{path}?{urlencode(parameters)}", resource=resource)
            for item in answer["items"]:
                garbled = self._garbled(item, resource)
                if garbled is None:
                    yield item
                else:
                    self._unreadable(garbled)
            token = answer["metadata"].get("continue", "")
            if not token:
                return

    async def lines(self, path: str, *, resource: str, silent_s: float | None) -> AsyncIterator[str]:  # noqa: ARG002 - as it is
        """The log of a pod, all of it: of the parameters of the request only `previous` is heeded."""
        what = asked("GET", path.partition("?")[0])
        name = f"{what.name} previous" if "previous=true" in path else what.name
        await asyncio.sleep(0)
        if ("get", what.resource) in self.without:
            words = f'pods "{what.name}" is forbidden: User "operator" cannot get resource "pods/log"'
            raise error_of(Answer("GET", what, HTTPStatus.FORBIDDEN, resource, {"message": words})) or AssertionError
        fault = self.log_faults.get((what.namespace, name))
        if isinstance(fault, Refuse):
            answer = Answer("GET", what, fault.status, resource, fault.said)
            raise error_of(answer) or AssertionError(f"{fault.status} refuses nothing")
        for line in self.logs.get((what.namespace, name), []):
            yield line
        if fault is not None:
            await fault.until.wait()

    def _garbled(self, answer: Json, resource: str) -> Unreadable | None:
        metadata = answer.get("metadata", {})
        name = (resource, metadata.get("namespace", ""), metadata.get("name", ""))
        if name not in self.garbled:
            return None
        return Unreadable("it is garbled", *name, version=metadata["resourceVersion"])

    # Faults

    def inject(self, fault: Fail | Refuse | Hold, method: str | None = None, resource: str | None = None) -> None:
        """Apply the fault to the next request of this method and resource (None: any)."""
        self._faults.append((fault, method, resource))

    # Answers

    def _answer(self, request: Request) -> Json:
        parts = urlsplit(request.path)
        what = asked(request.method, parts.path)
        if (what.verb, what.resource) in self.without:
            told = f'{what.resource} "{what.name}" is forbidden: User "operator" cannot {what.verb} resource'
            raise Refuse(HTTPStatus.FORBIDDEN, told)
        if what.resource == "selfsubjectaccessreviews":
            of = request.body["spec"]["resourceAttributes"]
            named = "/".join(filter(None, (of["resource"], of.get("subresource"))))
            return {"status": {"allowed": (of["verb"], named) not in self.without}}
        query = dict(parse_qsl(parts.query))
        match parts.path.strip("/").split("/"):
            case ["api", "v1", "namespaces", name]:
                return self._get(("namespaces", "", name))
            case ["apis", "admissionregistration.k8s.io", _, plural, name]:
                at = (plural, "", name)
                return self._get(at) if request.method == "GET" else self._patch(at, request, status=False)
            case ["api", "v1", *rest] | [
                "apis",
                names.GROUP | "events.k8s.io" | "coordination.k8s.io" | "apps",
                _,
                *rest,
            ]:
                return self._route(rest, query, request)
        raise _not_served()

    def _route(self, rest: list[str], query: Json, request: Request) -> Json:
        match rest:
            case [plural] if request.method == "GET":
                return self._list(plural, None, query)
            case ["namespaces", namespace, plural]:
                return self._of_collection(plural, namespace, query, request)
            case ["namespaces", namespace, plural, name, *subresource]:
                return self._of_object((plural, namespace, name), request, status=subresource == ["status"])
        raise _not_served()

    def _of_collection(self, plural: str, namespace: str, query: Json, request: Request) -> Json:
        match request.method:
            case "GET":
                return self._list(plural, namespace, query)
            case "POST" if plural == "events":
                return self._post_event(namespace, request)
            case "POST":
                return self._post(plural, namespace, request, dry="dryRun" in query)
        raise _not_served()

    def _of_object(self, at: Name, request: Request, *, status: bool) -> Json:
        match request.method:
            case "GET":
                return self._get(at)
            case "PATCH":
                return self._patch(at, request, status=status)
            case "PUT" if at[0] == "leases":
                return self._put_lease(at, request)
            case "DELETE":
                return self._delete(at)
        raise _not_served()

    def _get(self, at: Name) -> Json:
        if at not in self._objects:
            raise Refuse(HTTPStatus.NOT_FOUND, f'{at[0]} "{at[2]}" not found')
        return self._objects[at]

    def _list(self, plural: str, namespace: str | None, query: Json) -> Json:
        stored = [
            each for (kind, within, _), each in self._objects.items() if kind == plural and namespace in (None, within)
        ]
        if plural == "events":
            stored = [each for each in self.events if namespace in (None, each["metadata"]["namespace"])]
        return page(stored, query, self._version, self._oldest)

    def _patch(self, at: Name, request: Request, *, status: bool) -> Json:
        stored = self._get(at)
        try:
            if request.content_type == JSON_PATCH:
                wanted = json_patched(stored, request.body)
            else:
                wanted = merged(stored, request.body)
        except PatchFailed as exc:
            raise Refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
        if wanted["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise Refuse(HTTPStatus.CONFLICT, _OUTDATED, "Conflict")
        # A patch of the main resource never changes the status; a patch of /status changes nothing else.
        if "status" in stored:
            wanted = {**stored, "status": wanted["status"]} if status else {**wanted, "status": stored["status"]}
        if wanted["metadata"].get("uid") != stored["metadata"]["uid"]:
            raise Refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "metadata.uid: field is immutable", "Invalid")
        if _gains_finalizer(stored, wanted):
            raise Refuse(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "Forbidden: no new finalizers can be added if the object is being deleted",
            )
        return self._update(at, wanted)

    def _post_event(self, namespace: str, request: Request) -> Json:
        name = request.body["metadata"]["name"]
        if any(
            (event["metadata"]["namespace"], event["metadata"]["name"]) == (namespace, name) for event in self.events
        ):
            raise _taken("events", name)
        self.events.append(request.body)
        return dict(request.body)

    def _post(self, plural: str, namespace: str, request: Request, *, dry: bool) -> Json:
        """Create an object. A dry run is checked and not stored."""
        wanted = copied(request.body)
        metadata = wanted["metadata"]
        metadata["namespace"] = namespace
        metadata.setdefault("name", metadata.get("generateName", "") + "x7q9z")
        if (plural, namespace, metadata["name"]) in self._objects:
            raise _taken(plural, metadata["name"])
        if dry:
            return wanted if self.admitting is None else self.admitting(wanted)
        if plural == PLURAL:
            wanted["status"] = dict(UNSEEN)
        elif plural == "secrets":
            given = {key: to_base64(value) for key, value in wanted.pop("stringData", {}).items()}
            wanted |= {"type": wanted.get("type", "Opaque"), "data": wanted.get("data", {}) | given}
        return self._create(plural, wanted)

    def _put_lease(self, at: Name, request: Request) -> Json:
        """Replace the Lease if it still has the version that was read. Create it if it is gone."""
        stored, version = self._objects.get(at), request.body["metadata"].get("resourceVersion")
        if stored is None:
            return self._post("leases", at[1], request, dry=False)
        if not version:
            told = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
            raise Refuse(HTTPStatus.UNPROCESSABLE_ENTITY, told, "Invalid")
        if version != stored["metadata"]["resourceVersion"]:
            raise Refuse(HTTPStatus.CONFLICT, _OUTDATED, "Conflict")
        given = {key: request.body["metadata"].get(key, {}) for key in ("annotations", "labels")}
        metadata = {**stored["metadata"], **given}
        return self._update(at, {**stored, "metadata": metadata, "spec": copied(request.body["spec"])})

    def _delete(self, at: Name) -> Json:
        stored = self._get(at)
        if at[0] == PLURAL:
            self.delete(*at[1:])
        else:
            self._remove(at)
        return stored

    def _take_fault(self, method: str, resource: str) -> Fail | Refuse | Hold | None:
        for position, (fault, for_method, for_resource) in enumerate(self._faults):
            if for_method in (None, method) and for_resource in (None, resource):
                del self._faults[position]
                return fault
        return None


def _gains_finalizer(stored: Json, wanted: Json) -> bool:
    gained = set(wanted["metadata"].get("finalizers") or ()) - set(stored["metadata"].get("finalizers") or ())
    return "deletionTimestamp" in stored["metadata"] and bool(gained)


def _not_served() -> Refuse:
    return Refuse(HTTPStatus.NOT_FOUND, "the server could not find the requested resource", "NotFound")


def _taken(plural: str, name: str) -> Refuse:
    return Refuse(HTTPStatus.CONFLICT, f'{plural} "{name}" already exists', "AlreadyExists")
