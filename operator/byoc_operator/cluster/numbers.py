"""Reads `ByocPhoneNumber` objects and writes their status and finalizer. Answers are raw JSON, for `Cache.seen`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ..api.names import FINALIZER, GROUP, PLURAL, VERSION
from ..api.resource import Key, PhoneNumber
from .answers import NotFound
from .port import JSON_PATCH, MERGE_PATCH, JsonApi

_BASE = f"/apis/{GROUP}/{VERSION}"


def scopes(base: str, namespaces: Sequence[str], plural: str) -> list[str]:
    """The LIST paths of these namespaces; one path for all namespaces if there are none."""
    if not namespaces:
        return [f"{base}/{plural}"]
    return [f"{base}/namespaces/{namespace}/{plural}" for namespace in namespaces]


class NumberApi:
    """Reads and writes numbers. Raises `ApiRefused` and `Unavailable`."""

    def __init__(self, api: JsonApi, namespaces: Sequence[str]) -> None:
        self._api = api
        self._namespaces = namespaces

    async def all(self) -> AsyncIterator[dict[str, Any]]:
        """Every number in the watched namespaces."""
        for path in scopes(_BASE, self._namespaces, PLURAL):
            async for raw in self._api.pages(path, PLURAL, {}):
                yield raw

    async def get(self, key: Key) -> dict[str, Any] | None:
        """One number; None if there is none."""
        try:
            return await self._api.request("GET", _path(key), resource=PLURAL)
        except NotFound:
            return None

    async def patch_status(self, number: PhoneNumber, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge-patch the status. Returns the object as stored.

        The API server does not compare the UID. If the object was replaced by a new one of the same name, the patch
        changes the status of the new object, whose first run then writes it again.
        """
        return await self._api.request(
            "PATCH",
            f"{_path(number.key)}/status",
            resource=f"{PLURAL}/status",
            body={"metadata": {"uid": number.uid}, "status": patch},
            content_type=MERGE_PATCH,
        )

    async def add_finalizer(self, number: PhoneNumber) -> dict[str, Any]:
        """Add our finalizer, if the object still has the version that was assessed. Returns the object as stored."""
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": str(number.resource_version)},
        ]
        if number.finalizers:
            patch.append({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
        else:
            patch.append({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
        return await self._patch(number.key, patch)

    async def remove_finalizer(self, number: PhoneNumber) -> dict[str, Any]:
        """Remove our finalizer, even if other parts of the object have changed. Returns the object as stored."""
        index = number.finalizer_at
        return await self._patch(
            number.key,
            [
                {"op": "test", "path": "/metadata/uid", "value": number.uid},
                {"op": "test", "path": f"/metadata/finalizers/{index}", "value": FINALIZER},
                {"op": "remove", "path": f"/metadata/finalizers/{index}"},
            ],
        )

    async def _patch(self, key: Key, patch: list[dict[str, Any]]) -> dict[str, Any]:
        return await self._api.request("PATCH", _path(key), resource=PLURAL, body=patch, content_type=JSON_PATCH)


def _path(key: Key) -> str:
    return f"{_BASE}/namespaces/{key.namespace}/{PLURAL}/{key.name}"
