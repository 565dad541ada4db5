"""The storage of the fake API server: objects with versions, generations, finalizers and watches.

Its public methods do for tests what users and other controllers do. Requests are in `fake`.
"""

import asyncio
import base64
import itertools
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..api.names import FINALIZER, GROUP, KIND, PLURAL, VERSION
from .fake_lists import Json, selected
from .fake_patch import merged
from .secrets import LABEL_SELECTOR

Name = tuple[str, str, str]
"""Plural, namespace and name of a stored object."""

Watcher = Callable[[str, Json], None]
"""Called with ADDED, MODIFIED or DELETED and the object, one turn of the event loop after the change."""

UNSEEN = {"observedGeneration": -1}
"""The status of a new object, by the default of the CRD."""


class FakeCluster:
    """A cluster with the namespace kube-system and nothing else. `wall`: epoch seconds, for timestamps.

    `watch_numbers`, `watch_secrets`: called with changes.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.watch_numbers: list[Watcher] = []
        self.watch_secrets: list[Watcher] = []
        self._wall = wall
        self._version = 1000
        self._oldest = 0
        self._uids = itertools.count(1)
        self._objects: dict[Name, Json] = {}
        self._create("namespaces", {"metadata": {"namespace": "", "name": "kube-system"}})

    # What users and other controllers do

    def number(self, namespace: str, name: str) -> Json | None:
        """A number as stored, None if there is none; not a request."""
        stored = self._objects.get((PLURAL, namespace, name))
        return None if stored is None else _of(stored)

    def numbers(self) -> list[Json]:
        """All numbers as stored."""
        return [copied(stored) for (plural, _, _), stored in self._objects.items() if plural == PLURAL]

    def apply(self, manifest: Mapping[str, Any]) -> Json:
        """Create a number, or replace its spec and add to its annotations."""
        metadata = manifest["metadata"]
        at = (PLURAL, metadata["namespace"], metadata["name"])
        if at not in self._objects:
            head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND}
            return self._create(PLURAL, {**head, **copied(dict(manifest)), "status": dict(UNSEEN)})
        wanted = copied(self._objects[at])
        wanted["spec"] = copied(dict(manifest["spec"]))
        wanted["metadata"]["annotations"] = wanted["metadata"].get("annotations", {}) | dict(
            metadata.get("annotations", {})
        )
        return self._update(at, wanted)

    def edit(self, namespace: str, name: str, **fields: Any) -> Json:
        """Change fields of a number's spec; None removes a field."""
        return self._merge(namespace, name, {"spec": fields})

    def annotate(self, namespace: str, name: str, **annotations: str | None) -> Json:
        """Set annotations of ours (`force_orphan` is byoc.talkifai.dev/force-orphan); None removes one."""
        ours = {f"{GROUP}/{key.replace('_', '-')}": value for key, value in annotations.items()}
        return self._merge(namespace, name, {"metadata": {"annotations": ours}})

    def wipe_status(self, namespace: str, name: str) -> Json:
        """Empty the status, as a restore from a backup does."""
        wanted = copied(self._objects[PLURAL, namespace, name]) | {"status": dict(UNSEEN)}
        return self._update((PLURAL, namespace, name), wanted)

    def strip_finalizer(self, namespace: str, name: str) -> Json:
        """Remove our finalizer without the operator."""
        finalizers = self._objects[PLURAL, namespace, name]["metadata"].get("finalizers", [])
        kept = [each for each in finalizers if each != FINALIZER]
        return self._merge(namespace, name, {"metadata": {"finalizers": kept or None}})

    def delete(self, namespace: str, name: str) -> None:
        """Delete a number; if it has finalizers, set its deletionTimestamp. A second call changes nothing."""
        at = (PLURAL, namespace, name)
        stored = self._objects[at]
        if not stored["metadata"].get("finalizers"):
            self._remove(at)
        elif "deletionTimestamp" not in stored["metadata"]:
            wanted = copied(stored)
            wanted["metadata"]["deletionTimestamp"] = self._now()
            self._update(at, wanted)

    def put_secret(
        self,
        namespace: str,
        name: str,
        values: Mapping[str, str | bytes],
        *,
        watched: bool = True,
        type_: str = "Opaque",
    ) -> Json:
        """Create or replace a Secret. `watched`: it carries our label."""
        data = {key: base64.b64encode(_bytes(value)).decode() for key, value in values.items()}
        key, _, value = LABEL_SELECTOR.partition("=")
        secret: Json = {
            "metadata": {"namespace": namespace, "name": name, "labels": {key: value} if watched else {}},
            "type": type_,
            "data": data,
        }
        at = ("secrets", namespace, name)
        if at not in self._objects:
            return self._create("secrets", secret)
        kept = {**self._objects[at]["metadata"], "labels": secret["metadata"]["labels"]}
        return self._update(at, {**secret, "metadata": copied(kept)})

    def delete_secret(self, namespace: str, name: str) -> None:
        """Delete a Secret."""
        self._remove(("secrets", namespace, name))

    def lease(self, namespace: str, name: str) -> Json | None:
        """A Lease as stored, None if there is none; not a request."""
        stored = self._objects.get(("leases", namespace, name))
        return None if stored is None else _of(stored)

    def edit_lease(self, namespace: str, name: str, **fields: Any) -> None:
        """Change fields of a Lease's spec as another process does."""
        at = ("leases", namespace, name)
        self._update(at, merged(self._objects[at], {"spec": fields}))

    def delete_lease(self, namespace: str, name: str) -> None:
        """Delete a Lease."""
        self._remove(("leases", namespace, name))

    def compact(self) -> None:
        """Forget all versions but the newest, so that older continue tokens are too old."""
        self._oldest = self._version

    # Storage

    def _create(self, plural: str, wanted: Json) -> Json:
        metadata = wanted["metadata"]
        if plural == PLURAL:
            metadata["generation"] = 1
        metadata |= {
            "uid": f"uid-{next(self._uids)}",
            "creationTimestamp": self._now(),
            "resourceVersion": self._next_version(),
        }
        _drop_empty(metadata)
        self._objects[plural, wanted["metadata"]["namespace"], wanted["metadata"]["name"]] = wanted
        self._tell(plural, "ADDED", wanted, wanted)
        return _of(wanted)

    def _update(self, at: Name, wanted: Json) -> Json:
        stored, wanted = self._objects[at], copied(wanted)
        metadata = wanted["metadata"]
        _drop_empty(metadata)
        if wanted == stored:
            return _of(stored)
        marked = ("deletionTimestamp" in metadata) != ("deletionTimestamp" in stored["metadata"])
        # A new deletionTimestamp raises the generation, too.
        if at[0] == PLURAL:
            metadata["generation"] += wanted.get("spec") != stored.get("spec") or marked
        metadata["resourceVersion"] = self._next_version()
        self._objects[at] = wanted
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self._remove(at)
        else:
            self._tell(at[0], "MODIFIED", stored, wanted)
        return _of(wanted)

    def _remove(self, at: Name) -> None:
        stored = self._objects.pop(at)
        last = copied(stored)
        last["metadata"]["resourceVersion"] = self._next_version()
        self._tell(at[0], "DELETED", stored, last)

    def _merge(self, namespace: str, name: str, patch: Json) -> Json:
        at = (PLURAL, namespace, name)
        return self._update(at, merged(self._objects[at], patch))

    def _tell(self, plural: str, type_: str, before: Json, after: Json) -> None:
        if plural == PLURAL:
            self._deliver(self.watch_numbers, type_, after)
        elif plural == "secrets":
            was, is_ = (selected(each, LABEL_SELECTOR) for each in (before, after))
            if was or is_:
                # A watch with a selector reports an object as ADDED when it begins to match, as DELETED when it ends.
                told = type_ if was and is_ else ("ADDED" if is_ else "DELETED")
                self._deliver(self.watch_secrets, told, after)

    @staticmethod
    def _deliver(watchers: list[Watcher], type_: str, raw: Json) -> None:
        for watcher in watchers:
            asyncio.get_running_loop().call_soon(watcher, type_, copied(raw))

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _drop_empty(metadata: Json) -> None:
    for name in ("annotations", "finalizers", "labels"):
        if not metadata.get(name, True):
            del metadata[name]


def copied(value: Any) -> Any:
    """A copy of a value by JSON, as over a network. Raises TypeError if the value is not JSON."""
    return json.loads(json.dumps(value))


def _of(stored: Json) -> Json:
    """A copy that the caller may change."""
    own: Json = copied(stored)
    return own


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
