"""Markdown of the reference: tables, and the rows of the fields of a schema."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..api.openapi import Schema
from ..api.rules import RULES


def table(title: str, text: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A section: heading, a paragraph if there is one, a table."""
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    paragraph = [text, ""] if text else []
    return "\n".join([f"## {title}", "", *paragraph, f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *lines])


def fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    """Path, schema and whether it is required, of each field below a schema, depth first."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        below = f"{path}.{name}"
        yield below, field, name in required
        yield from fields(field, below)
        if "items" in field:
            yield from fields(field["items"], f"{below}[]")


def row(path: str, field: Schema, *, required: bool) -> tuple[str, ...]:
    """The row of a field: path, type, default, allowed values and description."""
    default = "required" if required else _default(field)
    allowed = "; ".join((*_rule_messages(path), *_bounds(field)))
    return f"`{path}`", type_of(field), default, allowed, field.get("description", "")


def _default(field: Schema) -> str:
    if "default" not in field:
        return "none"
    return f"`{plain(field['default'])}`"


def type_of(field: Schema) -> str:
    """The type of a field in words, such as `list of string`."""
    match field["type"]:
        case "array":
            return f"list of {type_of(field['items'])}"
        case "object" if "additionalProperties" in field:
            return f"map of {type_of(field['additionalProperties'])}"
    return str(field["type"])


def _bounds(field: Schema) -> Iterator[str]:
    if "enum" in field:
        yield ", ".join(f"`{value}`" for value in field["enum"])
    if "minimum" in field and "maximum" in field:
        yield f"{field['minimum']} to {field['maximum']}"
    for key, unit in (("maxLength", "characters"), ("maxItems", "entries"), ("maxProperties", "entries")):
        if key in field:
            yield f"at most {field[key]} {unit}"
    inner: Any = field.get("items") or field.get("additionalProperties")
    if inner and "maxLength" in inner:
        yield f"each at most {inner['maxLength']} characters"


def _rule_messages(path: str) -> Iterator[str]:
    for rule in RULES:
        node = ".".join(part for part in ("spec", rule.node, rule.field) if part)
        if node.removesuffix("[]") == path:
            message = rule.message.replace("`", "\\`")  # messages are plain text; a backtick would begin code
            yield f"each {message}" if node.endswith("[]") else message


def plain(value: object) -> str:
    """A default as it is written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
