"""Checks a JSON value against a structural schema, with the messages of the API server.

The check knows the keywords that our schemas use: type, enum, bounds, required, properties, additionalProperties and
items. It ignores unknown fields and null values, because the API server drops them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .openapi import Schema


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an object. `field`: a path such as `spec.terminationUri`; `message`: for the user."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
}


def violations(schema: Schema, value: object, path: str) -> Iterator[Problem]:
    """The mistakes in the types and sizes of a value. `path`: the path of the value."""
    if not _has_type(schema["type"], value):
        yield Problem(path, f'must be of type {schema["type"]}: "{_type_name(value)}"')
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{choice}"' for choice in schema["enum"])
        yield Problem(path, f'Unsupported value: "{value}": supported values: {supported}')
    yield from (Problem(path, message) for message in _bounds(schema, value))
    match value:
        case Mapping():
            yield from _within_object(schema, value, path)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from violations(schema["items"], item, f"{path}[{index}]")


def _has_type(name: str, value: object) -> bool:
    return isinstance(value, _TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def _type_name(value: object) -> str:
    for name in ("boolean", "integer", "string", "array", "object"):
        if _has_type(name, value):
            return name
    return "null" if value is None else "number"


def _bounds(schema: Schema, value: Any) -> Iterator[str]:
    match value:
        case str() if len(value) > schema.get("maxLength", len(value)):
            yield f"Too long: may not be more than {schema['maxLength']} bytes"
        case Mapping() if len(value) > schema.get("maxProperties", len(value)):
            yield f"Too many: must have at most {schema['maxProperties']} items"
        case list() | tuple() if len(value) > schema.get("maxItems", len(value)):
            yield f"Too many: must have at most {schema['maxItems']} items"
        case int() if value > schema.get("maximum", value):
            yield f"should be less than or equal to {schema['maximum']}"
        case int() if value < schema.get("minimum", value):
            yield f"should be greater than or equal to {schema['minimum']}"


def _within_object(schema: Schema, value: Mapping[Any, object], path: str) -> Iterator[Problem]:
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield Problem(f"{path}.{name}", "Required value")
    for name, child in schema.get("properties", {}).items():
        if value.get(name) is not None:
            yield from violations(child, value[name], f"{path}.{name}")
    if "additionalProperties" in schema:
        for key, item in value.items():
            yield from violations(schema["additionalProperties"], item, f"{path}.{key}")
