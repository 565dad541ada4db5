"""The two patch formats that the API server takes, as pure functions on JSON: RFC 7386 and RFC 6902."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


class PatchFailed(Exception):
    """A `test` failed, or a path does not exist."""


def merged(stored: Any, patch: Any) -> Any:
    """RFC 7386: objects are merged, null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_patched(stored: Mapping[str, Any], operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """RFC 6902's test, add, remove and replace, all or nothing. Raises `PatchFailed`."""
    result: dict[str, Any] = json.loads(json.dumps(stored))
    for operation in operations:
        _apply(result, operation)
    return result


def _apply(document: dict[str, Any], operation: Mapping[str, Any]) -> None:
    path = str(operation["path"])
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    parent: Any = document
    for part in parents:
        parent = _child(parent, part, path)
    match operation["op"]:
        case "test":
            if _child(parent, last, path) != operation["value"]:
                raise PatchFailed(f"testing value {path} failed")
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])
        case "add" | "replace":  # the API server also replaces a key that is not there
            parent[last] = operation["value"]
        case "replace" if isinstance(parent, list):
            _child(parent, last, path)
            parent[int(last)] = operation["value"]
        case "remove":
            _child(parent, last, path)
            del parent[int(last) if isinstance(parent, list) else last]
        case other:
            raise PatchFailed(f"operation {other} is not known")


def _child(parent: Any, part: str, path: str) -> Any:
    if isinstance(parent, Mapping) and part in parent:
        return parent[part]
    if isinstance(parent, list) and part.isdigit() and int(part) < len(parent):
        return parent[int(part)]
    raise PatchFailed(f"{path} does not exist")
