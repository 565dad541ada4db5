"""An API server in memory: `ClusterApi`'s interface over numbers, Secrets, Events, Leases and namespaces.

As kube-apiserver 1.37.2 does it where we rely on it: one resourceVersion for all objects, generations, finalizers,
merge patch and JSON patch, patches that change nothing. Not modelled: validation and defaults of the CRD (an object
may be older than the CRD), RBAC, pages, managedFields.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..api import names
from ..api.conditions import Reason
from ..errors import Failure
from .api import JSON_PATCH, ApiRefused
from .fake_patch import PatchFailed, json_patched, merged
from .fake_store import FakeCluster, Json, Name, copied, selected
from .reading import Told, Unreadable, pass_over
from .refusals import Answered, asked, is_missing_right, nobody_asks

FORBIDDEN, NOT_FOUND, CONFLICT, INVALID = 403, 404, 409, 422


@dataclass(frozen=True, slots=True)
class Fail:
    """The request fails with `error`; if `applied`, it did its work and only the answer got lost."""

    error: Failure
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """The API server holds the request until the event `until`, then answers as usual."""

    until: asyncio.Event


@dataclass(frozen=True, slots=True)
class Request:
    """What came in."""

    method: str
    path: str
    resource: str
    body: Any = None
    content_type: str = "application/json"


class FakeApi(FakeCluster):
    """`port.JsonApi` over a `FakeCluster`. `wall`: epoch seconds, for timestamps.

    `requests`: how many came in, by method and resource; `writes`: those that were not GET, refused ones too;
    `garbled`: objects that are there and cannot be read; `events`: the Events that were posted; `admitting`: what a
    mutating webhook makes of a Secret in a dry run; `without`: verbs and resources that RBAC refuses.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        super().__init__(wall)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.writes: list[Request] = []
        self.events: list[Json] = []
        self.admitting: Callable[[Json], Json] | None = None
        self.unreadable: Told = pass_over
        self.garbled: set[Name] = set()
        self.answered: Answered = nobody_asks
        self.without: set[tuple[str, str]] = set()
        self._faults: list[tuple[Fail | Hold, str | None, str | None]] = []

    # As ClusterApi

    async def close(self) -> None:
        """Nothing to close."""

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
        except ApiRefused as exc:
            words = exc.message.partition(f"{exc.status}: ")[2]
            self.answered(what, exc.status, words)
            raise replace(exc, missing_right=is_missing_right(what, exc.status, words)) from None
        self.answered(what, 200, "")
        return answer

    async def _faulty(self, request: Request) -> Json:
        method, resource = request.method, request.resource
        match self._take_fault(method, resource):
            case Hold(until):
                await until.wait()
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
        chosen = "&".join(f"{key}={value}" for key, value in query.items())
        answer = await self.request("GET", f"{path}?{chosen}", resource=resource)
        for item in answer["items"]:
            garbled = self._garbled(item, resource)
            if garbled is None:
                yield item
            else:
                self.unreadable(garbled)

    def _garbled(self, answer: Json, resource: str) -> Unreadable | None:
        metadata = answer.get("metadata", {})
        name = (resource, metadata.get("namespace", ""), metadata.get("name", ""))
        if name not in self.garbled:
            return None
        return Unreadable("it is garbled", *name, version=metadata["resourceVersion"])

    # What can go wrong

    def inject(self, fault: Fail | Hold, method: str | None = None, resource: str | None = None) -> None:
        """Do this to the next request of the method and resource (None: any)."""
        self._faults.append((fault, method, resource))

    # Answers

    def _answer(self, request: Request) -> Json:
        parts = urlsplit(request.path)
        what = asked(request.method, parts.path)
        if (what.verb, what.resource) in self.without:
            told = f'{what.resource} "{what.name}" is forbidden: User "operator" cannot {what.verb} resource'
            raise _refused(request, FORBIDDEN, told)
        if what.resource == "selfsubjectaccessreviews":
            of = request.body["spec"]["resourceAttributes"]
            named = "/".join(filter(None, (of["resource"], of.get("subresource"))))
            return {"status": {"allowed": (of["verb"], named) not in self.without}}
        selector = parse_qs(parts.query).get("labelSelector", [""])[0]
        match parts.path.strip("/").split("/"):
            case ["api", "v1", "namespaces", name]:
                return self._get(("namespaces", "", name), request)
            case ["apis", "admissionregistration.k8s.io", _, plural, name]:
                at = (plural, "", name)
                return self._get(at, request) if request.method == "GET" else self._patch(at, request, status=False)
            case ["api", "v1", *rest] | [
                "apis",
                names.GROUP | "events.k8s.io" | "coordination.k8s.io",
                _,
                *rest,
            ]:
                return self._route(rest, selector, request)
        raise _refused(request, NOT_FOUND, "the server could not find the requested resource")

    def _route(self, rest: list[str], selector: str, request: Request) -> Json:
        match request.method, rest:
            case "POST", ["namespaces", namespace, "events"]:
                return self._post_event(namespace, request)
            case "GET", ["namespaces", namespace, plural]:
                return self._list(plural, namespace, selector)
            case "GET", [plural]:
                return self._list(plural, None, selector)
            case "GET", ["namespaces", namespace, plural, name]:
                return self._get((plural, namespace, name), request)
            case "POST" | "PUT", ["namespaces", namespace, "secrets" | "leases" as plural, *name]:
                write = self._post_secret if plural == "secrets" else self._write_lease
                return write(namespace, request, *name)
            case "PATCH", ["namespaces", namespace, plural, name, *subresource]:
                return self._patch((plural, namespace, name), request, status=subresource == ["status"])
        raise _refused(request, NOT_FOUND, "the server could not find the requested resource")

    def _get(self, at: Name, request: Request) -> Json:
        if at not in self._objects:
            raise _refused(request, NOT_FOUND, f'{at[0]} "{at[2]}" not found')
        return self._objects[at]

    def _list(self, plural: str, namespace: str | None, selector: str) -> Json:
        items = [
            stored
            for (kind, within, _), stored in self._objects.items()
            if kind == plural and namespace in (None, within) and selected(stored, selector)
        ]
        return {"items": items, "metadata": {}}

    def _patch(self, at: Name, request: Request, *, status: bool) -> Json:
        stored = self._get(at, request)
        try:
            if request.content_type == JSON_PATCH:
                wanted = json_patched(stored, request.body)
            else:
                wanted = merged(stored, request.body)
        except PatchFailed as exc:
            raise _refused(request, INVALID, str(exc)) from exc
        if wanted["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
            raise _refused(request, CONFLICT, "the object has been modified; please apply your changes to the latest")
        # The main resource never changes the status, the subresource nothing else.
        if "status" in stored:
            wanted = {**stored, "status": wanted["status"]} if status else {**wanted, "status": stored["status"]}
        if _gains_finalizer(stored, wanted):
            raise _refused(request, INVALID, "Forbidden: no new finalizers can be added if the object is being deleted")
        return self._update(at, wanted)

    def _post_event(self, namespace: str, request: Request) -> Json:
        name = request.body["metadata"]["name"]
        if any(
            (event["metadata"]["namespace"], event["metadata"]["name"]) == (namespace, name) for event in self.events
        ):
            raise _refused(request, CONFLICT, f'events "{name}" already exists')
        self.events.append(request.body)
        return dict(request.body)

    def _post_secret(self, namespace: str, request: Request) -> Json:
        """A dry run is checked and not kept."""
        name = str(request.body["metadata"].get("name") or request.body["metadata"]["generateName"] + "x7q9z")
        if ("secrets", namespace, name) in self._objects:
            raise _refused(request, CONFLICT, f'secrets "{name}" already exists')
        wanted = copied(request.body)
        wanted["metadata"]["namespace"] = namespace
        if parse_qs(urlsplit(request.path).query).get("dryRun") == ["All"]:
            return wanted if self.admitting is None else self.admitting(wanted)
        return self._create("secrets", wanted)

    def _write_lease(self, namespace: str, request: Request, name: str = "") -> Json:
        """POST where there is none, PUT (with a name) over the very version that was read."""
        at = ("leases", namespace, name or str(request.body["metadata"]["name"]))
        if not name:
            if at in self._objects:
                raise _refused(request, CONFLICT, f'leases "{at[2]}" already exists')
            return self._create("leases", copied(request.body))
        stored = self._get(at, request)
        if request.body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]:
            raise _refused(request, CONFLICT, "the object has been modified; please apply your changes to the latest")
        given = {key: request.body["metadata"].get(key, {}) for key in ("annotations", "labels")}
        metadata = {**stored["metadata"], **given}
        return self._update(at, {**stored, "metadata": metadata, "spec": copied(request.body["spec"])})

    def _take_fault(self, method: str, resource: str) -> Fail | Hold | None:
        for position, (fault, for_method, for_resource) in enumerate(self._faults):
            if for_method in (None, method) and for_resource in (None, resource):
                del self._faults[position]
                return fault
        return None


def _gains_finalizer(stored: Json, wanted: Json) -> bool:
    gained = set(wanted["metadata"].get("finalizers") or ()) - set(stored["metadata"].get("finalizers") or ())
    return "deletionTimestamp" in stored["metadata"] and bool(gained)


def _refused(request: Request, status: int, told: str) -> ApiRefused:
    message = f"{request.method} {request.resource}: {status}: {told}"
    return ApiRefused(Reason.KUBERNETES_REFUSED, message, status=status)
