"""Makes structural schemas of the models: the OpenAPI that a CRD may use, without `$ref`, `title` and `null`."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from .schema import PhoneNumberSpec
from .schema_status import StatusModel

Schema = dict[str, Any]


def spec_schema() -> Schema:
    """The schema of `spec`, without CEL rules."""
    return structural_schema(PhoneNumberSpec)


def status_schema() -> Schema:
    """The schema of `status`."""
    return structural_schema(StatusModel)


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model.

    Empty defaults ("", [], {}, null) are left out, so that the API server does not add empty fields to objects.
    """
    schema = model.model_json_schema(by_alias=True)
    return _structural(schema, schema.get("$defs", {}))


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    resolved = _without_indirection(node, definitions)
    schema: Schema = {}
    for key, value in resolved.items():
        match key:
            case "title" | "$defs":
                continue
            case "default" if value in (None, "", [], {}):
                continue
            case "properties":
                schema[key] = {name: _structural(child, definitions) for name, child in value.items()}
            case "items" | "additionalProperties" if isinstance(value, dict):
                schema[key] = _structural(value, definitions)
            case _:
                schema[key] = value
    return schema


def _without_indirection(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The node with its `$ref` and its only non-null alternative put in place; keys beside the reference win."""
    own = dict(node)
    target: Mapping[str, Any] = {}
    if "anyOf" in own:
        (target,) = (option for option in own.pop("anyOf") if option.get("type") != "null")
    if "$ref" in own:
        target = definitions[own.pop("$ref").rpartition("/")[2]]
    return {**_without_indirection(target, definitions), **own} if target else own
