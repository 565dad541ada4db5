"""JSON schemas for kubeconform out of what an API server publishes, our CRD included.

kubeconform would download its own, which know no CRD; and the API server only warns of unknown fields.
"""

import json
from pathlib import Path
from typing import Any

_DEFINITIONS = "_definitions.json"


def write_strict_schemas(openapi: dict[str, Any], folder: Path) -> None:
    """Write `KIND-GROUP-VERSION.json` for every kind of an `/openapi/v2` answer; unknown fields are refused."""
    definitions = _strict(openapi["definitions"])
    (folder / _DEFINITIONS).write_text(json.dumps({"definitions": definitions}))
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            group = kind["group"].split(".")[0]
            label = "-".join(part for part in (kind["kind"], group, kind["version"]) if part)
            reference = {"$ref": f"{_DEFINITIONS}#/definitions/{name}"}
            (folder / f"{label.lower()}.json").write_text(json.dumps(reference))


def _strict(node: Any) -> Any:
    """A copy in which an object has no other fields than those it names."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _strict(value) for key, value in node.items()}
    if isinstance(reference := made.get("$ref"), str):
        made["$ref"] = reference.replace("#/", f"{_DEFINITIONS}#/", 1)
    if made.get("format") == "int-or-string":
        made["type"] = ["string", "integer"]
    open_to_any = made.get("x-kubernetes-preserve-unknown-fields")
    if made.get("type") == "object" and isinstance(made.get("properties"), dict) and not open_to_any:
        made.setdefault("additionalProperties", False)
    return made
